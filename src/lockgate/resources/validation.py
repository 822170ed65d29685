"""Validates objects as the API server and the admission webhooks do.

`validate` first checks the manifest against the kind's model, field by field, as an API server's schema check does. If
that succeeds, it applies the kind's rules (`rules/`), as admission follows decoding there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.rules import admission
from lockgate.resources.shape import Free, ListOf, MapOf, Object, Scalar, Shape, shape_of


def validate(model: type[Resource], manifest: JsonObject) -> list[FieldError]:
    """All errors of one object; empty if it would be stored."""
    return examine(model, manifest).refusals


@dataclass(frozen=True, slots=True)
class Examination:
    """`resource` is None if the manifest's shape is wrong; in that case its rules were not applied."""

    resource: Resource | None
    unknown: list[Path]
    refusals: list[FieldError]


def examine(model: type[Resource], manifest: JsonObject) -> Examination:
    """`validate`, `unknown_fields` and the parsed object in one pass."""
    unknown: list[Path] = []
    choices: list[FieldError] = []
    _walk(shape_of(model), manifest, (), unknown, choices)
    try:
        resource = model.model_validate(manifest)
    except ValidationError as error:
        details = error.errors(include_url=False)[:_MOST]
        return Examination(None, unknown, [_fault(model, detail) for detail in details])
    return Examination(resource, unknown, [*choices, *admission.refusals(resource)])


def refusals(resource: Resource, manifest: JsonObject) -> list[FieldError]:
    """The errors of `validate` for an object that is already parsed."""
    choices: list[FieldError] = []
    _walk(shape_of(type(resource)), manifest, (), [], choices)
    return [*choices, *admission.refusals(resource)]


def warnings(resource: Resource) -> list[FieldError]:
    """Warnings that the client gets although the object is stored."""
    return list(admission.warnings(resource))


def unknown_fields(model: type[Resource], manifest: JsonObject) -> list[Path]:
    """Paths of fields that the kind does not have, in the manifest's order."""
    found: list[Path] = []
    _walk(shape_of(model), manifest, (), found, [])
    return found


def nearest(model: type[Resource], path: Path) -> str:
    """The existing sibling field that an unknown field was probably meant to be, or ""."""
    shape: Shape = shape_of(model)
    for part in path[:-1]:
        shape = _step(shape, part)
    if not isinstance(shape, Object):
        return ""
    desired = str(path[-1])
    if len(desired) > _LONGEST_NAME:
        return ""
    by_lower = {name.lower(): name for name in shape.names}
    close = difflib.get_close_matches(desired.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[close[0]] if close else ""


_MOST = 1000  # errors of one object
_LONGEST_NAME = 64  # of a field name that is compared with valid ones


def _walk(shape: Shape, value: Any, path: Path, unknown: list[Path], choices: list[FieldError]) -> None:
    """Collects what pydantic does not report: unknown fields, and fields that exclude each other."""
    match shape:
        case Object():
            if not isinstance(value, dict):
                return
            model = shape.model
            if not model.OPEN and not shape.names.issuperset(value):
                unknown.extend((*path, name) for name in value if name not in shape.names)
            for group in model.AT_MOST_ONE:
                chosen = [name for name in group if value.get(name) is not None]
                if len(chosen) > 1:
                    problem = f"at most one of {', '.join(chosen)} may be set"
                    choices.append(field_errors.invalid(path, value, problem))
            for name, inner in shape.nested:
                if name in value:
                    _walk(inner, value[name], (*path, name), unknown, choices)
        case ListOf(inner):
            if isinstance(value, list):
                for index, item in enumerate(value):
                    _walk(inner, item, (*path, index), unknown, choices)
        case MapOf(inner):
            if isinstance(value, dict):
                for name, item in value.items():
                    _walk(inner, item, (*path, name), unknown, choices)
        case _:
            pass


def _fault(model: type[Resource], error: ErrorDetails) -> FieldError:
    path: Path = error["loc"]
    value = error["input"]
    match error["type"]:
        case "missing":
            return field_errors.required(path)
        case "literal_error":
            shape = _follow(shape_of(model), path)
            choices = shape.choices if isinstance(shape, Scalar) else ()
            if not isinstance(value, str):
                return field_errors.wrong_type(path, value, "string")
            return field_errors.unsupported(path, value, choices)
        case kind if kind.endswith("_type") or kind == "int_or_string":
            return field_errors.wrong_type(path, value, _expected(_follow(shape_of(model), path)))
        case _:
            return field_errors.invalid(path, "", "not valid text")  # halves of surrogate pairs


def _expected(shape: Shape) -> str:
    match shape:
        case Scalar(type=type):
            return "integer or string" if type == "int-or-string" else type
        case ListOf():
            return "array"
        case _:
            return "object"


def _follow(shape: Shape, path: Iterable[str | int]) -> Shape:
    for part in path:
        shape = _step(shape, part)
    return shape


def _step(shape: Shape, part: str | int) -> Shape:
    match shape:
        case Object(fields=fields) if isinstance(part, str) and part in fields:
            return fields[part].shape
        case ListOf(inner) | MapOf(inner):
            return inner
        case _:
            return Free()
