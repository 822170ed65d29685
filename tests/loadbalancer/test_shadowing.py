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
from lockgate.loadbalancer.shadowing import shadowed_rules, takes_all

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
        ((PathPattern(("/b", "/a*")),), (PathPattern(("/ab", "/b")),), True),
        ((PathPattern(("/b", "/a*")),), (PathPattern(("/ab", "/c")),), False),
        ((PathPattern(("/?",)),), (PathPattern(("/a",)),), True),
        ((PathPattern(("*",)),), (PathPattern((), regex_values=("^/a",)),), True),
        ((PathPattern(("/a",), regex_values=("^/b",)),), (PathPattern(("/bc",)),), True),
        ((PathPattern(("/*",)), HOST), (HOST,), True),
    ],
)
def test_rules_that_no_request_reaches(
    earlier: tuple[Condition, ...], later: tuple[Condition, ...], taken: bool
) -> None:
    first, second = Rule(1, earlier, ()), Rule(2, later, ())
    assert list(shadowed_rules([first, second])) == ([(second, first)] if taken else [])


def test_the_index_loses_no_pair() -> None:
    """Each rule is compared only with those whose paths may hold its own: with all, nothing else is found."""
    paths = (("/*",), ("*",), ("/a",), ("/a*",), ("/ab/*", "/c"), ("/?b",), ("*/b",), ("/ab/c", "/c"))
    conditions: list[tuple[Condition, ...]] = [(), (PathPattern((), ("^/a",)),), (PathPattern(("/a",), ("^/c",)),)]
    conditions += [(PathPattern(each),) for each in paths]
    conditions += [(PathPattern(each), HOST) for each in paths]
    conditions += [(PathPattern(("/a*",)), PathPattern(("*b",)))]
    for order in (conditions, conditions[::-1], conditions[5:] + conditions[:5]):
        rules = [Rule(number, each, ()) for number, each in enumerate(order, 1)]
        every = [
            (rule, next(taker for taker in rules[:at] if takes_all(taker, rule)))
            for at, rule in enumerate(rules)
            if any(takes_all(taker, rule) for taker in rules[:at])
        ]
        assert list(shadowed_rules(rules)) == every
