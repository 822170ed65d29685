"""What a user wrote wrong, as a value with a place: collected, never raised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `code` names its kind for good (``LG0001``), `message` says what and why, `mend` how to end it.

    `subject` is the object it is about, as ``Kind namespace/name``, where one is known.
    """

    code: str
    severity: Severity
    message: str
    position: Position | None = None
    mend: str = ""
    subject: str = ""

    def __str__(self) -> str:
        place = f"{self.position}: " if self.position else f"{self.subject}: " if self.subject else ""
        mend = f" — {self.mend}" if self.mend else ""
        return f"{place}{self.severity.value}: {self.message}{mend} [{self.code}]"
