"""Rules that no request can reach, because an earlier one matches all of their requests.

The comparison is sound but not complete: reported rules are never reached, but a rule that only several earlier ones
cover together is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from ipaddress import ip_network

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


def shadowed_rules(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Each unreachable rule, with the earlier rule that matches its requests."""
    for index, rule in enumerate(rules):
        if (taker := next((each for each in rules[:index] if takes_all(each, rule)), None)) is not None:
            yield rule, taker


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
            return _each(narrow.values, wide.values, narrow.regex_values, wide.regex_values)
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
    narrow: Iterable[str], wide: Sequence[str], narrow_regexes: Iterable[str], wide_regexes: Sequence[str]
) -> bool:
    """Every narrow pattern lies within some wide one; regular expressions only within an equal or universal one."""
    if any(each in ("*", "/*") for each in wide):
        return True
    inside = all(any(glob_within(value, each) for each in wide) for value in narrow)
    return inside and all(each in wide_regexes for each in narrow_regexes)


def _pair_implies(narrow: QueryPair, wide: QueryPair) -> bool:
    if "\\" in f"{narrow}{wide}":  # an escaped wildcard: compared for equality
        return narrow == wide
    key = wide.key is None or (narrow.key is not None and glob_within(narrow.key.lower(), wide.key.lower()))
    return key and glob_within(narrow.value.lower(), wide.value.lower())


def _within(narrow: str, wide: str) -> bool:
    inner, outer = ip_network(narrow, strict=False), ip_network(wide, strict=False)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


@cache
def glob_within(narrow: str, wide: str) -> bool:
    """Whether every text that `narrow` matches is matched by `wide`: ``*`` is any text, ``?`` any character.

    >>> glob_within("/api/*", "/*"), glob_within("/*", "/api/*")
    (True, False)
    """
    if not wide:
        return not narrow
    if wide[0] == "*":
        return glob_within(narrow, wide[1:]) or (bool(narrow) and glob_within(narrow[1:], wide))
    if not narrow or narrow[0] == "*":
        return False
    return (wide[0] == "?" or wide[0] == narrow[0]) and glob_within(narrow[1:], wide[1:])
