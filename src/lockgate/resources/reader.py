"""Files of manifests to objects: everything that can be read is read, and all that is wrong is told with its place."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lockgate.resources import codes, source, validation
from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.codes import Code
from lockgate.resources.field_errors import FieldError, Path, Reason, json_type
from lockgate.resources.finding import Finding, Position, Severity
from lockgate.resources.model import JsonObject, Resource, kinds
from lockgate.resources.source import Chunk, Unreadable


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file.

    `manifest` is as written, but for `metadata.namespace`: a namespaced object without one is in ``default``, where
    kubectl would put it, and a cluster-scoped one has none. `resource` is its typed form; None when the kind is not
    one of ours, or when its fields have the wrong shape (then `findings` says so). What has no apiVersion, kind or
    name is no document, only a finding.
    """

    manifest: JsonObject
    resource: Resource | None
    position: Position
    findings: tuple[Finding, ...] = ()
    _chunk: Chunk = field(default=Chunk("", 0, ""), repr=False, compare=False)
    _path: Path = field(default=(), repr=False, compare=False)

    @property
    def accepted(self) -> bool:
        """Whether an API server would store it."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def at(self, *path: str | int) -> Position:
        """Where a field's value is, by manifest names: ``at("spec", "rules", 0)``; else the nearest above it."""
        return source.locate(self._chunk, (*self._path, *path))

    def key_at(self, *path: str | int) -> Position:
        """Where a field's key is."""
        return source.locate(self._chunk, (*self._path, *path), key=True)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. `findings` has all of them, the documents' own included, in the order of lines."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]


def read(text: str | bytes, file: str) -> Reading:
    """Read one file of YAML or JSON. Never raises: whatever is wrong is in `findings`. `file` is only a name."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            return Reading((), (codes.ENCODING.finding("not UTF-8 text", Position(file, line)),))
    if len(text) > source.MAX_TEXT:
        limit = source.MAX_TEXT // (1024 * 1024)
        return Reading((), (codes.LIMIT.finding(f"larger than {limit} MiB", Position(file, 1)),))
    with _no_collections():
        return _read(text.removeprefix("\ufeff"), file)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Reading makes many objects and no cycles: collecting meanwhile finds nothing, and doubles the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _read(text: str, file: str) -> Reading:
    documents: list[Document] = []
    findings: list[Finding] = []
    for chunk in source.split(text, file):
        found: list[Finding] = []
        try:
            value = source.load(chunk, found)
        except Unreadable as error:
            findings += [*found, error.finding]
            continue
        if value is None:
            continue
        findings += found
        for document in _documents(value, chunk, (), findings):
            documents.append(document)
            findings += document.findings
    findings += _twice(documents)
    return Reading(tuple(documents), tuple(sorted(findings, key=_line)))


def _line(finding: Finding) -> tuple[int, int]:
    return (finding.position.line, finding.position.column) if finding.position else (0, 0)


def _documents(value: Any, chunk: Chunk, path: Path, findings: list[Finding]) -> Iterator[Document]:
    if not isinstance(value, dict):
        what = {"array": "a list", "string": "text", "integer": "an integer"}.get(
            json_type(value), f"a {json_type(value)}"
        )
        findings.append(
            codes.NOT_AN_OBJECT.finding(
                f"expected an object with apiVersion, kind and metadata, found {what}",
                source.locate(chunk, path),
            )
        )
        return
    if _is_list(value):
        items = value.get("items")
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _documents(item, chunk, (*path, "items", index), findings)
        return
    examination = _Examination(value, chunk, path)
    document = examination.document()
    if document is None:
        findings += examination.findings
    else:
        yield document


def _is_list(value: JsonObject) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)


class _Examination:
    """One object under the glass: collects its findings on the way to its typed form."""

    def __init__(self, manifest: JsonObject, chunk: Chunk, path: Path) -> None:
        self._manifest = manifest
        self._chunk = chunk
        self._path = path
        self.findings: list[Finding] = []
        self._subject = _subject(manifest)

    def document(self) -> Document | None:
        """None when the object has no identity to be listed under."""
        if not self._identified():
            return None
        resource = self._resource()
        if not self._named():
            return None
        position = source.locate(self._chunk, self._path) if self._path else _first_line(self._chunk)
        return Document(self._manifest, resource, position, tuple(self.findings), self._chunk, self._path)

    def _resource(self) -> Resource | None:
        group, _, version = self._manifest["apiVersion"].rpartition("/")
        kind = self._manifest["kind"]
        model = kinds().get((group, kind)) or _moved(group, kind)
        if model is None:
            self._tell(
                codes.NOT_ACTED_ON, f"{kind} of {self._manifest['apiVersion']} is stored, not acted on", ("kind",)
            )
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
        if not model.OPEN and kind not in _CARRIES_TEXT and _is_template(self._chunk.text):
            self.findings.append(source.template(self._chunk, self._at(("metadata",))))
            return None
        return self._typed(model)

    def _typed(self, model: type[Resource]) -> Resource | None:
        seen = validation.examine(model, self._manifest)
        for path in seen.unknown:
            self._unknown(model, path)
        for fault in seen.refusals:
            self._refused(fault)
        if seen.resource is not None:
            for fault in validation.warnings(seen.resource):
                self._tell(codes.WARNED_BY_WEBHOOK, str(fault), fault.path)
        return seen.resource

    def _identified(self) -> bool:
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

    def _named(self) -> bool:
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
            return  # told once, for every kind, by _named
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
        elif expected in ("integer", "number", "boolean") and found == "string":
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


def _is_template(text: str) -> bool:
    return any(sign in text for sign in ("{{ .Values", "{{ .Release", "{{ include", "{{- include", "{{.Values"))


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


def _first_line(chunk: Chunk) -> Position:
    """Where the document's text begins: past its mark and comments."""
    match = _BEFORE_TEXT.match(chunk.text)
    start = match.end() if match else 0
    return chunk.position(chunk.text.count("\n", 0, start), start - chunk.text.rfind("\n", 0, start) - 1)


_BEFORE_TEXT = re.compile(r"(?:---(?=\s)|%[^\n]*|#[^\n]*|\s)*")


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _twice(documents: list[Document]) -> Iterator[Finding]:
    seen: dict[object, Document] = {}
    for document in documents:
        if document.resource is None or not document.resource.name:
            continue
        key = document.resource.key
        if (earlier := seen.get(key)) is not None:
            yield codes.DUPLICATE_OBJECT.finding(
                f"{key} is defined at line {earlier.position.line} already; this one replaces it",
                document.position,
                mend="remove one of them",
                subject=str(key),
            )
        seen[key] = document
