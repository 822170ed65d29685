"""Rules that no request can reach, because an earlier one matches all of their requests.

The comparison is sound but not complete: reported rules are never reached, but a rule that only several earlier ones
cover together is not reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from itertools import takewhile

from lockgate.loadbalancer.model import (
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    PathPattern,
    QueryPair,
    QueryString,
    Rule,
    SourceIp,
)
from lockgate.loadbalancer.patterns import is_literal, literal, matches, parts
from lockgate.resources import languages


def shadowed_rules(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Each unreachable rule, with the earlier rule that matches its requests."""
    earlier = _Earlier()
    for rule in rules:
        if (taker := next((each for each in earlier.possible(rule) if takes_all(each, rule)), None)) is not None:
            yield rule, taker
        earlier.add(rule)


class _Earlier:
    """Rules by what their paths begin with: 100 rules are 5,000 pairs, and by far most of them differ there."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._beginning: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, rule: Rule) -> None:
        paths = [each for each in rule.conditions if isinstance(each, PathPattern)]
        # Of a regular expression or of several conditions nothing is known, and "/*" takes rules without a path.
        known = len(paths) == 1 and not paths[0].regex_values and not _always(paths[0])
        for beginning in {_beginning(each, False) for each in paths[0].values} if known else ("",):
            self._beginning[beginning].append(len(self._rules))
        self._rules.append(rule)

    def possible(self, later: Rule) -> list[Rule]:
        """Those that may take all requests of `later`, in their order."""
        paths = [each for each in later.conditions if isinstance(each, PathPattern)]
        if len(paths) > 1 or (paths and not paths[0].values):
            return self._rules
        begins = _beginning(paths[0].values[0], False) if paths else ""
        found = {at for length in range(len(begins) + 1) for at in self._beginning.get(begins[:length], ())}
        return [self._rules[at] for at in sorted(found)]


def takes_all(earlier: Rule, later: Rule) -> bool:
    """Whether all conditions of `earlier` match whenever those of `later` do."""
    return all(
        any(_implies(condition, wider) for condition in later.conditions) or _always(wider)
        for wider in earlier.conditions
    )


def _always(condition: Condition) -> bool:
    """Whether a condition matches every request."""
    match condition:
        case PathPattern(values) | HostHeader(values):
            return "*" in values or (isinstance(condition, PathPattern) and "/*" in values)
        case SourceIp(values):
            return "0.0.0.0/0" in values and "::/0" in values
        case _:
            return False


def _implies(narrow: Condition, wide: Condition) -> bool:
    match narrow, wide:
        case HostHeader(), HostHeader():
            return _each(_folded(narrow.values), _folded(wide.values), narrow.regex_values, wide.regex_values)
        case PathPattern(), PathPattern():
            return _each(narrow.values, wide.values, narrow.regex_values, wide.regex_values, fold=False)
        case HttpHeader(), HttpHeader():
            same = narrow.name.lower() == wide.name.lower()
            return same and _each(_folded(narrow.values), _folded(wide.values), narrow.regex_values, wide.regex_values)
        case HttpRequestMethod(values), HttpRequestMethod(wider):
            return set(values) <= set(wider)
        case SourceIp(values), SourceIp(wider):
            return all(any(_within(value, each) for each in wider) for value in values)
        case QueryString(pairs), QueryString(wider_pairs):
            return all(any(_pair_implies(pair, each) for each in wider_pairs) for pair in pairs)
        case _:
            return False


def _folded(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value.lower() for value in values)


def _each(
    narrow: Iterable[str],
    wide: Sequence[str],
    narrow_regexes: Iterable[str],
    wide_regexes: Sequence[str],
    *,
    fold: bool = True,
) -> bool:
    """Every narrow pattern and expression lies within some wide one."""
    if any(each in ("*", "/*") for each in wide):
        return True
    outer = [Pattern(each, False, fold) for each in wide] + [Pattern(each, True, fold) for each in wide_regexes]
    for value in narrow:
        inside = any(glob_within(value, each) for each in wide)
        if not inside and not any(_found_within(Pattern(value, False, fold), each) for each in outer if each.is_regex):
            return False
    return all(
        each in wide_regexes or any(_found_within(Pattern(each, True, fold), other) for other in outer)
        for each in narrow_regexes
    )


def _pair_implies(narrow: QueryPair, wide: QueryPair) -> bool:
    key = wide.key is None or (
        narrow.key is not None and glob_within(narrow.key.lower(), wide.key.lower(), escapes=True)
    )
    return key and glob_within(narrow.value.lower(), wide.value.lower(), escapes=True)


def _within(narrow: str, wide: str) -> bool:
    inner, outer = ip_network(narrow, strict=False), ip_network(wide, strict=False)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


@cache
def glob_within(narrow: str, wide: str, *, escapes: bool = False) -> bool:
    """Whether every text that `narrow` matches is matched by `wide`: ``*`` is any text, ``?`` any character.

    >>> glob_within("/api/*", "/*"), glob_within("/*", "/api/*")
    (True, False)
    """
    if not _beginning(narrow, escapes).startswith(_beginning(wide, escapes)):
        return False  # by far most pairs of patterns
    if is_literal(narrow, escapes=escapes):
        return matches(wide, literal(narrow, escapes=escapes), case_sensitive=True, escapes=escapes)
    inner, outer = (languages.glob(tuple(parts(each, escapes))) for each in (narrow, wide))
    return languages.is_within(inner, outer) is True


@cache
def _beginning(pattern: str, escapes: bool) -> str:
    """What every text that a pattern matches begins with."""
    return "".join(char for char, _ in takewhile(lambda each: not each[1], parts(pattern, escapes)))


@cache
def _found_within(narrow: Pattern, wide: Pattern) -> bool:
    """Whether a text that `narrow` is found in always matches `wide`, where one of them is a regular expression."""
    try:
        return languages.is_within(_language(narrow), _language(wide)) is True
    except (languages.Unsupported, languages.TooLarge):
        return False


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    is_regex: bool
    fold: bool


def _language(pattern: Pattern) -> languages.Automaton:
    if pattern.is_regex:
        return languages.containing(pattern.text, fold=pattern.fold)
    return languages.glob(tuple(parts(pattern.text, False)), fold=pattern.fold)
