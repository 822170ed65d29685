"""Evaluates a CRD's OpenAPI v3 schema: faults of objects, unknown fields, and defaults.

Source: kubernetes.io "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural schema".
The texts are those of kube-openapi's `pkg/validation`. `cel` evaluates the rules (`x-kubernetes-validations`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from lockgate.embedded.kubernetes.custom import formats
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path, Reason, field_name, quoted
from lockgate.resources.model import JsonObject
from lockgate.resources.rules import metadata

# The API server validates these itself, regardless of the schema.
_ENVELOPE = ("apiVersion", "kind", "metadata")


def refusals(schema: JsonObject, body: JsonObject) -> list[FieldError]:
    """The faults of an object without its metadata."""
    return list(_refusals(schema, {name: value for name, value in body.items() if name not in _ENVELOPE}, ()))


def untyped(schema: JsonObject, value: Any, path: str = "") -> Iterator[str]:
    """Values of another type than the schema's, in the words of structured-merge-diff."""
    found = "list" if isinstance(value, list) else "map" if isinstance(value, dict) else ""
    expected = {"array": "list", "object": "map"}.get(schema.get("type", ""), "")
    if value is None or schema.get("x-kubernetes-int-or-string") or "type" not in schema:
        return
    if found != expected:
        shown = json.dumps(value, separators=(",", ":")) if found else _GO_NAMES.get(type(value), "string")
        wanted = expected or _SCALARS.get(schema["type"], schema["type"])
        yield f"{path}: expected {wanted}, got {shown if not expected else json.dumps(value)}"
        return
    if not found and not _is(schema["type"], value) and not (schema["type"] == "integer" and isinstance(value, float)):
        wanted = _SCALARS.get(schema["type"], schema["type"])
        yield f"{path}: expected {wanted}, got {_GO_NAMES.get(type(value), 'string')}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from untyped(schema.get("items") or {}, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            if (inner := properties.get(name) or (more if isinstance(more, dict) else None)) and name not in _ENVELOPE:
                yield from untyped(inner, item, f"{path}.{name}")


_SCALARS = {"integer": "numeric (int or float)", "number": "numeric (int or float)"}
_GO_NAMES: dict[type, str] = {bool: "boolean", int: "int", float: "float"}


def unknown_fields(schema: JsonObject, body: JsonObject) -> list[Path]:
    content = {name: value for name, value in body.items() if name not in _ENVELOPE}
    return list(_unknown(schema, content, ()))


def unchanged(schema: JsonObject, new: Any, old: Any, path: Path) -> bool:
    """Whether the value at a path, or one around it, is the same as before. Items of a list are known by their keys."""
    for part in path:
        if not isinstance(part, int):
            schema = (schema.get("properties") or {}).get(part) or schema.get("additionalProperties") or {}
            new, old = (each.get(part) if isinstance(each, dict) else None for each in (new, old))
        else:
            keys = schema.get("x-kubernetes-list-map-keys")
            if not keys or not isinstance(new, list) or not isinstance(old, list) or not isinstance(new[part], dict):
                return False
            new = new[part]
            same = [each for each in old if isinstance(each, dict) and all(each.get(k) == new.get(k) for k in keys)]
            schema, old = schema.get("items") or {}, same[0] if same else None
        if new is None or old is None:
            return False
        if new == old:
            return True
    return False


def without_nulls(schema: JsonObject, value: Any) -> Any:
    """`value` without nulls for fields that may not be null, such as an empty value of a Helm template."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [without_nulls(items, item) for item in value]
    if not isinstance(value, dict):
        return value
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    result: JsonObject = {}
    for name, item in value.items():
        inner = properties.get(name) or (more if isinstance(more, dict) else None)
        if item is None and inner is not None and not inner.get("nullable"):
            continue
        result[name] = item if inner is None else without_nulls(inner, item)
    return result


def defaulted(schema: JsonObject, value: Any) -> Any:
    """`value` with the schema's defaults for missing fields. A null that is not allowed counts as missing."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        more = schema.get("additionalProperties")
        result: JsonObject = {}
        for name, item in value.items():
            inner = properties.get(name) or (more if isinstance(more, dict) else {})
            if item is None and not inner.get("nullable") and "default" in inner:
                continue
            result[name] = defaulted(inner, item)
        for name, inner in properties.items():
            if name not in result and "default" in inner:
                result[name] = defaulted(inner, inner["default"])
        return result
    if isinstance(value, list):
        return [defaulted(schema.get("items") or {}, item) for item in value]
    return value


def _refusals(schema: JsonObject, value: Any, path: Path) -> Iterator[FieldError]:
    if value is None and schema.get("nullable"):
        return
    type_ = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            yield field_errors.wrong_type(path, value, "integer,string")
        return
    if type_ and not _is(type_, value):
        yield field_errors.wrong_type(path, value, type_)
        return
    if (choices := schema.get("enum")) is not None and value not in choices:
        yield field_errors.unsupported(path, value, choices)
    match value:
        case bool() | None:
            pass
        case str():
            yield from _text(schema, value, path)
        case int() | float():
            yield from _number(schema, value, path)
        case list():
            yield from _list(schema, value, path)
        case dict():
            yield from _object(schema, value, path)
    yield from _combined(schema, value, path)


def _is(type_: str, value: Any) -> bool:
    match type_:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case _:
            return True


