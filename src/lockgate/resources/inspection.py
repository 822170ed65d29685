"""One object of a file to its typed form, with everything that is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lockgate.resources import codes, source, syntax, validation
from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.chunks import Chunk
from lockgate.resources.codes import Code
from lockgate.resources.field_errors import FieldError, Path, Reason, json_type
from lockgate.resources.finding import Finding, Position
from lockgate.resources.model import JsonObject, Resource, kinds
from lockgate.resources.scalars import plain_scalar
from lockgate.resources.source import Unreadable


@dataclass(frozen=True, slots=True)
class Inspected:
    """`named` is whether the object has an identity to be listed under; `resource` is None when its kind is not one of
    ours, or when its fields have the wrong shape."""

    resource: Resource | None
    findings: tuple[Finding, ...]
    named: bool


def inspect(manifest: JsonObject, chunk: Chunk, path: Path, *, templated: bool) -> Inspected:
    """The object at `path` of a document. `manifest` gets the namespace that kubectl would put it into.

    `templated` is whether the document may hold a template.

    Raises Unreadable for a template.
    """
    inspection = _Inspection(manifest, chunk, path, templated)
    resource, named = None, False
    if inspection.identified():
        resource, named = inspection.resource(), inspection.named()
    return Inspected(resource, tuple(inspection.findings), named)


class _Inspection:
    """Collects the findings of one object on the way to its typed form."""

    def __init__(self, manifest: JsonObject, chunk: Chunk, path: Path, templated: bool) -> None:
        self._manifest = manifest
        self._chunk = chunk
        self._path = path
        self._templated = templated
        self.findings: list[Finding] = []
        self._subject = _subject(manifest)

    def resource(self) -> Resource | None:
        group, _, version = self._manifest["apiVersion"].rpartition("/")
        kind = self._manifest["kind"]
        model = kinds().get((group, kind)) or _moved(group, kind)
        if model is None:
            self._place(namespaced=None)
            return None
        self._place(namespaced=model.KIND.namespaced)
        if group != model.KIND.group or version not in model.KIND.versions:
            self._tell(
                codes.VERSION,
                f"{kind} is not served as {self._manifest['apiVersion']}",
                ("apiVersion",),
                mend=f"use {', '.join(_versions(model))}",
            )
            return None
        if not model.OPEN and kind not in _CARRIES_TEXT and self._templated and _is_template(self._manifest):
            raise Unreadable(syntax.template(self._at(("metadata",))))
        return self._typed(model)

    def _typed(self, model: type[Resource]) -> Resource | None:
        seen = validation.examine(model, self._manifest)
        for path in seen.unknown[:_MOST]:
            self._unknown(model, path)
        for fault in seen.refusals[:_MOST]:
            self._refused(fault)
        if (more := len(seen.unknown[_MOST:]) + len(seen.refusals[_MOST:])) > 0:
            self._tell(codes.INVALID if seen.refusals[_MOST:] else codes.UNKNOWN_FIELD, f"{more} more of this kind", ())
        if seen.resource is not None:
            for fault in validation.warnings(seen.resource):
                self._tell(codes.WARNED_BY_WEBHOOK, str(fault), fault.path)
        return seen.resource

    def identified(self) -> bool:
        good = True
        for name in ("apiVersion", "kind"):
            value = self._manifest.get(name)
            if not isinstance(value, str) or not value:
                found = "nothing" if value in (None, "") else json_type(value)
                self._tell(codes.NO_KIND, f"expected {name}, found {found}", (name,), mend=_KIND_MEND)
                good = False
        metadata = self._manifest.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            self._tell(codes.WRONG_TYPE, f"metadata: expected an object, found {json_type(metadata)}", ("metadata",))
            return False
        return good

    def named(self) -> bool:
        metadata = self._manifest.get("metadata") or {}
        name = metadata.get("name")
        if isinstance(name, str) and name:
            return True
        if name is None or name == "":
            mend = "give it a name; generateName only works with `kubectl create`" if "generateName" in metadata else ""
            self._tell(codes.NO_NAME, "metadata.name is missing", ("metadata",), mend=mend or "name the object")
        elif not any(finding.code == codes.WRONG_TYPE.id for finding in self.findings):
            self._tell(
                codes.WRONG_TYPE, f"metadata.name: expected string, found {json_type(name)}", ("metadata", "name")
            )
        return False

    def _place(self, namespaced: bool | None) -> None:
        """Say which namespace the object is in, as kubectl and the API server do together."""
        metadata = self._manifest.get("metadata") or {}
        namespace = metadata.get("namespace")
        if self._manifest["kind"] == "IstioOperator":
            # istioctl reads it, no API server does; the name is the one under which istioctl keeps what it installed.
            self._manifest["metadata"] = {"name": "installed-state", "namespace": "istio-system", **metadata}
        elif namespaced and not namespace:
            metadata["namespace"] = "default"
            self._manifest["metadata"] = metadata
        elif namespaced is False and namespace:
            self._tell(
                codes.CLUSTER_SCOPED,
                f"{self._manifest['kind']} is cluster-scoped; its namespace has no effect",
                ("metadata", "namespace"),
                mend="remove it",
            )
            del metadata["namespace"]

    def _refused(self, fault: FieldError) -> None:
        if fault.path == ("metadata", "name") and fault.reason is Reason.REQUIRED:
            return  # reported once, for every kind, by `named`
        if fault.webhook:
            self._tell(codes.REFUSED_BY_WEBHOOK, f"{fault} (refused by {fault.webhook})", fault.path)
        elif fault.reason is Reason.TYPE:
            self._wrong_type(fault)
        else:
            self._tell(_CODE_OF[fault.reason], str(fault), fault.path)

    def _wrong_type(self, fault: FieldError) -> None:
        value = _value_at(self._manifest, fault.path)
        expected = fault.message.partition(" must be of type ")[2].partition(":")[0]
        found = json_type(value)
        mend = ""
        if expected == "string" and found in ("integer", "number", "boolean"):
            mend = "quote it"
        elif found == "string" and json_type(plain_scalar(value)) == expected:
            mend = "write it without quotes"
        shown = f" {value!r}" if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
        self._tell(codes.WRONG_TYPE, f"{fault.field}: expected {expected}, found {found}{shown}", fault.path, mend=mend)

    def _unknown(self, model: type[Resource], path: Path) -> None:
        near = validation.nearest(model, path)
        name = FieldError(path, Reason.INVALID, "").field
        self.findings.append(
            codes.UNKNOWN_FIELD.finding(
                f"{model.KIND.kind} has no field {name}",
                source.locate(self._chunk, (*self._path, *path), key=True),
                mend=f"did you mean `{near}`?" if near else "remove it, or check its indentation",
                subject=self._subject,
            )
        )

    def _tell(self, code: Code, message: str, path: Path, mend: str = "") -> None:
        self.findings.append(code.finding(message, self._at(path), mend=mend, subject=self._subject))

    def _at(self, path: Path) -> Position:
        return source.locate(self._chunk, (*self._path, *path))


# Findings of one object, of each sort.
_MOST = 20
_KIND_MEND = "every object begins with apiVersion, kind and metadata"
_CODE_OF = {
    Reason.REQUIRED: codes.REQUIRED,
    Reason.INVALID: codes.INVALID,
    Reason.UNSUPPORTED: codes.UNSUPPORTED,
    Reason.FORBIDDEN: codes.FORBIDDEN,
    Reason.DUPLICATE: codes.DUPLICATE_VALUE,
    Reason.TOO_LONG: codes.INVALID,
    Reason.TYPE: codes.WRONG_TYPE,
}
# Their content is other programs' text, which may well be templates.
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


# Helm's own objects and functions: other programs have braces too.
_ACTION = re.compile(r"\{\{-?\s*(?:\.Values|\.Release|\.Chart|include|template)\b")


def _moved(group: str, kind: str) -> type[Resource] | None:
    """A kind under the API group that has taken it over, where one has: no cluster serves it under the old one."""
    return next((model for each in _SUCCESSORS.get(group, ()) if (model := kinds().get((each, kind)))), None)


def _versions(model: type[Resource]) -> list[str]:
    group = f"{model.KIND.group}/" if model.KIND.group else ""
    return [group + version for version in model.KIND.versions]


def _subject(manifest: JsonObject) -> str:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    name = metadata.get("name") or metadata.get("generateName") or ""
    namespace = metadata.get("namespace")
    full = f"{namespace}/{name}" if namespace else str(name)
    return f"{manifest.get('kind') or 'object'} {full}".strip()


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
