"""Converts one object of a file to its typed form, and collects its faults."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources import validation
from lockgate.resources.codes import admission, objects, reading
from lockgate.resources.faults import Code, Fault, Origin, Position, Remove
from lockgate.resources.field_errors import FieldError, Path, Reason, field_name, json_type, value_at
from lockgate.resources.interning import interned
from lockgate.resources.model import JsonObject, ObjectKey, Resource, kinds
from lockgate.resources.scalars import plain_scalar


@dataclass(frozen=True, slots=True)
class Found:
    """A fault of an object, before the object's key is known."""

    code: Code
    path: Path
    at_key: bool
    values: dict[str, object]

    def at(self, origin: Origin | Position) -> Fault:
        if not isinstance(origin, Origin):
            return self.code.at(origin, **self.values)
        place = replace(origin, path=self.path, at_key=self.at_key)
        fault = self.code.at(place, **self.values)
        return fault.fixed_by(Remove(place)) if self.code is objects.CLUSTER_SCOPED else fault


@dataclass(frozen=True, slots=True)
class Inspected:
    """`key` is None for an object without an identity. `resource` is None if its kind is not supported, or its fields
    have the wrong shape."""

    resource: Resource | None
    found: tuple[Found, ...]
    key: ObjectKey | None


def inspect(manifest: JsonObject, *, templated: bool) -> Inspected:
    """Sets the namespace in `manifest` as kubectl does. `templated` means that its document may contain a template.

    Raises Template.
    """
    inspection = _Inspection(manifest, templated)
    resource, key = None, None
    if inspection.identified():
        resource = inspection.resource()
        key = inspection.key() if inspection.named() else None
    return Inspected(resource, tuple(inspection.found), key)


class Template(Exception):
    """The object contains Helm expressions."""


