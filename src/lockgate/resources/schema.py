"""The kinds' models as OpenAPI v3, with which kubectl validates, explains, diffs and merges.

Schemas are inlined per kind, so that a kind's lists can have different merge keys; only `ObjectMeta` is shared.
`kubectl explain` shows the models' docstrings.
"""

from __future__ import annotations

import inspect
import re
from functools import cache

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.merge_keys import FieldPath, list_rule
from lockgate.resources.model import JsonObject, Kind, Model, ObjectMeta, Resource, kinds, manifest_name
from lockgate.resources.shape import Field, Free, ListOf, MapOf, Object, Scalar, Shape, shape_of

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def openapi(group: str, version: str) -> JsonObject:
    """The document of one group and version. Raises KeyError if no kind is served there."""
    models = [model for model in kinds().values() if model.KIND.group == group and version in model.KIND.versions]
    if not models:
        raise KeyError(f"{group}/{version}")
    schemas: JsonObject = {}
    paths: JsonObject = {}
    for model in sorted(models, key=lambda model: model.KIND.kind):
        name, parts = component(model, version)
        schemas.update(parts)
        paths |= _paths(model.KIND, version, f"#/components/schemas/{name}")
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


@cache
def component(model: type[Resource], version: str) -> tuple[str, JsonObject]:
    """The name of a kind's schema, and all schemas that it needs, by name. Do not modify the result."""
    kind = model.KIND
    name = f"{component_prefix(kind.group)}.{version}.{kind.kind}"
    schema = _object(shape_of(model), model, ())
    schema["properties"]["metadata"] = {
        "description": "Name, namespace, labels, annotations and what the API keeps of every object.",
        "allOf": [{"$ref": f"#/components/schemas/{OBJECT_META}"}],
        "default": {},
    }
    schema["x-kubernetes-group-version-kind"] = [_group_version_kind(kind, version)]
    return name, {name: schema, OBJECT_META: _object(shape_of(ObjectMeta), model, ("metadata",))}


def component_prefix(group: str) -> str:
    """Groups are written from the top level down, as upstream's schema names are: ``io.istio.networking``."""
    if not group:
        return "io.k8s.api.core"
    if "." not in group:
        return f"io.k8s.api.{group}"
    return ".".join(reversed(group.split(".")))


def _object(shape: Object, model: type[Resource], path: FieldPath) -> JsonObject:
    schema: JsonObject = {"type": "object"}
    if text := _description(shape.model):
        schema["description"] = text
    if required := [field.name for field in shape.fields.values() if field.required]:
        schema["required"] = required
    schema["properties"] = {field.name: _field(field, model, (*path, field.name)) for field in shape.fields.values()}
    if shape.model.OPEN:
        schema["x-kubernetes-preserve-unknown-fields"] = True
    return schema


def _field(field: Field, model: type[Resource], path: FieldPath) -> JsonObject:
    schema = _schema(field.shape, model, path)
    if field.default is not None and len(path) > 1:
        schema["default"] = field.default
    if isinstance(field.shape, ListOf):
        schema |= _list_extensions(model, path)
    return schema


def _schema(shape: Shape, model: type[Resource], path: FieldPath) -> JsonObject:
    match shape:
        case Scalar(type="int-or-string"):
            return {"x-kubernetes-int-or-string": True, "oneOf": [{"type": "integer"}, {"type": "string"}]}
        case Scalar(type="any"):
            return {"x-kubernetes-preserve-unknown-fields": True}
        case Scalar(type=type, choices=choices):
            return {"type": type, "enum": list(choices)} if choices else {"type": type}
        case ListOf(item):
            return {"type": "array", "items": _schema(item, model, path)}
        case MapOf(value):
            return {"type": "object", "additionalProperties": _schema(value, model, path)}
        case Free():
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case Object():
            return _object(shape, model, path)


def _list_extensions(model: type[Resource], path: FieldPath) -> JsonObject:
    rule = list_rule(model, path)
    extensions: JsonObject = {}
    if rule.keys is None:
        extensions["x-kubernetes-list-type"] = "atomic"
    elif rule.keys:
        extensions["x-kubernetes-list-type"] = "map"
        extensions["x-kubernetes-list-map-keys"] = list(rule.keys)
    else:
        extensions["x-kubernetes-list-type"] = "set"
    if rule.patch_key is not None:
        extensions["x-kubernetes-patch-strategy"] = "merge"
        if rule.patch_key:
            extensions["x-kubernetes-patch-merge-key"] = rule.patch_key
    return extensions


def _description(model: type[Model]) -> str:
    # Only the class's own docstring; those of pydantic and of base classes are not about the kind.
    text = inspect.cleandoc(model.__dict__.get("__doc__") or "")
    return _FIELD_NAME.sub(lambda match: manifest_name(match[1]), text).replace("`", "")


_FIELD_NAME = re.compile("`([a-z0-9_]+)`")


_SUBJECT = {"get": "read", "put": "replace", "patch": "patch", "delete": "delete", "post": "create"}


def _paths(kind: Kind, version: str, reference: str) -> JsonObject:
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection, item = f"{root}{scope}/{kind.plural}", f"{root}{scope}/{kind.plural}/{{name}}"
    return {
        collection: {"post": _operation(kind, version, "post", reference)},
        item: {verb: _operation(kind, version, verb, reference) for verb in ("get", "put", "patch", "delete")},
    }


def _operation(kind: Kind, version: str, verb: str, reference: str) -> JsonObject:
    names = {
        "post": ("dryRun", "fieldManager", "fieldValidation"),
        "put": ("dryRun", "fieldManager", "fieldValidation"),
        "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
        "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
    }.get(verb, ())
    types = {"force": "boolean", "gracePeriodSeconds": "integer"}
    answer = {"description": "OK", "content": {"application/json": {"schema": {"$ref": reference}}}}
    return {
        "operationId": f"{_SUBJECT[verb]}{kind.group.title().replace('.', '')}{version.title()}{kind.kind}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": types.get(name, "string")}} for name in names],
        "responses": {"200": answer},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": _group_version_kind(kind, version),
    }


def _group_version_kind(kind: Kind, version: str) -> JsonObject:
    return {"group": kind.group, "version": version, "kind": kind.kind}
