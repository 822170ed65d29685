"""The shape of a kind, computed once from its model; `validation`, `schema` and `reader` traverse manifests with it."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from lockgate.resources.model import Model


@dataclass(frozen=True, slots=True)
class Scalar:
    """`type` is OpenAPI's, or ``int-or-string``, or ``any``; `choices` are an enum's values."""

    type: Literal["string", "integer", "number", "boolean", "int-or-string", "any"]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Shape


@dataclass(frozen=True, slots=True)
class MapOf:
    value: Shape


@dataclass(frozen=True, slots=True)
class Free:
    """Any map, whose content is kept as it is."""


@dataclass(frozen=True, slots=True)
class Object:
    model: type[Model]
    fields: dict[str, Field] = field(repr=False)
    names: frozenset[str] = field(repr=False)
    # Only the fields that contain objects: those worth descending into.
    nested: tuple[tuple[str, Shape], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Field:
    """`default` is None if clients need not know of one."""

    name: str
    shape: Shape
    required: bool
    default: str | int | float | bool | None = None


Shape: TypeAlias = Scalar | ListOf | MapOf | Free | Object


@cache
def shape_of(model: type[Model]) -> Object:
    fields = {
        name: Field(name, _shape(info.annotation, info), info.is_required(), _default(info))
        for name, info in _by_manifest_name(model)
    }
    nested = tuple((name, one.shape) for name, one in fields.items() if _holds_objects(one.shape))
    return Object(model, fields, frozenset(fields), nested)


def _by_manifest_name(model: type[Model]) -> list[tuple[str, FieldInfo]]:
    return [(info.alias or name, info) for name, info in model.model_fields.items()]


def _default(info: FieldInfo) -> str | int | float | bool | None:
    # Go's zero values mean "absent"; they are not defaults that the API would write.
    return info.default if isinstance(info.default, (str, int, float, bool)) and info.default else None


def _shape(annotation: Any, info: FieldInfo | None = None) -> Shape:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return _shape(parts[0])
        return Scalar("int-or-string" if set(parts) == {int, str} else "any")
    if origin is Literal:
        return Scalar("string", tuple(str(choice) for choice in get_args(annotation)))
    if origin is tuple:
        return ListOf(_shape(get_args(annotation)[0]))
    if origin is dict:
        value = get_args(annotation)[1]
        return Free() if value is Any else MapOf(_shape(value))
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return shape_of(annotation)
    scalar = _SCALARS.get(annotation)
    if scalar is None:
        raise TypeError(f"a manifest field cannot be {annotation!r}")
    return scalar


_SCALARS: dict[Any, Scalar] = {
    str: Scalar("string"),
    bool: Scalar("boolean"),
    int: Scalar("integer"),
    float: Scalar("number"),
    Any: Scalar("any"),
}


def _holds_objects(shape: Shape) -> bool:
    match shape:
        case Object():
            return True
        case ListOf(inner) | MapOf(inner):
            return _holds_objects(inner)
        case _:
            return False
