"""Rules of --fail: which calls they concern, and what such a call gets."""

from __future__ import annotations

import asyncio

import pytest

from lockgate.embedded.faults import BadRule, Faults, Rule, exposition, rule


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("acm:*=Throttling", Rule("acm", "*", "Throttling")),
        ("route53:GetChange=Throttling*3", Rule("route53", "GetChange", "Throttling", times=3)),
        ("elbv2:*=slow:0.5%20", Rule("elbv2", "*", "slow", 0.5, percent=20)),
        ("elbv2:*=rate:10", Rule("elbv2", "*", "rate", 10.0)),
        ("kubernetes:patch/ingresses=Forbidden", Rule("kubernetes", "patch/ingresses", "Forbidden")),
    ],
)
def test_rules(text: str, read: Rule) -> None:
    assert rule(text) == read


@pytest.mark.parametrize(
    "text",
    ["acm", "acm:*", "acm:*=slow", "acm:*=slow:900", "acm:*=Throttling:3", "acm:*=Throttling%0", "=x:y", "a:b=*3"],
)
def test_what_is_not_a_rule_is_refused(text: str) -> None:
    with pytest.raises(BadRule, match=r"as in|1 to 100"):
        rule(text)


def test_a_rule_meets_the_first_calls_only() -> None:
    faults: Faults[str] = Faults([rule("acm:List=Throttling*2")])

    async def calls() -> list[str]:
        return [await faults.meet("acm", each) for each in ("List", "Describe", "List", "List")]

    assert asyncio.run(calls()) == ["Throttling", "", "Throttling", ""]


def test_a_rate_lets_a_burst_through_for_each_service() -> None:
    faults: Faults[str] = Faults([rule("*:*=rate:2")])

    async def calls(service: str) -> list[str]:
        return [await faults.meet(service, "List") for _ in range(9)]

    assert asyncio.run(calls("elbv2")) == [*[""] * 8, "Throttling"]
    assert asyncio.run(calls("acm")) == [*[""] * 8, "ThrottlingException"]


def test_reads_are_stale_after_a_change() -> None:
    faults: Faults[str] = Faults([rule("acm:List=stale:600")])
    assert faults.seen("acm", "List", b"", "nothing", changes=False) == "nothing"
    assert faults.seen("acm", "Request", b"", "requested", changes=True) == "requested"
    assert faults.seen("acm", "List", b"", "one", changes=False) == "nothing"
    assert faults.seen("acm", "List", b"another page", "two", changes=False) == "two"
    assert faults.seen("acm", "Describe", b"", "fresh", changes=False) == "fresh"


def test_counts() -> None:
    faults: Faults[str] = Faults()
    faults.count("acm", "List", 200)
    faults.count("acm", "List", 200)
    shown = exposition("aws", faults.calls)
    assert shown == 'lockgate_api_requests_total{api="aws",service="acm",operation="List",code="200"} 2\n'
