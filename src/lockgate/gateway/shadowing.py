"""Routes that no request can reach, because an earlier one matches all of their requests.

As in `loadbalancer.shadowing`, reported routes are never reached, and others may not be either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

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


def shadowed_routes(routes: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    """Each unreachable route, with the earlier route that matches its requests."""
    for index, route in enumerate(routes):
        if (
            taker := next((each for each in routes[:index] if route_takes_all(each.match, route.match)), None)
        ) is not None:
            yield route, taker


def route_takes_all(earlier: RouteMatch, later: RouteMatch) -> bool:
    """Whether all conditions of `earlier` match whenever those of `later` do."""
    if not text_within(later.path, earlier.path):
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


def text_within(narrow: TextMatch, wide: TextMatch) -> bool:
    """Whether every text that `narrow` matches is matched by `wide`."""
    if narrow == wide:
        return True
    match wide:
        case Exact(value, ignore_case):
            return isinstance(narrow, Exact) and ignore_case and narrow.value.lower() == value.lower()
        case Prefix(value, ignore_case):
            if isinstance(narrow, Exact | Prefix):
                return _starts(narrow.value, value, ignore_case, narrow.ignore_case)
            return value in ("", "/")  # every path begins with a slash
        case Suffix(value):
            return isinstance(narrow, Exact | Suffix) and narrow.value.endswith(value)
        case Regex(pattern):
            return pattern in (".*", "/.*")
        case _:
            assert_never(wide)


def _starts(narrow: str, wide: str, wide_folds: bool, narrow_folds: bool) -> bool:
    if wide_folds:
        return narrow.lower().startswith(wide.lower())
    return not narrow_folds and narrow.startswith(wide)
