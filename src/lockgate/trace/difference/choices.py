"""The classes of the values of each part of a request, with examples: what no test of the part tells apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import TypeAlias, assert_never
from urllib.parse import unquote

from lockgate.gateway.mesh import ISTIO_DEFAULTS
from lockgate.gateway.paths import canonical
from lockgate.loadbalancer.conditions import mismatches
from lockgate.loadbalancer.model import QueryString, Rule
from lockgate.loadbalancer.patterns import parts
from lockgate.loadbalancer.request import Request as AlbRequest
from lockgate.resources.languages import PRINTABLE, Automaton, TextClass, TooLarge, classes, matching
from lockgate.trace.difference.conditions import (
    Alone,
    Assumption,
    From,
    Header,
    Holds,
    Method,
    Normal,
    OneOf,
    Part,
    Path,
    Present,
    Query,
    SomeQuery,
    Source,
    Text,
    ValueTest,
)
from lockgate.trace.model import Request

Example: TypeAlias = tuple[str, ...]
"""The values of a part: none if it is absent, several for a header that is repeated."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One class of the values of a part: the tests that hold for it, and examples of it, if any are known."""

    holds: frozenset[ValueTest]
    examples: tuple[Example, ...]


@lru_cache(maxsize=4096)
def choices_of(part: Part, values: tuple[ValueTest, ...]) -> tuple[Choice, ...]:
    """Raises `TooLarge`."""
    match part:
        case Path():
            return tuple(_paths(values))
        case Method():
            return tuple(_methods(values))
        case Header():
            return tuple(_headers(values))
        case Query():
            kinds = _classes(values, None, PRINTABLE)
            return (_ABSENT, *(Choice(_held(each, values) | {Present()}, _single(each)) for each in kinds))
        case Source():
            return tuple(_sources(values))
        case SomeQuery(pair):
            return _ABSENT, Choice(frozenset((Holds(),)), ((_example(pair.key or "*", "q"), _example(pair.value, "")),))
        case Alone(of, test):
            return _ABSENT, Choice(frozenset((Holds(),)), tuple(_alone(of, test)))
        case Assumption():
            return (Choice(frozenset(), ((),)), Choice(frozenset((Holds(),)), ()))
        case _:
            assert_never(part)


def _alone(part: Part, test: Text) -> Iterator[Example]:
    """Values of a part for which a test holds, whatever its other tests say."""
    match part:
        case Path():
            within = NORMAL[Normal(keeps_slashes=False)]
        case Method():
            within = _TOKEN
        case _:
            within = _TRIMMED
    try:
        found = classes([test.automaton()], within=within, most=5000)
    except TooLarge:
        return
    yield from ((text,) for each in found if each.members for text in each.texts)


def _example(pattern: str, instead: str) -> str:
    """A text that a pattern of a query condition matches; `instead` of what a bare wildcard stands for."""
    made = "".join(("" if char == "*" else "a") if wild else char for char, wild in parts(pattern, escapes=True))
    return made or instead


_ABSENT = Choice(frozenset(), ((),))
_RAW_PATH = matching(r"/[!-\"$->@-~]*")
_TRIMMED = matching("([!-~\x80-\xff]([ -~\x80-\xff]*[!-~\x80-\xff])?)?")
_TOKEN = matching("[A-Z][A-Z-]*")
_IN_HEADERS = PRINTABLE | sum(1 << code for code in range(0x80, 0x100))

# What Envoy's normalization leaves as it is: no dot segments, no escape of an unreserved character or a slash, none of
# the characters that it escapes. Source: `gateway.paths`.
_SIGN = r"[!$&'()*+,\-0-9:;=@A-Z\[\]_a-z~]"
_ESCAPE = "%([018-9A-Fa-f][0-9A-Fa-f]|2[0-9A-Ca-c]|3[A-Fa-f]|40|5[BDEbde]|60|7[B-DFb-df])"
_SEGMENT = rf"(({_SIGN}|{_ESCAPE})|\.({_SIGN}|{_ESCAPE})|\.\.({_SIGN}|{_ESCAPE}|\.))({_SIGN}|{_ESCAPE}|\.)*"
NORMAL = {
    Normal(keeps_slashes=True): matching(f"/+({_SEGMENT}(/+{_SEGMENT})*/*)?"),
    Normal(keeps_slashes=False): matching(f"/({_SEGMENT}(/{_SEGMENT})*/?)?"),
}