class _Inspection:
    """Collects the faults of one object while it is converted."""

    def __init__(self, manifest: JsonObject, templated: bool) -> None:
        self._manifest = manifest
        self._templated = templated
        self.found: list[Found] = []

    def resource(self) -> Resource | None:
        group, _, version = self._manifest["apiVersion"].rpartition("/")
        kind = self._manifest["kind"]
        model = kinds().get((group, kind)) or _moved(group, kind)
        if model is None:
            self._place(namespaced=None)
            return None
        self._place(namespaced=model.KIND.namespaced)
        if group != model.KIND.group or version not in model.KIND.versions:
            served = ", ".join(_versions(model))
            self._report(
                objects.VERSION, ("apiVersion",), kind=kind, version=self._manifest["apiVersion"], served=served
            )
            return None
        if not model.OPEN and kind not in _CARRIES_TEXT and self._templated and _is_template(self._manifest):
            raise Template
        return self._typed(model)

    def _typed(self, model: type[Resource]) -> Resource | None:
        seen = validation.examine(model, self._manifest)
        for path in seen.unknown[:_MOST]:
            self._unknown(model, path)
        for error in seen.refusals[:_MOST]:
            self._refused(error)
        if more := len(seen.unknown[_MOST:]):
            self._report(objects.MORE_UNKNOWN_FIELDS, (), count=more)
        if more := len(seen.refusals[_MOST:]):
            self._report(admission.MORE_INVALID, (), count=more)
        if seen.resource is not None:
            interned(seen.resource)
            for warning in validation.warnings(seen.resource):
                self._report(admission.WARNED_BY_WEBHOOK, warning.path, warning=warning)
        return seen.resource

    def identified(self) -> bool:
        good = True
        for name in ("apiVersion", "kind"):
            value = self._manifest.get(name)
            if not isinstance(value, str) or not value:
                found = "nothing" if value in (None, "") else json_type(value)
                self._report(reading.NO_KIND, (name,), field=name, found=found)
                good = False
        metadata = self._manifest.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            self._wrong_type(("metadata",), "object", metadata)
            return False
        return good

    def named(self) -> bool:
        metadata = self._manifest.get("metadata") or {}
        name = metadata.get("name")
        if isinstance(name, str) and name:
            return True
        if name is None or name == "":
            self._report(reading.GENERATED_NAME if "generateName" in metadata else reading.NO_NAME, ("metadata",))
        elif not any(found.code.id == objects.WRONG_TYPE.id for found in self.found):
            self._wrong_type(("metadata", "name"), "string", name)
        return False

    def key(self) -> ObjectKey:
        metadata = self._manifest["metadata"]
        namespace = metadata.get("namespace")
        group = self._manifest["apiVersion"].rpartition("/")[0]
        place = namespace if isinstance(namespace, str) else ""
        return ObjectKey(group, self._manifest["kind"], place, metadata["name"])

    def _place(self, namespaced: bool | None) -> None:
        """Determines the object's namespace as kubectl and the API server do together."""
        metadata = self._manifest.get("metadata") or {}
        namespace = metadata.get("namespace")
        if self._manifest["kind"] == "IstioOperator":
            # Only istioctl reads it, no API server; the name is istioctl's for installed state.
            self._manifest["metadata"] = {"name": "installed-state", "namespace": "istio-system", **metadata}
        elif namespaced and not namespace:
            metadata["namespace"] = "default"
            self._manifest["metadata"] = metadata
        elif namespaced is False and namespace:
            self._report(objects.CLUSTER_SCOPED, ("metadata", "namespace"), kind=self._manifest["kind"])
            del metadata["namespace"]

    def _refused(self, error: FieldError) -> None:
        if error.path == ("metadata", "name") and error.reason is Reason.REQUIRED:
            return  # reported once, for every kind, by `named`
        if error.webhook:
            self._report(admission.REFUSED_BY_WEBHOOK, error.path, refusal=error, webhook=error.webhook)
        elif error.reason is Reason.TYPE:
            expected = error.message.partition(" must be of type ")[2].partition(":")[0]
            self._wrong_type(error.path, expected, value_at(self._manifest, error.path))
        else:
            self._report(_CODE_OF[error.reason], error.path, refusal=error)

    def _wrong_type(self, path: Path, expected: str, value: Any) -> None:
        found = json_type(value)
        secret = self._manifest.get("kind") == "Secret" and path[:1] in (("data",), ("stringData",))
        telling = isinstance(value, (str, int, float)) and not isinstance(value, bool) and not secret
        shown = f" {value!r}" if telling else ""
        code = objects.WRONG_TYPE
        if expected == "string" and found in ("integer", "number", "boolean"):
            code = objects.UNQUOTED
        elif found == "string" and json_type(plain_scalar(value)) == expected:
            code = objects.QUOTED
        self._report(code, path, field=field_name(path), expected=expected, found=f"{found}{shown}")

    def _unknown(self, model: type[Resource], path: Path) -> None:
        values: dict[str, object] = {"kind": model.KIND.kind, "field": field_name(path)}
        code = objects.UNKNOWN_FIELD
        if near := validation.nearest(model, path):
            code, values = objects.MISSPELT_FIELD, {**values, "near": near}
        self.found.append(Found(code, path, True, values))

    def _report(self, code: Code, path: Path, **values: object) -> None:
        self.found.append(Found(code, path, False, values))


# The maximum number of faults of one object, of each sort.
_MOST = 20
_CODE_OF = {
    Reason.REQUIRED: admission.REQUIRED,
    Reason.INVALID: admission.INVALID,
    Reason.UNSUPPORTED: admission.UNSUPPORTED,
    Reason.FORBIDDEN: admission.FORBIDDEN,
    Reason.DUPLICATE: admission.DUPLICATE_VALUE,
    Reason.TOO_LONG: admission.INVALID,
    Reason.TYPE: objects.WRONG_TYPE,
}
# Kinds that contain other programs' text, which may legitimately have templates.
_CARRIES_TEXT = {"ConfigMap", "Secret"}
_SUCCESSORS = {"extensions": ("networking.k8s.io", "apps"), "certmanager.k8s.io": ("cert-manager.io",)}


def _is_template(value: Any) -> bool:
    match value:
        case str():
            return _ACTION.search(value) is not None
        case dict():
            return any(_is_template(item) for item in value.values())
        case list():
            return any(_is_template(item) for item in value)
        case _:
            return False


# Helm's objects and functions; other programs use braces too.
_ACTION = re.compile(r"\{\{-?\s*(?:\.Values|\.Release|\.Chart|include|template)\b")


def _moved(group: str, kind: str) -> type[Resource] | None:
    """The kind under the API group that replaced an old one, if any: no cluster serves it under the old one."""
    return next((model for each in _SUCCESSORS.get(group, ()) if (model := kinds().get((each, kind)))), None)


def _versions(model: type[Resource]) -> list[str]:
    group = f"{model.KIND.group}/" if model.KIND.group else ""
    return [group + version for version in model.KIND.versions]
