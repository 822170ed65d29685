"""OpenAPI schemas of built-in kinds without a model, from the fields of their messages.

kubectl validates, merges and explains with them. There are no descriptions: those are upstream's.
"""

from __future__ import annotations

from lockgate.embedded.kubernetes.protobuf.messages import Field, fields_of, is_atomic, message_of
from lockgate.resources.model import JsonObject

_SCALARS: dict[str, JsonObject] = {
    "s": {"type": "string"},
    "b": {"type": "string", "format": "byte"},
    "i": {"type": "integer", "format": "int64"},
    "z": {"type": "boolean"},
    "d": {"type": "number", "format": "double"},
    "meta/v1.Time": {"type": "string", "format": "date-time"},
    "meta/v1.MicroTime": {"type": "string", "format": "date-time"},
    "meta/v1.FieldsV1": {"type": "object"},
    "resource.Quantity": {"x-kubernetes-int-or-string": True, "oneOf": [{"type": "string"}, {"type": "number"}]},
    "intstr.IntOrString": {"x-kubernetes-int-or-string": True, "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "runtime.RawExtension": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "ExtraValue": {"type": "array", "items": {"type": "string"}},
}
_PREFIXES = {
    "meta": "io.k8s.apimachinery.pkg.apis",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis",
}


def component(api_version: str, kind: str) -> tuple[str, dict[str, JsonObject]] | None:
    """The name of a kind's schema, and all schemas that it refers to; None for users' kinds."""
    message = message_of(api_version, kind)
    if message is None:
        return None
    schemas: dict[str, JsonObject] = {}
    _add(message, schemas)
    group, _, version = api_version.rpartition("/")
    name = _name(message)
    own = schemas[name]
    own["properties"] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **own["properties"]}
    own["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
    return name, schemas


def _name(message: str) -> str:
    package, _, name = message.rpartition(".")
    group, _, version = package.partition("/")
    return f"{_PREFIXES.get(group, 'io.k8s.api')}.{group}.{version}.{name}"


def _add(message: str, schemas: dict[str, JsonObject]) -> None:
    name = _name(message)
    if name in schemas:
        return
    schema: JsonObject = {"type": "object", "properties": {}}
    schemas[name] = schema
    if is_atomic(message):
        schema["x-kubernetes-map-type"] = "atomic"
    for field in _fields(message):
        schema["properties"][field.name] = _property(field, schemas)


def _fields(message: str) -> list[Field]:
    """The fields of a message, and those of its inlined messages."""
    return [own for field in fields_of(message) for own in ([field] if field.name else _fields(field.of))]


def _property(field: Field, schemas: dict[str, JsonObject]) -> JsonObject:
    inner = _type(field.of, schemas)
    if field.many == "%":
        atomic = {"x-kubernetes-map-type": "atomic"} if field.atomic else {}
        return {"type": "object", "additionalProperties": inner, **atomic}
    strategy = ["merge"] * (field.patch_key is not None) + ["retainKeys"] * field.retain_keys
    extensions: JsonObject = {"x-kubernetes-patch-strategy": ",".join(strategy)} if strategy else {}
    if field.many != "*":
        return {**inner, **extensions}
    if field.patch_key:
        extensions["x-kubernetes-patch-merge-key"] = field.patch_key
    if field.keys is None:
        extensions["x-kubernetes-list-type"] = "atomic"
    elif field.keys:
        extensions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(field.keys)}
    else:
        extensions["x-kubernetes-list-type"] = "set"
    return {"type": "array", "items": inner, **extensions}


def _type(of: str, schemas: dict[str, JsonObject]) -> JsonObject:
    if known := _SCALARS.get(of):
        return dict(known)
    if of.startswith("apiextensions/v1.JSON") and of != "apiextensions/v1.JSONSchemaProps":
        return {"x-kubernetes-preserve-unknown-fields": True}
    _add(of, schemas)
    return {"allOf": [{"$ref": f"#/components/schemas/{_name(of)}"}]}
