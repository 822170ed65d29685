"""A fault as a value: an error in a user's files, or something that the user should know about them.

A `Code` is a kind of fault and is registered once (`resources.codes`). An `Origin` is an object and a path in it, not a
line: lines move with edits above them, and a value with a line would no longer equal itself. So a fault in an unchanged
object stays the same value, however often its file is saved. The line is looked up when the fault is reported
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

if TYPE_CHECKING:  # commands that only print import this module, and need no pydantic
    from lockgate.resources.field_errors import Path
    from lockgate.resources.model import ObjectKey


class Severity(StrEnum):
    """Errors are not served. Warnings are served, but perhaps not as intended. Infos are good to know."""

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
    """The place in a manifest that something comes from: an object and a path of fields and indexes.

    With `at_key`, it is the last field's key, not its value. `definition` identifies one of several definitions of the
    object: the file, and the number of earlier definitions in that file. Without it, it is the definition that counts.
    """

    key: ObjectKey
    path: Path = ()
    at_key: bool = False
    definition: tuple[str, int] | None = None

    def under(self, *path: str | int) -> Origin:
        """The origin of a field below this one."""
        return replace(self, path=(*self.path, *path))

    def __str__(self) -> str:
        return str(self.key)


@dataclass(frozen=True, slots=True)
class Set:
    """Gives a field a value of JSON; the index after a list's last appends to it. Maps above the field are created."""

    origin: Origin
    value: object


@dataclass(frozen=True, slots=True)
class Remove:
    """Removes a field, or an item of a list."""

    origin: Origin


Edit: TypeAlias = Set | Remove
"""A change of a manifest. `lockgate.resources.editing` makes it in the manifest's text."""

Locate: TypeAlias = Callable[[Origin], Position | None]
"""Resolves an origin to its current position. None for an object that is in no file."""


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """A kind of fault, equal only to itself. `lockgate.resources.codes` has all codes, and explains how to add one.

    `message` and `fix` are templates with the fault's values in braces. The documentation is `what` (its meaning),
    `why` (its effect), `example` (minimal manifests with the fault) and `instead` (the same manifests without it).
    `aliases` are the numbers of other tools for the same fault: Istio's ``IST0101``, Kiali's ``KIA0201``.
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
    aliases: tuple[str, ...] = field(default=(), repr=False)

    def variant(self, message: str, fix: str = "") -> Code:
        """The same code with other words, for another case of the same fault."""
        return replace(self, message=message, fix=fix)

    def at(self, origin: Origin | Position | None, **values: object) -> Fault:
        """A fault with this code. Raises TypeError unless `values` match the templates' names."""
        if values.keys() != _names(self.message, self.fix):
            desired = ", ".join(sorted(_names(self.message, self.fix)))
            raise TypeError(f"{self.id} takes the values {desired}, not {', '.join(sorted(values))}")
        shown = ((name, value if isinstance(value, Origin) else _short(str(value))) for name, value in values.items())
        return Fault(self, origin, tuple(shown))


def _short(value: str) -> str:
    """Shortens quoted user text, which may be as long as a file."""
    half = _LONGEST // 2
    return value if len(value) <= _LONGEST else f"{value[:half]} … {value[-half:]}"


_LONGEST = 1000  # characters


@cache
def _names(*templates: str) -> frozenset[str]:
    """The names in the templates' braces."""
    parts = (part for template in templates for part in string.Formatter().parse(template))
    return frozenset(name for _, name, _, _ in parts if name)


@dataclass(frozen=True, slots=True)
class Fault:
    """A code at a place. The origin is a `Position` if there is no object: for text that does not parse, or a file.

    `values` fill the templates. If a value is an origin, a `Diagnostic` shows its line. `edits` together fix it.
    """

    code: Code
    origin: Origin | Position | None = None
    values: tuple[tuple[str, str | Origin], ...] = ()
    edits: tuple[Edit, ...] = field(default=(), compare=False)

    def fixed_by(self, *edits: Edit) -> Fault:
        """The same fault with the changes that fix it. They are made only where one change is right for everybody."""
        return replace(self, edits=edits)

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
        """The file in which it was read; empty if unknown."""
        match self.origin:
            case Position(file) | Origin(definition=(file, _)):
                return file
            case _:
                return ""

    @property
    def subject(self) -> str:
        """The object as ``Kind namespace/name``; empty if there is none."""
        return str(self.origin) if isinstance(self.origin, Origin) else ""