def _classes(values: Sequence[ValueTest], within: Automaton | None, alphabet: int) -> tuple[TextClass, ...]:
    return classes([_language(each) for each in _texts(values)], within=within, alphabet=alphabet)


def _texts(values: Iterable[ValueTest]) -> list[Text | Normal]:
    return [each for each in values if isinstance(each, Text | Normal)]


def _language(value: Text | Normal) -> Automaton:
    return NORMAL[value] if isinstance(value, Normal) else value.automaton()


def _held(found: TextClass, values: Sequence[ValueTest]) -> frozenset[ValueTest]:
    texts = _texts(values)
    return frozenset(texts[index] for index in found.members)


def _single(found: TextClass) -> tuple[Example, ...]:
    return tuple((text,) for text in found.texts)


def _paths(values: tuple[ValueTest, ...]) -> Iterator[Choice]:
    """Paths in normal form, or any paths if no gateway compares them; then those that a gateway normalizes."""
    normal = next((each for each in values if isinstance(each, Normal)), None)
    within = _language(normal) if normal else _RAW_PATH
    found = [(each, _held(each, values)) for each in _classes(values, within, PRINTABLE)]
    yield from (Choice(holds, _single(each)) for each, holds in sorted(found, key=lambda each: len(each[0].texts[0])))
    if normal is not None:
        yield from _disguised(values, [(each.texts[0], holds) for each, holds in found], normal)


def _disguised(
    values: tuple[ValueTest, ...], plain: list[tuple[str, frozenset[ValueTest]]], normal: Normal
) -> Iterator[Choice]:
    """Paths that a load balancer compares as one class and a gateway, after normalizing them, as another."""
    raw = [each for each in values if isinstance(each, Text) and each.by == "load balancer"]
    settings = replace(ISTIO_DEFAULTS, merge_slashes=not normal.keeps_slashes)
    seen = {holds - {normal} for _, holds in plain}
    for text, holds in plain if raw else ():
        routed = frozenset(each for each in holds if isinstance(each, Text) and each.by == "gateway")
        for sent in _spellings(text, [other for other, _ in plain]):
            if canonical(sent, settings) != text:
                continue
            both = routed.union(each for each in raw if each.automaton().matches(sent))
            if both not in seen:
                seen.add(both)
                yield Choice(both, ((sent,),))
                if len(seen) > _MOST_PATHS:
                    return


def _spellings(path: str, others: Sequence[str]) -> Iterator[str]:
    """Paths that Envoy normalizes to `path`: with an escaped letter, and by way of other paths."""
    for index, char in enumerate(path):
        if char.isalnum():
            yield f"{path[:index]}%{ord(char):02x}{path[index + 1 :]}"
            break
    yield f"/.{path}"
    for other in others:
        yield other.rstrip("/") + "/.." * other.rstrip("/").count("/") + path


_MOST_PATHS = 1000


_USUAL = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


def _methods(values: tuple[ValueTest, ...]) -> Iterator[Choice]:
    named = sorted({name for each in values if isinstance(each, OneOf) for name in each.values})
    exact = tuple(Text("exact", name) for name in named)
    texts = tuple(each for each in values if isinstance(each, Text))
    found: dict[frozenset[ValueTest], list[str]] = {}
    usual = [name for name in _USUAL if name not in named]
    candidates = [*usual, *named, *(each.texts[0] for each in _classes((*exact, *texts), _TOKEN, PRINTABLE))]
    for method in candidates:
        holds: set[ValueTest] = {each for each in values if isinstance(each, OneOf) and method in each.values}
        holds |= {each for each in texts if each.automaton().matches(method)}
        found.setdefault(frozenset(holds), []).append(method)
    order = sorted(found.items(), key=lambda each: min(map(_usual_first, each[1])))
    for tests, methods in order:
        yield Choice(tests, tuple((method,) for method in sorted(methods, key=_usual_first)[:4]))


