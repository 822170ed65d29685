"""Equal parts of manifests become one object, so that ten thousand of them take less memory.

Theory of operation. Of thousands of VirtualServices, many say the same in parts: a match of ``/``, a destination that
ten routes share, a port. Each part is a pydantic model, which takes about 600 bytes: itself, a dict of its fields with
those that are absent, and a set of the names that were given. Models are immutable and compared by value. So right
after a manifest is read, `interned` replaces each part below its `spec` by the equal part that was met before, from the
innermost outwards: two parts are equal if their own values are, and if their inner parts are the same objects. The sets
of names are shared even where parts differ, and so are empty maps.

`shared` does the same for JSON: the manifests as they are written. An equal part has the same keys in the same order,
and the same inner values of the same types.

The tables are forgotten when they are full. Parts live as long as the manifests that have them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from sys import intern
from typing import Any, Final

from lockgate.resources.model import JsonObject, Model, ObjectMeta, Resource
from lockgate.resources.shape import Free, ListOf, MapOf, Object, Scalar, Shape, shape_of

_MOST: Final = 8192  # parts, and sets of names

_parts: dict[tuple[object, ...], Model] = {}
_given: dict[frozenset[str], set[str]] = {}
_json: dict[tuple[object, ...], Any] = {}
_nothing: Final[dict[str, Any]] = {}
_set = object.__setattr__


def interned(resource: Resource) -> None:
    """Shares the parts of a resource that nobody has seen yet."""
    share_names(resource)
    for part in resource.__dict__.values():
        if isinstance(part, Model):
            share_names(part)
            if not isinstance(part, ObjectMeta):
                _share_inner(part, _layout(type(part)))


def share_names(model: Model) -> None:
    """The set of names alone, of a model that nobody has seen yet."""
    given = model.__pydantic_fields_set__
    _set(model, "__pydantic_fields_set__", _given.setdefault(frozenset(given), given))
    if len(_given) > _MOST:
        _given.clear()


def shared(value: Any) -> Any:
    """The equal JSON value that was met before, or this one, with shared parts. From now on, nobody may modify it."""
    match value:
        case str():
            return intern(value)
        case dict():
            share_parts(value)
            key: tuple[object, ...] = (*value, *map(_mark, value.values()))
        case list():
            value[:] = map(shared, value)
            key = (None, *map(_mark, value))
        case _:
            return value
    if len(_json) > _MOST:
        _json.clear()
    return _json.setdefault(key, value)


def share_parts(value: JsonObject) -> None:
    """Shares the parts of a map that is modified itself."""
    for name, part in value.items():
        value[name] = shared(part)


def _mark(part: object) -> object:
    """Equal for equal parts that are shared already. As values, 1, 1.0 and true would be equal."""
    return (part,) if type(part) is int else id(part)


def _part(model: Model) -> Model:
    layout = _layout(type(model))
    share_names(model)
    inner = _share_inner(model, layout)
    values = model.__dict__
    if inner is None or layout.key is None:
        return model
    found = _parts.setdefault((type(model), id(model.__pydantic_fields_set__), layout.key(values), *inner), model)
    if found is model and len(_parts) > _MOST:
        _parts.clear()
    return found


def _share_inner(model: Model, layout: _Layout) -> list[int] | None:
    """Replaces the parts of a model. The identities of its inner values; None if it has a map, which has none."""
    values = model.__dict__
    alike = True
    for name in layout.maps:
        if values[name]:
            alike = False
        else:
            values[name] = _nothing
    inner: list[int] = []
    for name in layout.parts:
        value = values[name]
        if isinstance(value, Model):
            values[name] = value = _part(value)
            inner.append(id(value))
        elif value:
            values[name] = value = tuple([_part(each) for each in value])
            inner += map(id, value)
        inner.append(-1)
    return inner if alike else None


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a model: maps, parts or tuples of parts, and all others. `key` is None if those have no types."""

    maps: tuple[str, ...]
    parts: tuple[str, ...]
    key: Callable[[dict[str, Any]], object] | None


@cache
def _layout(model: type[Model]) -> _Layout:
    shapes = {name: shape_of(model).fields[info.alias or name].shape for name, info in model.model_fields.items()}
    maps = tuple(name for name, shape in shapes.items() if isinstance(shape, (MapOf, Free)))
    parts = tuple(name for name, shape in shapes.items() if _is_part(shape))
    rest = [name for name in shapes if name not in maps and name not in parts]
    typed = not any(_is_untyped(shapes[name]) for name in rest)
    # Of one name, `itemgetter` returns the value itself, which is as good.
    return _Layout(maps, parts, (itemgetter(*rest) if rest else _no_values) if typed else None)


def _no_values(_: dict[str, Any]) -> tuple[()]:
    return ()


def _is_part(shape: Shape) -> bool:
    return isinstance(shape, Object) or (isinstance(shape, ListOf) and isinstance(shape.item, Object))


def _is_untyped(shape: Shape) -> bool:
    """Whether equal values may differ, as 1 and true do."""
    match shape:
        case Scalar(type):
            return type == "any"
        case ListOf(inner):
            return _is_untyped(inner)
        case _:
            return True
