"""The OpenAPI v2 document of all kinds, for kubectl before 1.29, Terraform and generators: JSON, or protobuf.

It is made of the documents of version 3. Version 2 lacks `oneOf`, `anyOf`, `not` and `nullable`, and kubectl cannot
read some schemas without a type, so parts of users' schemas are left out as in apiextensions-apiserver's
`pkg/controller/openapi/v2/conversion.go`.

The messages are those of google/gnostic's `openapiv2/OpenAPIv2.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from lockgate.embedded.kubernetes.exchange import encoded
from lockgate.embedded.kubernetes.protobuf.wire import BYTES, FIXED64, VARINT, delimited, tag, varint
from lockgate.resources.model import JsonObject

_V3, _V2 = "#/components/schemas/", "#/definitions/"
_NOT_IN_V2 = frozenset({"allOf", "oneOf", "anyOf", "not", "nullable"})


def swagger(documents: Iterable[JsonObject]) -> JsonObject:
    """One document from those of all groups and versions."""
    paths: JsonObject = {}
    definitions: JsonObject = {}
    info: JsonObject = {}
    for document in documents:
        info = document["info"]
        for name, schema in document["components"]["schemas"].items():
            if len(str(schema)) > len(str(definitions.get(name, ""))):  # groups know more or less of shared ones
                definitions[name] = _schema(schema)
        for path, operations in document["paths"].items():
            paths[path] = {method: _operation(each) for method, each in operations.items()}
    return {"swagger": "2.0", "info": info, "paths": paths, "definitions": dict(sorted(definitions.items()))}


def _schema(schema: JsonObject) -> JsonObject:
    if reference := _reference(schema):
        described = {"description": schema["description"]} if "description" in schema else {}
        return {"$ref": reference.replace(_V3, _V2), **described}
    result = {name: value for name, value in schema.items() if name not in _NOT_IN_V2}
    opaque = bool(schema.get("nullable")) or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    properties = schema.get("properties") or {}
    if schema.get("nullable"):
        result.pop("type", None)
    if opaque:
        result.pop("items", None)
        result.pop("properties", None)
        if result.get("type") == "object":
            del result["type"]
    elif properties:
        result["properties"] = {name: _schema(each) for name, each in properties.items()}
        required = [name for name in schema.get("required") or () if not (properties.get(name) or {}).get("nullable")]
        result.pop("required", None)
        result |= {"required": required} if required else {}
    if isinstance(result.get("items"), dict):
        result["items"] = _schema(result["items"])
    elif result.get("type") == "array":
        del result["type"]
    if isinstance(extra := result.get("additionalProperties"), dict):
        result["additionalProperties"] = _schema(extra)
    return result


def _reference(schema: JsonObject) -> str:
    """What a schema refers to. Version 3 wraps a reference that has a description or a default in `allOf`."""
    combined = list(schema.get("allOf") or ())
    alone = combined[0] if len(combined) == 1 else schema
    return str(alone.get("$ref") or "")


def _operation(operation: JsonObject) -> JsonObject:
    content = operation["responses"]["200"]["content"]["application/json"]
    schema = {"$ref": content["schema"]["$ref"].replace(_V3, _V2)}
    parameters = [{"name": each["name"], "in": each["in"], **each["schema"]} for each in operation["parameters"]]
    if operation["x-kubernetes-action"] in ("post", "put", "patch"):
        body = schema if operation["x-kubernetes-action"] != "patch" else {"type": "object"}
        parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": body})
    return {
        **{name: value for name, value in operation.items() if name not in ("parameters", "responses")},
        "consumes": ["*/*"],
        "produces": ["application/json"],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "schema": schema}},
    }


# --- protobuf ---------------------------------------------------------------------------------------------------------


def message(document: JsonObject) -> bytes:
    """The document as a message `Document`."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(_named(2, path, _path_item(item)) for path, item in document["paths"].items())
    return b"".join(
        (
            _text(1, document["swagger"]),
            _part(2, info),
            _part(8, paths),
            _part(9, _named_schemas(document["definitions"])),
        )
    )