def _usual_first(method: str) -> int:
    return _USUAL.index(method) if method in _USUAL else len(_USUAL)


def _headers(values: tuple[ValueTest, ...]) -> Iterator[Choice]:
    """Absent, each class of values, and pairs of values for which a load balancer and a gateway differ."""
    yield _ABSENT
    kinds = _classes(values, _TRIMMED, _IN_HEADERS)
    seen: set[frozenset[ValueTest]] = set()
    for each in kinds:
        holds = _held(each, values) | {Present()}
        seen.add(holds)
        yield Choice(holds, _single(each))
    each_value = [each for each in values if isinstance(each, Text) and each.by == "load balancer"]
    if len(each_value) < 2:
        return
    for one, other in combinations(kinds, 2):
        pair = (one.texts[0], other.texts[0])
        holds = frozenset(each for each in _texts(values) if isinstance(each, Text) and _holds_for(each, pair))
        holds |= {Present()}
        if holds not in seen:
            seen.add(holds)
            yield Choice(holds, (pair,))


def _holds_for(test: Text, values: Example) -> bool:
    if test.by == "load balancer":
        return any(test.automaton().matches(value) for value in values)
    return test.automaton().matches(",".join(values))


_USUAL_SOURCE = "203.0.113.10"


def _sources(values: tuple[ValueTest, ...]) -> Iterator[Choice]:
    """Each set of networks that an address can be in, with an address."""
    tests = [each for each in values if isinstance(each, From)]
    networks = {each: [ip_network(text, strict=False) for text in each.networks] for each in tests}
    candidates = [ip_address(_USUAL_SOURCE), ip_address("2001:db8::10")]
    for every in networks.values():
        for network in every:
            first, last = network.network_address, network.broadcast_address
            candidates += [first + 1 if network.num_addresses > 2 else first]
            candidates += [last + 1] if int(last) + 1 < 1 << network.max_prefixlen else []
            candidates += [first - 1] if int(first) else []
    found: dict[frozenset[ValueTest], list[str]] = {}
    for address in candidates:
        holds = frozenset(test for test, every in networks.items() if any(address in network for network in every))
        found.setdefault(holds, []).append(str(address))
    for tests_, addresses in found.items():
        yield Choice(tests_, tuple((address,) for address in addresses[:2]))


# --- requests --------------------------------------------------------------------------------------------------------


def is_met(part: Part, value: ValueTest, request: Request) -> bool:
    """Whether one test holds for a request."""
    match value:
        case OneOf(names):
            return request.method in names
        case From(networks):
            return any(ip_address(request.source) in ip_network(each, strict=False) for each in networks)
        case Present():
            return bool(_values(part, request))
        case Text():
            if isinstance(part, Path) and value.by == "gateway":
                normal = canonical(request.target, ISTIO_DEFAULTS)
                request = replace(request, target=normal) if isinstance(normal, str) else request
            found = _values(part, request)
            return bool(found) and _holds_for(value, found)
        case Holds() if isinstance(part, SomeQuery):
            rule = Rule(1, (QueryString((part.pair,)),), ())
            asked = AlbRequest(target=request.target)
            return next(iter(mismatches(rule, asked)), None) is None
        case Holds() if isinstance(part, Alone):
            return is_met(part.part, part.test, request)
        case Holds() | Normal():
            raise AssertionError("not a test of a request's value")
        case _:
            assert_never(value)


def _values(part: Part, request: Request) -> Example:
    path, _, query = request.target.partition("?")
    match part:
        case Path():
            return (path,)
        case Method():
            return (request.method,)
        case Header(name):
            return tuple(value for own, value in request.headers if own.lower() == name)
        case Query(name):
            pairs = (each.partition("=") for each in query.split("&") if each)
            return tuple(unquote(value) for own, _, value in pairs if unquote(own) == name)[:1]
        case _:
            return ()
