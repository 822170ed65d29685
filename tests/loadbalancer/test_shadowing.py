"""Which rules an earlier one takes all requests of; `tests/trace/test_reach.py` holds it against real matching."""

from __future__ import annotations

import pytest

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
from lockgate.loadbalancer.shadowing import shadowed_rules

HOST = HostHeader(("shop.example",))


@pytest.mark.parametrize(
    ("earlier", "later", "taken"),
    [
        ((), (HOST,), True),
        ((HOST,), (), False),
        ((HOST,), (HOST, PathPattern(("/a",))), True),
        ((HostHeader(("*",)),), (), True),
        ((PathPattern(("/*",)),), (PathPattern(("/a",)),), True),
        ((HostHeader(("*.example",)),), (HostHeader(("SHOP.example", "a.example")),), True),
        ((HostHeader(("*.example",)),), (HostHeader(("shop.example", "other.test")),), False),
        ((PathPattern(("/a*",)),), (PathPattern(("/ab?",)),), True),
        ((PathPattern(("/a*",)),), (PathPattern(("/A",)),), False),
        ((PathPattern((), regex_values=("^/a",)),), (PathPattern(("/ab",)),), True),
        ((PathPattern((), regex_values=("^/a",)),), (PathPattern((), regex_values=("^/ab[0-9]$",)),), True),
        ((PathPattern(("/ab",)),), (PathPattern((), regex_values=("^/a",)),), False),
        ((HttpHeader("X-A", ("1*",)),), (HttpHeader("x-a", ("12",)),), True),
        ((HttpHeader("x-a", ("1*",)),), (HttpHeader("x-b", ("12",)),), False),
        ((HttpRequestMethod(("GET", "PUT")),), (HttpRequestMethod(("GET",)),), True),
        ((HttpRequestMethod(("GET",)),), (HttpRequestMethod(("GET", "PUT")),), False),
        ((SourceIp(("10.0.0.0/8", "2001:db8::/32")),), (SourceIp(("10.1.0.0/16",)),), True),
        ((SourceIp(("10.1.0.0/16",)),), (SourceIp(("10.0.0.0/8",)),), False),
        ((SourceIp(("0.0.0.0/0", "::/0")),), (HOST,), True),
        ((QueryString((QueryPair("1", "a*"),)),), (QueryString((QueryPair("1", "AB"),)),), True),
        ((QueryString((QueryPair("*"),)),), (QueryString((QueryPair("1", "b"),)),), True),
        ((QueryString((QueryPair("1", "a"),)),), (QueryString((QueryPair("1"),)),), False),
        ((HOST,), (PathPattern(("/a",)),), False),
    ],
)
def test_rules_that_no_request_reaches(
    earlier: tuple[Condition, ...], later: tuple[Condition, ...], taken: bool
) -> None:
    first, second = Rule(1, earlier, ()), Rule(2, later, ())
    assert list(shadowed_rules([first, second])) == ([(second, first)] if taken else [])
