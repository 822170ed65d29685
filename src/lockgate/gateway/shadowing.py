"""Routes that no request can reach, because an earlier one matches all of their requests.

As in `loadbalancer.shadowing`, reported routes are never reached, and others may not be either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import assert_never

from lockgate.gateway import compare
from lockgate.gateway.model import (
    Exact,
    HeaderMatch,
    Prefix,
    Present,
    QueryMatch,
    Regex,
    Route,
    RouteMatch,
    Suffix,
    TextMatch,
    ValueMatch,
)
from lockgate.gateway.regex import mistake
from lockgate.resources import languages
from lockgate.resources.languages import Automaton


def shadowed_routes(routes: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    """Each unreachable route, with the earlier route that matches its requests."""
    for index, route in enumerate(routes):
        if (
            taker := next((each for each in routes[:index] if route_takes_all(each.match, route.match)), None)
        ) is not None:
            yield route, taker


def route_takes_all(earlier: RouteMatch, later: RouteMatch) -> bool:
    """Whether all conditions of `earlier` match whenever those of `later` do."""
    if not path_within(later.path, earlier.path) or not set(earlier.claims) <= set(later.claims):
        return False
    headers = all(any(_header_within(each, wide) for each in later.headers) for wide in earlier.headers)
    return headers and all(any(_query_within(each, wide) for each in later.query) for wide in earlier.query)


def _header_within(narrow: HeaderMatch, wide: HeaderMatch) -> bool:
    if narrow.name != wide.name or narrow.invert != wide.invert:
        return False
    return narrow.value == wide.value or (not wide.invert and _value_within(narrow.value, wide.value))


def _query_within(narrow: QueryMatch, wide: QueryMatch) -> bool:
    return narrow.name == wide.name and _value_within(narrow.value, wide.value)


def _value_within(narrow: ValueMatch, wide: ValueMatch) -> bool:
    if isinstance(wide, Present):
        return True
    return not isinstance(narrow, Present) and text_within(narrow, wide)


@cache
def path_within(narrow: TextMatch, wide: TextMatch) -> bool:
    """Whether every path that `narrow` matches is matched by `wide`. Every path begins with a slash."""
    return text_within(narrow, wide) or _decided(narrow, wide, languages.prefix("/"))


@cache
def text_within(narrow: TextMatch, wide: TextMatch) -> bool:
    """Whether every text that `narrow` matches is matched by `wide`."""
    if narrow == wide:
        return True
    match narrow, wide:
        case Exact(value), _ if not narrow.ignore_case:
            return compare.holds(wide, value)
        case ((Exact() | Prefix() | Suffix()), (Exact() | Prefix() | Suffix())) if not _comparable(narrow, wide):
            return False
        case _:
            return _decided(narrow, wide)


def _comparable(narrow: TextMatch, wide: TextMatch) -> bool:
    """Whether plain texts may lie within each other: most pairs are ruled out here."""
    if isinstance(narrow, Regex) or isinstance(wide, Regex):
        return True
    return wide.value.lower() in narrow.value.lower()


def _decided(narrow: TextMatch, wide: TextMatch, within: Automaton | None = None) -> bool:
    try:
        return languages.is_within(language(narrow), language(wide), within=within) is True
    except (languages.Unsupported, languages.TooLarge):
        return False


@cache
def language(match: TextMatch) -> Automaton:
    """The texts that a condition matches. Raises `languages.Unsupported`, `languages.TooLarge`."""
    match match:
        case Exact(value, fold):
            return languages.exact(value, fold=fold)
        case Prefix(value, fold):
            return languages.prefix(value, fold=fold)
        case Suffix(value, fold):
            return languages.suffix(value, fold=fold)
        case Regex(pattern):
            if mistake(pattern):
                raise languages.Unsupported("Envoy rejects it")
            return languages.matching(pattern)
        case _:
            assert_never(match)
