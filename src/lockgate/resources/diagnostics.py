"""Faults as reported: in words, with the current line of their origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lockgate.resources.faults import Fault, Locate, Origin, Position, Severity


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A fault in words. `subject` is its object as ``Kind namespace/name``, and may be empty."""

    code: str
    severity: Severity
    message: str
    fix: str
    position: Position | None
    subject: str

    def __str__(self) -> str:
        return self.line()

    def line(self, paint: Callable[[Severity], str] = str) -> str:
        """``file:line:column: severity: message — fix [code]``; `paint` gives the severity its colour."""
        place = self.position or self.subject
        fix = f" — {self.fix}" if self.fix else ""
        return f"{f'{place}: ' if place else ''}{paint(self.severity)}: {self.message}{fix} [{self.code}]"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "severity": self.severity.value}

    @staticmethod
    def of_json(value: Mapping[str, Any]) -> Diagnostic:
        position = value["position"]
        return Diagnostic(
            value["code"],
            Severity(value["severity"]),
            value["message"],
            value["fix"],
            Position(**position) if position else None,
            value["subject"],
        )


def diagnose(fault: Fault, locate: Locate) -> Diagnostic:
    """The fault with current positions. Origins, including those among its values, become lines if a file has them."""
    values = {name: (isinstance(each, Origin) and locate(each)) or each for name, each in fault.values}
    code, origin = fault.code, fault.origin
    position = locate(origin) if isinstance(origin, Origin) else origin
    message, fix = code.message.format(**values), code.fix.format(**values)
    return Diagnostic(code.id, code.severity, message, fix, position, fault.subject)
