"""`lockgate explain KIND` and `KIND.FIELD`: what is served here, what is not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TypeAlias

from lockgate.resources import kinds as _registered  # noqa: F401  # registers them
from lockgate.resources.effects import table
from lockgate.resources.effects.row import Effect, Row, parts_of
from lockgate.resources.model import Resource, kinds
from lockgate.resources.shape import ListOf, MapOf, Object, Scalar, Shape, shape_of


class NotDeclared(Exception):
    """No kind or field has this name."""


@dataclass(frozen=True, slots=True)
class KindExplained:
    """`rows` are about the object itself if it is not served, else about its fields that are not."""

    group: str
    kind: str
    versions: tuple[str, ...]
    effect: Effect
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class FieldExplained:
    """`row` is None for a field with subfields; `inside` describes their effects. `values` are rows for single
    values."""

    path: str
    row: Row | None
    values: Mapping[str, Row]
    inside: Mapping[str, str]


Explained: TypeAlias = tuple[KindExplained, ...] | FieldExplained


def explain(text: str) -> Explained:
    """Explains ``VirtualService``, ``vs.spec.http``, ``Ingress.metadata.annotations[a.b/c]``. Kinds may share a name.

    Raises NotDeclared.
    """
    kind, *path = parts_of(text) or ("",)
    found = _names().get(kind.lower(), ())
    if not found:
        near = get_close_matches(kind.lower(), _names(), 1, 0.75)
        hint = f"; did you mean {_names()[near[0]][0][1]}?" if near else ""
        raise NotDeclared(f"{kind!r} is not a declared kind{hint}. Other kinds: {table.UNKNOWN[0].reason}")
    if not path:
        return tuple(_kind(group, name) for group, name in found)
    models = [kinds()[each] for each in found if each in kinds()]
    if models:
        return _field(models[0], tuple(path))
    return FieldExplained(text, table.object_rows(*found[0])[0], {}, {})


@cache
def _names() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Group and kind by every lower-case name that kubectl accepts."""
    names: dict[str, dict[tuple[str, str], None]] = {}
    for group_kind, model in kinds().items():
        kind = model.KIND
        for name in (kind.kind, kind.plural, *kind.short_names):
            names.setdefault(name.lower(), {})[group_kind] = None
    for row in table.TABLE:
        for name in row.kinds:
            if "*" not in name:
                names.setdefault(name.lower(), {}).update({(group, name): None for group in row.groups})
    return {name: tuple(found) for name, found in names.items()}


def _kind(group: str, kind: str) -> KindExplained:
    model = kinds().get((group, kind))
    versions = model.KIND.versions if model else ()
    whole = table.object_rows(group, kind)
    if table.acted_on(group, kind):
        shown: dict[str, Row] = {}
        for row in table.rows_of(group, kind):
            if row.effect is not Effect.SERVED:
                shown.setdefault(row.reason, row)  # the first row of a reason names the field that contains the others
        return KindExplained(group, kind, versions, Effect.SERVED, tuple(shown.values()))
    return KindExplained(group, kind, versions, whole[0].effect, whole)


def _field(model: type[Resource], path: tuple[str, ...]) -> FieldExplained:
    group, kind = model.KIND.group_kind
    full, shape = _resolved(model, path)
    name = ".".join((kind, *path)).replace(".[", "[")
    inner, maps = _within(shape)
    if isinstance(inner, Object):
        below = (*full, *(("*",) if maps else ()))
        inside = {one: _summary(group, kind, (*below, one), field.shape) for one, field in inner.fields.items()}
        return FieldExplained(name, None, {}, inside)
    row = table.field_row(group, kind, full)
    if row is None and full[-1].startswith("["):
        row = table.field_row(group, kind, full[:-1])
    if row is None:
        raise NotDeclared(f"{name} is not a declared field")
    return FieldExplained(name, row, dict(table.value_rows(group, kind, full)), {})


def _resolved(model: type[Resource], path: tuple[str, ...]) -> tuple[tuple[str, ...], Shape]:
    """The path as in the table, with ``*`` for a map's keys, and its shape. Raises NotDeclared."""
    shape: Shape = shape_of(model)
    full: tuple[str, ...] = ()
    for index, part in enumerate(path):
        shape, maps = _within(shape)
        place = ".".join((model.KIND.kind, *path[:index]))
        if maps and part != "*":
            full += ("*",)
        full += (part,)
        match shape:
            case Object(fields=fields) if part in fields:
                shape = fields[part].shape
            case Object(model=owner) if not owner.OPEN:
                near = get_close_matches(part, shape.fields, 1, 0.6)
                raise NotDeclared(f"{place} has no field {part}" + (f"; did you mean {near[0]}?" if near else ""))
            case Scalar() if not part.startswith("["):
                raise NotDeclared(f"{place} has no fields")
            case _:
                shape = Scalar("any")
    return full, shape


def _within(shape: Shape) -> tuple[Shape, bool]:
    """The items of lists and maps, and whether there was a map with objects as values."""
    maps = False
    while isinstance(shape, (ListOf, MapOf)):
        maps |= isinstance(shape, MapOf) and not isinstance(shape.value, Scalar)
        shape = shape.value if isinstance(shape, MapOf) else shape.item
    return shape, maps


def _summary(group: str, kind: str, path: tuple[str, ...], shape: Shape) -> str:
    """``served``; for a field with subfields, how many of them are."""
    found = list(_effects(group, kind, path, shape))
    if len(set(found)) > 1:
        return ", ".join(f"{found.count(effect)} {effect}" for effect in Effect if effect in found)
    values = ", ".join(value for value, _ in table.value_rows(group, kind, path))
    return f"{found[0]}, but for {values}" if values else str(found[0])


def _effects(group: str, kind: str, path: tuple[str, ...], shape: Shape) -> Iterator[Effect]:
    inner, maps = _within(shape)
    if isinstance(inner, Object):
        for name, field in inner.fields.items():
            yield from _effects(group, kind, (*path, *(("*",) if maps else ()), name), field.shape)
    elif row := table.field_row(group, kind, path):
        yield row.effect
