"""Conditions on a request as formulas over tests of its parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from lockgate.gateway.model import Exact, Prefix, Regex, Suffix, TextMatch
from lockgate.gateway.regex import mistake
from lockgate.loadbalancer import patterns
from lockgate.loadbalancer.model import QueryPair
from lockgate.resources import languages
from lockgate.resources.languages import Automaton, TooLarge, Unsupported

# --- parts of a request ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Path:
    """Without the query."""


@dataclass(frozen=True, slots=True)
class Method:
    pass


@dataclass(frozen=True, slots=True)
class Header:
    name: str  # lower-case


@dataclass(frozen=True, slots=True)
class Query:
    """The value of one query parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class SomeQuery:
    """Whether some query parameter, whatever its name, is as a load balancer's condition wants it."""

    pair: QueryPair


@dataclass(frozen=True, slots=True)
class Source:
    """The client's address."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that cannot be derived from the request here. `what` completes "whether …", `key` identifies it."""

    what: str = field(compare=False)
    key: object


@dataclass(frozen=True, slots=True)
class Alone:
    """Whether one test of a part holds, apart from the part's other tests: together they have too many states."""

    part: Part
    test: Text


Part: TypeAlias = Path | Method | Header | Query | SomeQuery | Source | Assumption | Alone


# --- tests of one part -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A test of a text. A load balancer compares paths as they are sent, and a header with several values one value
    after another; a gateway compares normalized paths, and the values joined with commas."""

    kind: Literal["exact", "prefix", "suffix", "regex", "search", "glob", "escaped glob"]
    value: str
    fold: bool = False
    by: Literal["load balancer", "gateway"] = "gateway"

    def automaton(self) -> Automaton:
        """Raises `Unsupported`, `TooLarge`."""
        match self.kind:
            case "exact":
                return languages.exact(self.value, fold=self.fold)
            case "prefix":
                return languages.prefix(self.value, fold=self.fold)
            case "suffix":
                return languages.suffix(self.value, fold=self.fold)
            case "regex":
                return languages.matching(self.value)
            case "search":
                return languages.containing(self.value, fold=self.fold)
            case "glob" | "escaped glob":
                parts = patterns.parts(self.value, escapes=self.kind == "escaped glob")
                return languages.glob(tuple(parts), fold=self.fold)
            case _:
                assert_never(self.kind)

    @property
    def is_readable(self) -> bool:
        """Whether an automaton can be made of it."""
        try:
            self.automaton()
        except (Unsupported, TooLarge):
            return False
        return True

    def __str__(self) -> str:
        match self.kind:
            case "exact":
                return f"is {self.value}{self._case}" if self.value else "is empty"
            case "prefix":
                return f"begins with {self.value}{self._case}"
            case "suffix":
                return f"ends with {self.value}"
            case "search":
                return f"contains a match of {self.value}"
            case "glob" | "escaped glob" if patterns.is_literal(self.value, escapes=self.kind == "escaped glob"):
                return f"is {self.value}"
            case _:
                return f"matches {self.value}"

    @property
    def _case(self) -> str:
        return " in any case" if self.fold and self.by == "gateway" else ""


@dataclass(frozen=True, slots=True)
class Present:
    def __str__(self) -> str:
        return "is present"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these methods."""

    values: frozenset[str]

    def __str__(self) -> str:
        return "is " + " or ".join(sorted(self.values))


@dataclass(frozen=True, slots=True)
class From:
    """An address in one of these networks."""

    networks: frozenset[str]

    def __str__(self) -> str:
        return "is in " + " or ".join(sorted(self.networks))


@dataclass(frozen=True, slots=True)
class Holds:
    """The assumption holds."""

    def __str__(self) -> str:
        return "holds"


@dataclass(frozen=True, slots=True)
class Normal:
    """A path that a gateway compares as it is sent. Where this is tested, paths that it normalizes count too."""

    keeps_slashes: bool = True

    def __str__(self) -> str:
        return "is in normal form"


ValueTest: TypeAlias = Text | Present | OneOf | From | Holds | Normal


# --- formulas ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one part. It does not hold for a header or query parameter that is absent."""

    part: Part
    value: ValueTest

    __test__ = False  # not for pytest


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    part: Formula


Formula: TypeAlias = Test | Every | Any | Not
TRUE, FALSE = Every(), Any()


def assumed(what: str, key: object) -> Test:
    return Test(Assumption(what, key), Holds())


def tested(part: Part, text: Text) -> Formula:
    """A test of a text; an assumption if no automaton can be made of it. What Envoy rejects matches nothing."""
    if text.kind == "regex" and mistake(text.value):
        return FALSE
    return Test(part, text) if text.is_readable else assumed(f"{said(part)} {text}", (part, text))


def of_match(match: TextMatch) -> Text:
    match match:
        case Exact(value, fold):
            return Text("exact", value, fold)
        case Prefix(value, fold):
            return Text("prefix", value, fold)
        case Suffix(value, fold):
            return Text("suffix", value, fold)
        case Regex(pattern):
            return Text("regex", pattern)
        case _:
            assert_never(match)


def said(part: Part) -> str:
    match part:
        case Path():
            return "path"
        case Method():
            return "method"
        case Header(name):
            return f"header {name}"
        case Query(name):
            return f"query parameter {name}"
        case SomeQuery(pair):
            return f"query parameter {pair.key or 'of any name'} like {pair.value}"
        case Source():
            return "client's address"
        case Assumption(what):
            return what
        case Alone(of, test):
            return f"{said(of)} {test}"
        case _:
            assert_never(part)
