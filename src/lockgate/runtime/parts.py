"""The parts of an edge as users see them, one line each. Cheap to import, for commands that only print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Fault, Severity


class Readiness(StrEnum):
    """`FAILED` is retried and may recover. `REFUSED` and `UNSERVED` stay until the manifests change: an object that is
    refused, or something that is not served here. `EXTERNAL` is for a controller that does not run here. `up` does not
    wait for those three."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"
    UNSERVED = "unserved"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the edge. `detail` says what it serves, what it waits for, or why it fails."""

    part: str
    name: str
    state: Readiness
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`shortfall` counts what a ready edge lacks, such as ``2 objects refused``. `refused` are those objects."""

    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]
    urls: tuple[str, ...]
    shortfall: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything that can be ready is."""
        return not any(line.state in (Readiness.WAITING, Readiness.FAILED) for line in self.lines)

    @property
    def complete(self) -> bool:
        """Whether it is ready and nothing was refused. Hosts that no load balancer serves do not count, because many
        manifests have cluster-internal hosts."""
        lost = any(line.state is Readiness.UNSERVED and line.part != "dns" for line in self.lines)
        return self.ready and not self.refused and not self.failed and not lost

    @property
    def failed(self) -> tuple[Line, ...]:
        """The parts that differ from the manifests and will not recover soon."""
        return tuple(line for line in self.lines if line.state in (Readiness.FAILED, Readiness.REFUSED))


class Reporter(Protocol):
    """Reports events to a terminal, a program, or the command behind a detached edge."""

    def line(self, line: Line) -> None: ...

    def faults(self, faults: tuple[Diagnostic, ...]) -> None: ...

    def note(self, text: str) -> None: ...

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None: ...

    def not_ready(self, report: Report, seconds: float) -> None: ...

    def changed(self, text: str) -> None: ...

    def checked(self, summary: str, findings: tuple[Diagnostic, ...]) -> None: ...


def count(number: int, what: str) -> str:
    """``1 object``, ``2 objects``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def counted(findings: Iterable[Diagnostic]) -> str:
    """``1 error and 2 warnings``."""
    numbers = Counter(each.severity for each in findings)
    parts = [count(numbers[each], each.value) for each in (Severity.ERROR, Severity.WARNING) if numbers[each]]
    return " and ".join(parts) or "no errors and no warnings"
