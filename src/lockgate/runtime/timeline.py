"""What happened to an edge since it started, for `lockgate console`: a `Reporter` that passes everything on and keeps
the last of it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity
from lockgate.runtime.parts import Line, Readiness, Report, Reporter

_KEPT = 1000

Level: TypeAlias = Literal["ok", "info", "warn", "bad"]
_OF_PARTS: dict[Readiness, Level] = {
    Readiness.READY: "ok",
    Readiness.WAITING: "info",
    Readiness.FAILED: "bad",
    Readiness.REFUSED: "bad",
    Readiness.UNSERVED: "warn",
    Readiness.EXTERNAL: "info",
}
_OF_FAULTS: dict[Severity, Level] = {Severity.ERROR: "bad", Severity.WARNING: "warn", Severity.INFO: "info"}


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is one word: edge, part, save, fault, finding, info, supplied, certificate, health, envoy or console. `at`
    is a line of a manifest."""

    number: int
    time: float
    kind: str
    level: Level
    text: str
    at: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Timeline:
    """`events` has the last ones, the oldest first."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.events: deque[Event] = deque(maxlen=_KEPT)
        self._count = 0

    def add(self, kind: str, level: Level, text: str, at: str = "") -> None:
        self._count += 1
        self.events.append(Event(self._count, time.time(), kind, level, text, at))

    def line(self, line: Line) -> None:
        detail = f": {line.detail}" if line.detail else ""
        self.add("part", _OF_PARTS[line.state], f"{line.part} {line.name} is {line.state}{detail}")
        self._reporter.line(line)

    def faults(self, faults: tuple[Diagnostic, ...]) -> None:
        self._diagnostics("fault", faults)
        self._reporter.faults(faults)

    def note(self, text: str) -> None:
        self.add("supplied", "info", text)
        self._reporter.note(text)

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None:
        self.add("edge", "ok", f"ready in {seconds:.1f} s")
        self._reporter.ready(report, seconds, proxy, console)

    def not_ready(self, report: Report, seconds: float) -> None:
        self.add("edge", "bad", f"not ready after {seconds:.1f} s")
        self._reporter.not_ready(report, seconds)

    def changed(self, text: str) -> None:
        self.add("save", "info", text)
        self._reporter.changed(text)

    def checked(self, summary: str, findings: tuple[Diagnostic, ...]) -> None:
        self._diagnostics("finding", findings)
        self._reporter.checked(summary, findings)

    def _diagnostics(self, kind: str, found: tuple[Diagnostic, ...]) -> None:
        for each in found:
            word = "info" if each.severity is Severity.INFO else kind
            self.add(word, _OF_FAULTS[each.severity], f"{each.message} [{each.code}]", str(each.position or ""))
