"""A row of the table: kinds, fields, and their effect.

A field pattern is a path as `kubectl explain` writes it, without list indexes: ``spec.rules.host``. It may also contain

- ``{a,b}``: either; may hold dots,
- ``*``: the values of a map, whatever their keys are (``spec.http.match.headers.*.exact``),
- ``[glob]``: a key of a map (``metadata.annotations[external-dns.*]``),
- ``**``: any number of parts. At the end, everything below: only where no model names the fields,
- ``=value`` at the end: only this value (``spec.type=LoadBalancer``).

The pattern ``""`` is the object itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from lockgate.resources.codes import objects as codes
from lockgate.resources.faults import Code
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject


class Effect(StrEnum):
    """SERVED: a request, an API or a controller here uses it. ACCEPTED: stored, as in a cluster, but not used. REFUSED:
    an error reports that it is not possible here."""

    SERVED = "served"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Scope(StrEnum):
    """Conditions on an object that depend on other objects: the workloads that an Istio policy selects, an Ingress
    whose controller does not run here, a Service whose load balancer nothing replaces."""

    GATEWAY = "gateway"
    APPLICATION = "application"
    FOREIGN = "foreign"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    parts: tuple[str, ...]
    value: str = ""

    def covers(self, path: tuple[str, ...]) -> bool:
        """Whether it matches a path without list indexes. ``*`` matches a map's values, ``[key]`` one key of it."""
        return _covers(self.parts, path)

    def find(self, manifest: JsonObject) -> Iterator[Path]:
        """The places where a manifest sets it, with list indexes. Empty text, an empty list, 0 and false count as
        unset."""
        for path, value in _find(manifest, self.parts, ()):
            if value == self.value if self.value else value not in _UNSET:
                yield path


@dataclass(frozen=True, slots=True)
class Row:
    """`reason` completes "… has no effect here: ". A row that is `noticed` causes a warning if a manifest sets it.

    `when` limits a row to some objects, `scope` to objects in a context of other objects; `case` describes it in words.
    """

    effect: Effect
    fields: tuple[str, ...]
    reason: str = ""
    noticed: bool = False
    fix: str = ""
    code: Code = codes.FIELD_WITHOUT_EFFECT
    case: str = ""
    scope: Scope | None = None
    when: Callable[[JsonObject], bool] | None = None
    groups: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        return _patterns(self.fields)

    @property
    def whole(self) -> bool:
        """About the object itself, not about its fields."""
        return "" in self.fields


def declare(groups: str, kinds: str, *rows: Row) -> tuple[Row, ...]:
    """The rows of kinds of an API group; "" is the core group. Both arguments are globs, separated by spaces."""
    return tuple(replace(row, groups=tuple(groups.split(" ")), kinds=tuple(kinds.split())) for row in rows)


def served(*fields: str) -> Row:
    return Row(Effect.SERVED, fields)


def accepted(
    *fields: str,
    because: str,
    noticed: bool = False,
    fix: str = "",
    code: Code | None = None,
    case: str = "",
    scope: Scope | None = None,
    when: Callable[[JsonObject], bool] | None = None,
) -> Row:
    default = codes.OBJECT_WITHOUT_EFFECT if "" in fields else codes.FIELD_WITHOUT_EFFECT
    return Row(Effect.ACCEPTED, fields, because, noticed, fix, code or default, case, scope, when)


def refused(*fields: str, because: str) -> Row:
    return Row(Effect.REFUSED, fields, because)


def parts_of(text: str) -> tuple[str, ...]:
    """``metadata.annotations[a.b/c]`` as ``metadata``, ``annotations``, ``[a.b/c]``."""
    return tuple(_PART.findall(text))


_PART = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
_UNSET: tuple[Any, ...] = (None, "", False, 0, [])  # an empty object counts as set: `http01: {ingress: {}}`


@cache  # lazy: no command needs all patterns at its start
def _patterns(fields: tuple[str, ...]) -> tuple[Pattern, ...]:
    found = []
    for text in (one for field in fields for one in _expanded(field)):
        path, _, value = text.partition("=")
        found.append(Pattern(text, parts_of(path), value))
    return tuple(found)


def _expanded(text: str) -> Iterator[str]:
    before, brace, rest = text.partition("{")
    if not brace:
        yield text
        return
    inner, _, after = rest.partition("}")
    for choice in inner.split(","):
        yield from _expanded(f"{before}{choice.strip()}{after}")


def _covers(parts: tuple[str, ...], path: tuple[str, ...]) -> bool:
    for index, part in enumerate(parts):
        if part == "**":
            rest = parts[index + 1 :]
            return not rest or any(_covers(rest, path[start:]) for start in range(index, len(path)))
        if index >= len(path) or not _is(part, path[index]):
            return False
    return len(parts) == len(path)


def _is(part: str, name: str) -> bool:
    if part == "*" or part == name:
        return True
    return part.startswith("[") and name.startswith("[") and fnmatchcase(name[1:-1], part[1:-1])


def _find(value: Any, parts: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list) and parts:
        for index, item in enumerate(value):
            yield from _find(item, parts, (*path, index))
        return
    if not parts:
        yield path, value
        return
    if not isinstance(value, dict):
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _find(value, rest, path)
        for name, item in value.items() if rest else ():
            if isinstance(item, (dict, list)):
                yield from _find(item, parts, (*path, name))
    elif part == "*":
        for name, item in value.items():
            yield from _find(item, rest, (*path, name))
    elif part.startswith("["):
        for name, item in value.items():
            if isinstance(name, str) and fnmatchcase(name, part[1:-1]):
                yield from _find(item, rest, (*path, name))
    elif part in value:
        yield from _find(value[part], rest, (*path, part))
