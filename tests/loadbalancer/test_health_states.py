"""Target health by table, and who gets requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.loadbalancer.health import (
    REGISTERED,
    Answered,
    Connected,
    Failed,
    Outcome,
    TimedOut,
    after,
    matcher_ranges,
    receiving,
    seconds_until_next,
)
from lockgate.loadbalancer.model import HealthCheck, Target, TargetGroup

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "loadbalancer" / "health" / "states.yaml").read_text())
CHECK = HealthCheck(
    interval_seconds=10, healthy_threshold_count=3, unhealthy_threshold_count=2, matcher="200-299", timeout_seconds=5
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_states(case: dict[str, Any]) -> None:
    health = REGISTERED
    for probe in case["probes"]:
        health = after(health, outcome(probe), CHECK, probe["at"])
        assert health.state == probe["state"], probe
        for field in ("reason", "description"):
            if field in probe:
                assert getattr(health, field) == probe[field], probe


def outcome(probe: dict[str, Any]) -> Outcome:
    if "code" in probe:
        return Answered(probe["code"])
    if "connected" in probe:
        return Connected()
    return TimedOut() if "timed_out" in probe else Failed()


def test_an_initial_target_is_probed_quickly_and_others_at_the_interval() -> None:
    waits, health = [], REGISTERED
    for at in range(12):
        health = after(health, Failed(), CHECK, at / 100)
        waits.append(seconds_until_next(health, CHECK))
    assert waits == sorted(waits)
    assert waits[0] < 0.1
    assert waits[-1] == 1.0
    assert seconds_until_next(after(REGISTERED, Answered(200), CHECK, 0), CHECK) == 10


@pytest.mark.parametrize(
    ("matcher", "ranges"),
    [
        ("200", ((200, 200),)),
        ("200,202", ((200, 200), (202, 202))),
        ("200-299, 404", ((200, 299), (404, 404))),
        ("x", ()),
    ],
)
def test_matchers(matcher: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert matcher_ranges(matcher) == ranges


A, B, C = (Target(name, 80) for name in "abc")


@pytest.mark.parametrize(
    ("states", "attributes", "wanted"),
    [
        ({A: "healthy", B: "unhealthy", C: "initial"}, {}, {A}),
        ({A: "unhealthy", B: "unhealthy", C: "initial"}, {}, {A, B, C}),
        ({}, {}, {A, B, C}),
        ({A: "healthy", B: "unhealthy", C: "healthy"}, {"count": "3"}, {A, B, C}),
        ({A: "healthy", B: "unhealthy", C: "healthy"}, {"count": "2"}, {A, C}),
        ({A: "healthy", B: "unhealthy", C: "unhealthy"}, {"percentage": "50"}, {A, B, C}),
        ({A: "healthy", B: "unhealthy", C: "healthy"}, {"percentage": "50"}, {A, C}),
        ({A: "healthy", B: "unhealthy", C: "unhealthy"}, {"percentage": "off"}, {A}),
    ],
)
def test_who_receives(states: Any, attributes: dict[str, str], wanted: set[Target]) -> None:
    prefix = "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
    group = TargetGroup("g", "g", 80, targets=(A, B, C), attributes={prefix + k: v for k, v in attributes.items()})
    assert receiving(group, states) == wanted
