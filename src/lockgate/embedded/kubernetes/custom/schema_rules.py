"""What a cluster refuses in the schema of a CustomResourceDefinition: it must be structural.

Source: apiextensions-apiserver, `pkg/apis/apiextensions/validation/validation.go` and
`pkg/apiserver/schema/validation.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lockgate.embedded.kubernetes.custom import structural
from lockgate.resources import field_errors, regexes
from lockgate.resources.field_errors import FieldError, Key, Path, Reason
from lockgate.resources.model import JsonObject

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES: Final = ("atomic", "set", "map")
_MAP_TYPES: Final = ("atomic", "granular")
_NOT_SUPPORTED: Final = ("$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems")
_NESTED: Final = ("allOf", "anyOf", "oneOf")
_EMPTY_IN_NESTED: Final = ("description", "type", "title")
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_PRESERVE, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_LIST_TYPE, _LIST_KEYS, _MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"


def refusals(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    """The faults of the schema of a version, at its place in the definition."""
    yield from _root(schema, at)
    yield from _structural(schema, at, "at the root", within_resource=True)
    for place, rule in _rules(schema, at):
        yield from _rule(rule, place)


def _root(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    type_ = schema.get("type")
    if type_ and type_ != "object" and type_ in _TYPES:
        yield field_errors.invalid((*at, "type"), type_, "must be object at the root")
    if schema.get("nullable"):
        yield field_errors.forbidden((*at, "nullable"), "nullable cannot be true at the root")
    if "additionalProperties" in schema:
        yield field_errors.forbidden((*at, "additionalProperties"), "must not be used at the root")


def _structural(schema: JsonObject, at: Path, where: str, *, within_resource: bool = False) -> Iterator[FieldError]:
    """`within_resource` are the schemas of objects with `apiVersion`, `kind` and `metadata`."""
    yield from _type(schema, at, where)
    yield from _keywords(schema, at)
    yield from _topology(schema, at)
    if within_resource or schema.get(_EMBEDDED):
        yield from _envelope(schema, at)
    for name, part in (schema.get("properties") or {}).items():
        if not (within_resource and name == "metadata"):
            yield from _structural(part, (*at, "properties", Key(name)), "for specified object fields")
    if isinstance(items := schema.get("items"), dict):
        yield from _structural(items, (*at, "items"), "for specified array items")
    if isinstance(more := schema.get("additionalProperties"), dict):
        yield from _structural(more, (*at, "additionalProperties"), "for specified object fields")
    for keyword, index, part in _parts(schema):
        yield from _nested(part, (*at, keyword, *index), schema, at)
    if "default" in schema:
        yield from _default(schema, (*at, "default"))


def _type(schema: JsonObject, at: Path, where: str) -> Iterator[FieldError]:
    type_ = schema.get("type")
    if not type_:
        if not schema.get("x-kubernetes-int-or-string") and not schema.get(_PRESERVE):
            yield field_errors.required((*at, "type"), f"must not be empty {where}")
    elif type_ not in _TYPES:
        yield field_errors.unsupported((*at, "type"), type_, _TYPES)
    if type_ == "array" and schema.get("items") is None:
        yield field_errors.required((*at, "items"), "must be specified")
    if schema.get(_EMBEDDED):
        if type_ != "object":
            why = f"must be object if {_EMBEDDED} is true"
            yield (
                field_errors.required((*at, "type"), why)
                if not type_
                else field_errors.invalid((*at, "type"), type_, why)
            )
        if not schema.get("properties") and not schema.get(_PRESERVE):
            why = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
            yield field_errors.required((*at, "properties"), why)


def _keywords(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    for name in _NOT_SUPPORTED:
        if schema.get(name):
            yield field_errors.forbidden((*at, name), f"{name} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield field_errors.forbidden((*at, "uniqueItems"), why)
    more = schema.get("additionalProperties")
    if more and schema.get("properties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield field_errors.forbidden((*at, "additionalProperties"), why)
    if schema.get(_PRESERVE) is False:
        yield field_errors.invalid((*at, _PRESERVE), False, "must be true or undefined")
    if (pattern := schema.get("pattern")) and (mistake := regexes.go_mistake(str(pattern))):
        why = f"must be a valid regular expression, but isn't: error parsing regexp: {mistake}"
        yield field_errors.invalid((*at, "pattern"), pattern, why)


def _topology(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    type_, list_type, keys = schema.get("type"), schema.get(_LIST_TYPE), schema.get(_LIST_KEYS) or []
    items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
    assert isinstance(items, dict)
    if list_type is not None and list_type not in _LIST_TYPES:
        yield field_errors.unsupported((*at, _LIST_TYPE), list_type, _LIST_TYPES)
    if list_type is not None and type_ != "array":
        yield field_errors.invalid((*at, "type"), type_, f"must be array if {_LIST_TYPE} is specified")
    if keys and list_type != "map":
        why = f"must be map if {_LIST_KEYS} is non-empty"
        yield (
            field_errors.required((*at, _LIST_TYPE), why)
            if list_type is None
            else field_errors.invalid((*at, _LIST_TYPE), list_type, why)
        )
    if list_type == "map":
        if not keys:
            yield field_errors.required((*at, _LIST_KEYS), f"must not be empty if {_LIST_TYPE} is map")
        yield from _map_keys(items, keys, at)
    if list_type == "set" and items.get("type") in ("object", "array"):
        name = _MAP_TYPE if items["type"] == "object" else _LIST_TYPE
        if items.get(name) != "atomic":
            why = f"must be atomic as item of a list with {_LIST_TYPE}=set"
            yield field_errors.invalid((*at, "items", name), items.get(name), why)
    if (map_type := schema.get(_MAP_TYPE)) is not None:
        if map_type not in _MAP_TYPES:
            yield field_errors.unsupported((*at, _MAP_TYPE), map_type, _MAP_TYPES)
        if type_ != "object":
            yield field_errors.invalid((*at, "type"), type_, f"must be object if {_MAP_TYPE} is specified")


def _map_keys(items: JsonObject, keys: list[str], at: Path) -> Iterator[FieldError]:
    properties = items.get("properties") or {}
    if any(key not in properties for key in keys):
        yield field_errors.invalid((*at, _LIST_KEYS), keys, "entries must all be names of item properties")
    for key in keys:
        part = properties.get(key)
        if part is not None and "default" not in part and key not in (items.get("required") or ()):
            why = f"this property is in {_LIST_KEYS}, so it must have a default or be a required property"
            yield field_errors.required((*at, "items", "properties", Key(key), "default"), why)


def _envelope(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    properties = schema.get("properties") or {}
    for name in ("apiVersion", "kind"):
        type_ = (properties.get(name) or {}).get("type") or "string"
        if type_ != "string":
            yield field_errors.invalid((*at, "properties", Key(name), "type"), type_, "must be string")
    metadata = properties.get("metadata") or {}
    place = (*at, "properties", Key("metadata"))
    if (type_ := metadata.get("type") or "object") != "object":
        yield field_errors.invalid((*place, "type"), type_, "must be object")
    if (metadata.get("properties") or {}).keys() - {"name", "generateName"}:
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield field_errors.forbidden(place, why)


def _parts(schema: JsonObject) -> Iterator[tuple[str, tuple[int, ...], JsonObject]]:
    """The schemas that only check values."""
    for keyword in _NESTED:
        for index, part in enumerate(schema.get(keyword) or ()):
            yield keyword, (index,), part
    if isinstance(part := schema.get("not"), dict):
        yield "not", (), part


def _nested(part: JsonObject, at: Path, outer: JsonObject | None, outside: Path) -> Iterator[FieldError]:
    """A schema that checks values may not say more than `outer`, the schema of the same value."""
    int_or_string = outer is not None and bool(outer.get("x-kubernetes-int-or-string"))
    for name in _EMPTY_IN_NESTED:
        if part.get(name) and not (name == "type" and int_or_string):
            yield field_errors.forbidden((*at, name), "must be empty to be structural")
    if "default" in part:
        yield field_errors.forbidden((*at, "default"), "must be undefined to be structural")
    if part.get("nullable"):
        yield field_errors.forbidden((*at, "nullable"), "must be false to be structural")
    if "additionalProperties" in part:
        yield field_errors.forbidden((*at, "additionalProperties"), "must be undefined to be structural")
    known = (outer or {}).get("properties") or {}
    for name, inner in (part.get("properties") or {}).items():
        place, there = (*at, "properties", Key(name)), (*outside, "properties", Key(name))
        if outer is not None and name not in known:
            yield field_errors.required(there, f"because it is defined in {field_errors.field_name(place)}")
        yield from _nested(inner, place, known.get(name), there)
    if isinstance(items := part.get("items"), dict):
        own = (outer or {}).get("items")
        if outer is not None and not isinstance(own, dict):
            why = f"because it is defined in {field_errors.field_name((*at, 'items'))}"
            yield field_errors.required((*outside, "items"), why)
        yield from _nested(items, (*at, "items"), own if isinstance(own, dict) else None, (*outside, "items"))
    for keyword, index, inner in _parts(part):
        yield from _nested(inner, (*at, keyword, *index), outer, outside)


def _default(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    value = schema["default"]
    if value is None and schema.get("nullable"):
        return
    wrapped = {"type": "object", "properties": {"": schema}}  # so that a default may be of any type
    found = structural.refusals(wrapped, {"": value})
    for fault in found:
        yield FieldError((*at, *fault.path[1:]), fault.reason, fault.message)
    if not found and structural.unknown_fields(wrapped, {"": value}):
        text = json.dumps(value, separators=(",", ":"))
        yield FieldError(at, Reason.INVALID, f"Invalid value: {text}: must not have unknown fields")


def _rules(schema: JsonObject, at: Path) -> Iterator[tuple[tuple[Path, JsonObject], JsonObject]]:
    """The CEL rules of a schema and its parts: each with its place and its schema."""
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield ((*at, "x-kubernetes-validations", index), schema), rule
    for name, part in (schema.get("properties") or {}).items():
        yield from _rules(part, (*at, "properties", Key(name)))
    for name in ("items", "additionalProperties"):
        if isinstance(part := schema.get(name), dict):
            yield from _rules(part, (*at, name))


def _rule(rule: JsonObject, place: tuple[Path, JsonObject]) -> Iterator[FieldError]:
    at, schema = place
    if not str(rule.get("rule") or "").strip():
        yield field_errors.required((*at, "rule"), "rule is not specified")
    message = rule.get("message")
    if message and not str(message).strip():
        yield field_errors.invalid((*at, "message"), message, "must be non-empty if specified")
    elif message and "\n" in str(message):
        yield field_errors.invalid((*at, "message"), message, "must not contain line breaks")
    if (reason := rule.get("reason")) is not None and reason not in _REASONS:
        yield field_errors.unsupported((*at, "reason"), reason, _REASONS)
    if rule.get("optionalOldSelf") and "oldSelf" not in str(rule.get("rule")):
        yield field_errors.invalid((*at, "optionalOldSelf"), True, "may not be set if oldSelf is not used in rule")
    if (path := rule.get("fieldPath")) and not refers(schema, str(path)):
        yield field_errors.invalid((*at, "fieldPath"), path, "must be a valid path")


def refers(schema: JsonObject, path: str) -> bool:
    """Whether ``.spec['a.b']`` is a field of a schema."""
    from lockgate.embedded.kubernetes.custom.cel import field_path

    part: Any = schema
    for name in field_path(path):
        more = part.get("additionalProperties")
        part = (part.get("properties") or {}).get(name) or (more if isinstance(more, dict) else None)
        if part is None:
            return False
    return path.startswith((".", "["))