_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def _path_item(item: JsonObject) -> bytes:
    return b"".join(_part(_METHODS[method], _operation_message(each)) for method, each in item.items())


def _operation_message(operation: JsonObject) -> bytes:
    (response,) = operation["responses"].values()
    answer = _text(1, response["description"]) + _part(2, _part(1, _schema_message(response["schema"])))
    return b"".join(
        (
            _text(5, operation["operationId"]),
            *(_text(6, each) for each in operation["produces"]),
            *(_text(7, each) for each in operation["consumes"]),
            *(_part(8, _part(1, _parameter(each))) for each in operation["parameters"]),
            _part(9, _named(1, "200", _part(1, answer))),
            *(_text(10, each) for each in operation["schemes"]),
            *_extensions(13, operation),
        )
    )


def _parameter(parameter: JsonObject) -> bytes:
    if parameter["in"] == "body":
        head = _text(2, parameter["name"]) + _text(3, "body") + _flag(4, parameter["required"])
        return _part(1, head + _part(5, _schema_message(parameter["schema"])))
    return _part(2, _part(3, _text(2, "query") + _text(4, parameter["name"]) + _text(6, parameter["type"])))


_TEXTS: Final = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_DOUBLES: Final = {"multipleOf": 6, "maximum": 7, "minimum": 9}
_FLAGS: Final = {"exclusiveMaximum": 8, "exclusiveMinimum": 10, "uniqueItems": 16}
_INTEGERS: Final = {
    "maxLength": 11,
    "minLength": 12,
    "maxItems": 14,
    "minItems": 15,
    "maxProperties": 17,
    "minProperties": 18,
}


def _schema_message(schema: JsonObject) -> bytes:
    return b"".join(_schema_fields(schema))


def _schema_fields(schema: JsonObject) -> Iterator[bytes]:
    for name, value in schema.items():
        match name:
            case "default" | "example":
                yield _part(5 if name == "default" else 30, _any(value))
            case "required":
                yield from (_text(19, each) for each in value)
            case "enum":
                yield from (_part(20, _any(each)) for each in value)
            case "additionalProperties":
                yield _part(21, _flag(2, value) if isinstance(value, bool) else _part(1, _schema_message(value)))
            case "type":
                yield _part(22, _text(1, value))
            case "items":
                yield _part(23, _part(1, _schema_message(value)))
            case "properties":
                yield _part(25, _named_schemas(value))
            case _ if name in _TEXTS:
                yield _text(_TEXTS[name], value)
            case _ if name in _DOUBLES:
                yield tag(_DOUBLES[name], FIXED64) + struct.pack("<d", value)
            case _ if name in _FLAGS:
                yield _flag(_FLAGS[name], value)
            case _ if name in _INTEGERS:
                yield tag(_INTEGERS[name], VARINT) + varint(int(value))
    yield from _extensions(31, schema)


def _named_schemas(schemas: JsonObject) -> bytes:
    return b"".join(_named(1, name, _schema_message(schema)) for name, schema in schemas.items())


def _extensions(number: int, owner: JsonObject) -> Iterator[bytes]:
    return (_named(number, name, _any(value)) for name, value in owner.items() if name.startswith("x-"))


def _any(value: Any) -> bytes:
    return _part(2, encoded(value))  # as YAML, which JSON is


def _named(number: int, name: str, value: bytes) -> bytes:
    return _part(number, _text(1, name) + _part(2, value))


def _text(number: int, value: str) -> bytes:
    return _part(number, value.encode())


def _flag(number: int, value: bool) -> bytes:
    return tag(number, VARINT) + varint(value)


def _part(number: int, value: bytes) -> bytes:
    return delimited(tag(number, BYTES), value)
