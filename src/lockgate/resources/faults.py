"""A fault as a value: what is wrong with something that a user wrote, or what they should know about it.

A `Code` says what kind of fault it is, and is registered once (`resources.codes`). An `Origin` says where, as an
object and a path in it, and never as a line: lines move when somebody edits above them, and a value that knew its
line would differ from its equal of a moment ago. So a fault found in an object that has not changed stays the same
value, however often the file around it is saved. The line is looked up when the fault is reported
(`resources.diagnostics`).

    >>> fault = istio.UNKNOWN_DESTINATION_HOST.at(origin.under("spec", "host"), host="web.shop.svc.cluster.local")
    >>> fault.message
    'no Service or ServiceEntry has the host web.shop.svc.cluster.local, so this DestinationRule has no effect'
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the commands that only print import this module, and must not wait for pydantic
    from lockgate.resources.field_errors import Path
    from lockgate.resources.model import ObjectKey


class Severity(StrEnum):
    """An error is not served. A warning is served otherwise than its author may think. Info is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file. Line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a manifest that something comes from: an object, and the path of fields and indices in it.

    With `at_key` the key of the last field is meant, not its value. `definition` is for what concerns one of several
    definitions of the object: the file, and the number of definitions before it in that file. Without it, the
    definition that counts is meant.
    """

    key: ObjectKey
    path: Path = ()
    at_key: bool = False
    definition: tuple[str, int] | None = None

    def under(self, *path: str | int) -> Origin:
        """A field below this one."""
        return replace(self, path=(*self.path, *path))

    def __str__(self) -> str:
        return str(self.key)


Locate: TypeAlias = Callable[[Origin], Position | None]
"""Where the current documents have an origin. None for an object that no file holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """A kind of fault, equal to nothing but itself. `lockgate.resources.codes` holds all of them, and says how to add
    one.

    `message` and `fix` are templates with the fault's values in braces. `what`, `why`, `example` and `instead` are its
    documentation: what it means, what comes of it, the smallest manifests that have the fault, and the same without.
    """

    id: str
    severity: Severity
    title: str
    message: str
    fix: str = ""
    what: str = field(default="", repr=False)
    why: str = field(default="", repr=False)
    example: str = field(default="", repr=False)
    instead: str = field(default="", repr=False)

    def variant(self, message: str, fix: str = "") -> Code:
        """The same code in other words, for another case of the same fault."""
        return replace(self, message=message, fix=fix)

    def at(self, origin: Origin | Position | None, **values: object) -> Fault:
        """A fault of this kind. Raises TypeError unless `values` are those that the templates name."""
        if values.keys() != _names(self.message, self.fix):
            wanted = ", ".join(sorted(_names(self.message, self.fix)))
            raise TypeError(f"{self.id} takes the values {wanted}, not {', '.join(sorted(values))}")
        shown = ((name, value if isinstance(value, Origin) else _short(str(value))) for name, value in values.items())
        return Fault(self, origin, tuple(shown))


def _short(value: str) -> str:
    """Faults quote what users wrote, and that may be as long as a file."""
    half = _LONGEST // 2
    return value if len(value) <= _LONGEST else f"{value[:half]} … {value[-half:]}"


_LONGEST = 1000  # characters


@cache
def _names(*templates: str) -> frozenset[str]:
    """The values that templates have in braces."""
    parts = (part for template in templates for part in string.Formatter().parse(template))
    return frozenset(name for _, name, _, _ in parts if name)


@dataclass(frozen=True, slots=True)
class Fault:
    """A code at a place. A `Position` is the origin of what is in no object: text that does not parse, a file.

    `values` fill the braces of the code's templates. A value may be another origin; a `Diagnostic` shows its line.
    """

    code: Code
    origin: Origin | Position | None = None
    values: tuple[tuple[str, str | Origin], ...] = ()

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def message(self) -> str:
        return self.code.message.format(**dict(self.values))

    @property
    def fix(self) -> str:
        return self.code.fix.format(**dict(self.values))

    @property
    def file(self) -> str:
        """The file in which it was read; empty for what is in no file, or in whatever defines the object."""
        match self.origin:
            case Position(file) | Origin(definition=(file, _)):
                return file
            case _:
                return ""

    @property
    def subject(self) -> str:
        """The object that it is about, as ``Kind namespace/name``; empty for what is about no object."""
        return str(self.origin) if isinstance(self.origin, Origin) else ""
