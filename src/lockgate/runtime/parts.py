"""The parts of an edge as people see them: a line each. Light to import, for the commands that only print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lockgate.resources.faults import Fault


class Readiness(StrEnum):
    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the edge. `detail` says what it serves, or what it waits for."""

    part: str
    name: str
    state: Readiness
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]
    urls: tuple[str, ...]

    @property
    def ready(self) -> bool:
        return all(line.state is Readiness.READY for line in self.lines)

    @property
    def failed(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.state is Readiness.FAILED)