def _text(schema: JsonObject, value: str, path: Path) -> Iterator[FieldError]:
    format_, pattern = schema.get("format"), schema.get("pattern")
    if format_ and not formats.fits(format_, value):
        yield FieldError(
            path,
            Reason.TYPE,
            f"Invalid value: {quoted(value)}: {field_name(path)} in body must be of type {format_}: {quoted(value)}",
        )
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        yield FieldError(path, Reason.TOO_LONG, f"Too long: may not be more than {most} bytes")
    elif (least := schema.get("minLength")) is not None and len(value) < least:
        yield _in_body(path, value, f"should be at least {least} chars long")
    elif pattern and (compiled := _compiled(pattern)) and not compiled.search(value):
        yield _in_body(path, value, f"should match '{pattern}'")


def _number(schema: JsonObject, value: float, path: Path) -> Iterator[FieldError]:
    format_ = schema.get("format")
    if format_ in _SIZES and not -(1 << _SIZES[format_]) <= value < 1 << _SIZES[format_]:
        why = f"Checked value must be of type {schema.get('type')} with format {format_} in {field_name(path)}"
        yield FieldError((), Reason.INVALID, f'Invalid value: "": {why}')
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        bound = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _in_body(path, value, f"should be {bound} {least}")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        bound = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _in_body(path, value, f"should be {bound} {most}")
    if (step := schema.get("multipleOf")) and value % step:
        yield _in_body(path, value, f"should be a multiple of {step}")


_SIZES = {"int32": 31, "int64": 63}


def _list(schema: JsonObject, value: list[Any], path: Path) -> Iterator[FieldError]:
    if (least := schema.get("minItems")) is not None and len(value) < least:
        yield _in_body(path, len(value), f"should have at least {least} items")
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        yield FieldError(path, Reason.TOO_MANY, f"Too many: {len(value)}: must have at most {most} items")
    unique = schema.get("uniqueItems") or schema.get("x-kubernetes-list-type") == "set"
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    seen: set[str] = set()
    inner = schema.get("items") or {}
    for index, item in enumerate(value):
        if unique or (keys and isinstance(item, dict)):
            shown = {key: item.get(key) for key in keys} if keys else item
            mark = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if mark in seen:
                yield FieldError((*path, index), Reason.DUPLICATE, f"Duplicate value: {mark}")
            seen.add(mark)
        yield from _refusals(inner, item, (*path, index))


def _object(schema: JsonObject, value: JsonObject, path: Path) -> Iterator[FieldError]:
    if schema.get("x-kubernetes-embedded-resource"):
        yield from _embedded(value, path)
    for name in schema.get("required") or ():
        if name not in value:
            yield field_errors.required((*path, name))
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        yield _in_body(path, len(value), f"should have at least {least} properties")
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        yield FieldError(path, Reason.TOO_MANY, f"Too many: {len(value)}: must have at most {most} items")
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        if inner := properties.get(name) or (more if isinstance(more, dict) else None):
            yield from _refusals(inner, item, (*path, name))


def _embedded(value: JsonObject, path: Path) -> Iterator[FieldError]:
    for name in ("apiVersion", "kind"):
        if not value.get(name):
            yield field_errors.required((*path, name))
    given = value.get("metadata")
    if isinstance(given, dict) and isinstance(given.get("labels"), dict):
        yield from metadata.labels((*path, "metadata", "labels"), given["labels"])


def _combined(schema: JsonObject, value: Any, path: Path) -> Iterator[FieldError]:
    """The logical junctors. In structural schemas, they only restrict values."""
    for part in schema.get("allOf") or ():
        yield from _refusals(part, value, path)
    shown = f'"{field_name(path)}"'
    if (choices := schema.get("anyOf")) and not any(_fits(part, value) for part in choices):
        yield _nowhere(f"{shown} must validate at least one schema (anyOf)")
        yield from _refusals(choices[0], value, path)
    if (choices := schema.get("oneOf")) and (found := sum(_fits(part, value) for part in choices)) != 1:
        which = "Found none valid" if not found else f"Found {found} valid alternatives"
        yield _nowhere(f"{shown} must validate one and only one schema (oneOf). {which}")
        if not found:
            yield from _refusals(choices[0], value, path)
    if (excluded := schema.get("not")) is not None and _fits(excluded, value):
        yield _nowhere(f"{shown} must not validate the schema (not)")


def _nowhere(why: str) -> FieldError:
    """The validator reports some faults without their field."""
    return FieldError((), Reason.INVALID, f'Invalid value: "": {why}')


def _fits(schema: JsonObject, value: Any) -> bool:
    return next(_refusals(schema, value, ()), None) is None


def _in_body(path: Path, value: Any, what: str) -> FieldError:
    shown = quoted(value) if not isinstance(value, (dict, list)) else '"object"'
    return FieldError(path, Reason.INVALID, f"Invalid value: {shown}: {field_name(path)} in body {what}")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # Python lacks some classes of RE2; such a pattern is ignored here
        return None


def _unknown(schema: JsonObject, value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(schema.get("items") or {}, item, (*path, index))
        return
    if not isinstance(value, dict):
        return
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    open_ = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or more is True
    for name, item in value.items():
        if schema.get("x-kubernetes-embedded-resource") and name in _ENVELOPE:
            continue
        if name in properties:
            yield from _unknown(properties[name], item, (*path, name))
        elif isinstance(more, dict):
            yield from _unknown(more, item, (*path, name))
        elif not open_:
            yield (*path, name)
