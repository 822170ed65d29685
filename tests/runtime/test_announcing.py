"""What `up` reports from start to ready, as the states that an edge goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lockgate.resources.codes import machine as codes
from lockgate.resources.diagnostics import Diagnostic
from lockgate.runtime import announcing
from lockgate.runtime.announcing import Announcing
from lockgate.runtime.observed import Proxy, State
from lockgate.runtime.parts import Line, Readiness, Report
from lockgate.runtime.running import Progress
from tests.runtime.states import state
from tests.runtime.test_report import STANDING, TABLE


@dataclass
class Heard:
    """A `Reporter` that keeps what is reported, a word or two each."""

    lines: list[str] = field(default_factory=list)

    def line(self, line: Line) -> None:
        self.lines.append(f"{line.state} {line.part}")

    def faults(self, faults: tuple[Diagnostic, ...]) -> None:
        self.lines += [fault.code for fault in faults]

    def note(self, text: str) -> None:
        self.lines.append(text)

    def changed(self, text: str) -> None:
        self.lines.append(text)

    def checked(self, summary: str, findings: tuple[Diagnostic, ...]) -> None:
        self.lines.append(summary)

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None:
        self.lines.append(" · ".join(("ready", *report.shortfall)))

    def not_ready(self, report: Report, seconds: float) -> None:
        self.lines.append("not ready")


SERVED = state({"resolved": ["www.quay.example"]}, STANDING)
NO_BALANCER = state({}, STANDING)
STARTS = replace(SERVED, envoys={"gateway": Proxy()})
BROKEN = replace(SERVED, envoys={"gateway": Proxy(trouble="it ended")})
FAULT = codes.REJECTED.at(None, envoy="alb", part="listener a", reason="no")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_POLL", "_POLL_LATE", "_WATCH", "_REST", "_DOUBT", "_LONG"):
        monkeypatch.setattr(announcing, name, 0.0)
    monkeypatch.setattr(announcing, "_QUIET", dict.fromkeys(Readiness, 0.0))


def story(states: Sequence[State], *, patient: bool = True) -> list[str]:
    """What is reported while the edge goes through the states, each seen once."""
    heard, coming = Heard(), iter(states)
    places = SimpleNamespace(proxy=SimpleNamespace(url=""), console_url="")
    edge = cast(Any, SimpleNamespace(locate=lambda origin: None, places=places))

    class Over(Exception):
        pass

    async def observe() -> State:
        try:
            return next(coming)
        except StopIteration:
            raise Over from None

    async def follow() -> None:
        announcing = Announcing(edge, cast(Any, SimpleNamespace(observe=observe)), heard, Progress(0.0))
        if not patient:
            announcing.out_of_patience()
        await announcing.run()

    with pytest.raises(Over):
        asyncio.run(follow())
    return [line for line in heard.lines if not line.endswith("api")]


def test_each_part_once_it_is_ready_and_then_the_outcome() -> None:
    heard = story([STARTS, STARTS, SERVED, SERVED])
    assert heard == ["ready dns", "ready gateway", "ready"]


def test_what_never_comes_is_reported_and_not_waited_for() -> None:
    heard = story([NO_BALANCER, NO_BALANCER])
    assert heard == ["ready gateway", "unserved dns", "ready · 1 host without a load balancer"]


def test_a_failure_that_passes_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_QUIET", dict.fromkeys(Readiness, 60.0))
    assert story([BROKEN, BROKEN, SERVED]) == ["ready dns", "ready gateway", "ready"]


def test_a_failure_that_stays_is_the_outcome_until_it_passes() -> None:
    heard = story([BROKEN, BROKEN, BROKEN, SERVED])
    assert heard == ["failed gateway", "ready dns", "not ready", "ready gateway", "ready"]


def test_while_something_is_on_its_way_a_failure_is_no_outcome() -> None:
    both = replace(SERVED, envoys={"gateway": Proxy(trouble="it ended"), "gateway-b": Proxy()})
    assert "not ready" not in story([both, both])


def test_out_of_patience_is_reported_once_and_again_with_another_outcome() -> None:
    heard = story([STARTS, STARTS, BROKEN, BROKEN, SERVED], patient=False)
    assert heard == ["not ready", "ready dns", "failed gateway", "not ready", "ready gateway", "ready"]


def test_faults_are_reported_with_the_outcome_and_once() -> None:
    early = replace(STARTS, faults=(codes.DELETED.at(None, object="x"),))
    late = replace(SERVED, faults=(FAULT,))
    assert story([early, late, late, late]) == ["ready dns", "ready gateway", "LG9003", "ready"]


def test_a_fault_that_comes_back_is_reported_again() -> None:
    late = replace(SERVED, faults=(FAULT,))
    assert story([SERVED, late, late, SERVED, late])[-2:] == ["LG9003", "LG9003"]


def test_afterwards_a_part_that_fails_and_recovers() -> None:
    heard = story([SERVED, BROKEN, BROKEN, SERVED])
    assert heard == ["ready gateway", "ready dns", "ready", "failed gateway", "ready gateway"]


def test_afterwards_a_part_that_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert story([SERVED, STARTS, STARTS, SERVED])[3:] == ["waiting gateway", "ready gateway"]
    monkeypatch.setattr(announcing, "_LONG", 60.0)
    assert story([SERVED, STARTS, STARTS, SERVED])[3:] == []


def test_afterwards_a_part_that_goes_away() -> None:
    row = next(each for each in TABLE["cases"] if each["name"] == "an Ingress that cannot be built")
    refused = state({**row, "resolved": ["www.quay.example"]}, STANDING)
    assert story([refused, SERVED])[-1] == "load balancer istio-system/edge is no longer refused"
