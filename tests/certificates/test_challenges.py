"""Which challenges start: a few at once, the oldest first, and one for each name."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.certificates.challenges import MOST_AT_A_TIME, schedule
from lockgate.resources import cert_manager as cm


def challenge(name: str, host: str = "", *, age: int = 0, **more: Any) -> cm.Challenge:
    """`age` in hours."""
    spec = {
        "url": "https://acme.example/challenge",
        "authorizationURL": "https://acme.example/authorization",
        "dnsName": host or f"{name}.example",
        "type": more.pop("type", "DNS-01"),
        "token": "token",
        "key": "key",
        "solver": {},
        "issuerRef": {"name": "letsencrypt"},
    }
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": f"2026-01-01T{23 - age:02}:00:00Z"}
    if more.pop("deleted", False):
        metadata["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    return cm.Challenge.model_validate({"metadata": metadata, "spec": spec, "status": more})


@pytest.mark.parametrize(
    ("challenges", "started"),
    [
        ([challenge("a", age=1), challenge("b", age=3), challenge("c", age=2)], ["b", "c", "a"]),
        ([challenge("b"), challenge("a")], ["a", "b"]),
        ([challenge("apex", "a.example", age=1), challenge("wildcard", "a.example")], ["apex"]),
        ([challenge("one", "a.example"), challenge("two", "a.example", type="HTTP-01")], ["one", "two"]),
        ([challenge("one", "a.example", processing=True), challenge("two", "a.example")], []),
        ([challenge("one", "a.example", processing=True, state="valid"), challenge("two", "a.example")], []),
        ([challenge("a", state="valid"), challenge("b", state="errored"), challenge("c", state="pending")], ["c"]),
        ([challenge("a", deleted=True), challenge("b")], ["b"]),
    ],
)
def test_the_next_challenges(challenges: list[cm.Challenge], started: list[str]) -> None:
    assert [each.name for each in schedule(challenges, 60)] == started


def test_a_limited_number_at_once() -> None:
    many = [challenge(f"c{number}") for number in range(MOST_AT_A_TIME + 5)]
    assert len(schedule(many, 60)) == MOST_AT_A_TIME
    assert len(schedule(many, 3)) == 3
    busy = [challenge(f"b{number}", processing=True) for number in range(2)]
    assert len(schedule([*many, *busy], 3)) == 1
    assert schedule([*many, *busy], 2) == []
