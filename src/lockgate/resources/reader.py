"""Files of manifests to objects. Everything that can be read is read; everything that is wrong has its place."""

from __future__ import annotations

import codecs
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.resources import codes, source, syntax
from lockgate.resources.chunks import MAX_DOCUMENTS, MAX_TEXT, Chunk, split, too_many
from lockgate.resources.effects.table import Notice, notices
from lockgate.resources.field_errors import Path
from lockgate.resources.finding import Finding, Position, Severity
from lockgate.resources.inspection import inspect
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.recognition import Other, recognize
from lockgate.resources.source import Unreadable


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file.

    `manifest` is as written, but for `metadata.namespace`: a namespaced object without one is in ``default``, where
    kubectl would put it, and a cluster-scoped one has none. `resource` is its typed form; None when the kind is not
    one of ours, or when its fields have the wrong shape (then `findings` says so). What has no apiVersion, kind or
    name is no document, only a finding. `notices` are what it asks for and nothing here does.
    """

    manifest: JsonObject
    resource: Resource | None
    position: Position
    findings: tuple[Finding, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), repr=False, compare=False)
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

    def instead(self, manifest: JsonObject) -> Document:
        """The document with another manifest than the one that was written; places are still those of the text."""
        inspected = inspect(manifest, self._chunk, self._path, templated=False)
        return replace(self, manifest=manifest, resource=inspected.resource, findings=inspected.findings)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. `findings` has all of them, the documents' own included, in the order of lines."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    whole: bool = True
    """Whether every document of the file is an object that could be read."""


def read(text: str | bytes, file: str) -> Reading:
    """Read one file of YAML or JSON. Never raises: whatever is wrong is in `findings`. `file` is only a name."""
    if isinstance(text, bytes):
        try:
            text = text.decode(_encoding(text))
        except UnicodeDecodeError as error:
            return Reading((), (_not_text(error, file),), whole=False)
    if len(text) > MAX_TEXT:
        message = f"larger than {MAX_TEXT // (1024 * 1024)} MiB"
        finding = codes.LIMIT.finding(message, Position(file, 1), mend="split it; it is not read")
        return Reading((), (finding,), whole=False)
    with _no_collections():
        try:
            return _File(file).read(text.removeprefix("\ufeff"))
        finally:
            source.forget()


def _encoding(text: bytes) -> str:
    """By the byte order mark, as YAML has it: some editors and shells on Windows write UTF-16."""
    return "utf-16" if text[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _not_text(error: UnicodeDecodeError, file: str) -> Finding:
    line = error.object.count(b"\n", 0, error.start) + 1
    if b"\0" in error.object[:8000]:
        return syntax.not_a_manifest(Other("binary data"), Position(file, 1))
    return codes.ENCODING.finding("not UTF-8 text", Position(file, line), mend="save the file as UTF-8")


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


class _File:
    """One file on its way to a `Reading`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._documents: list[Document] = []
        self._findings: list[Finding] = []
        # What the file has that is no manifest is one finding of each code, however many documents it is.
        self._ignored: dict[str, list[Finding]] = {}
        self._whole = True
        self._templated = False  # whether the document at hand has braces

    def read(self, text: str) -> Reading:
        for count, chunk in enumerate(split(text, self._file)):
            if isinstance(chunk, Finding) or count >= MAX_DOCUMENTS:
                self._leave_out(chunk if isinstance(chunk, Finding) else too_many(chunk.position()))
                if count >= MAX_DOCUMENTS:
                    break
                continue
            self._chunk(chunk)
        if not self._documents and not self._findings and not self._ignored:
            self._findings.append(
                codes.NOT_AN_OBJECT.finding(
                    "not a Kubernetes manifest: " + ("only comments" if text.strip() else "an empty file"),
                    Position(self._file, 1),
                    mend="put objects into it, or remove it",
                    severity=Severity.INFO,
                )
            )
        self._findings += (_counted(alike) for alike in self._ignored.values())
        self._findings += _twice(self._documents)
        return Reading(tuple(self._documents), tuple(sorted(self._findings, key=_line)), self._whole)

    def _chunk(self, chunk: Chunk) -> None:
        found: list[Finding] = []
        try:
            value = source.load(chunk, found)
            self._templated = "{{" in chunk.text
            if value is None:
                return
            self._objects(value, chunk, (), found)
        except Unreadable as error:
            self._leave_out(error.finding)
        self._findings += found

    def _objects(self, value: Any, chunk: Chunk, path: Path, found: list[Finding]) -> None:
        """The objects of a document: one, or those of a List and of the Lists in it."""
        if isinstance(value, dict) and _is_list(value):
            for index, item in enumerate(value["items"]):
                self._objects(item, chunk, (*path, "items", index), found)
        elif other := recognize(self._file if not path else "", value):
            self._leave_out(syntax.not_a_manifest(other, source.locate(chunk, path) if path else chunk.first()))
        elif len(self._documents) >= MAX_DOCUMENTS:
            raise Unreadable(too_many(chunk.position()))
        else:
            self._object(value, chunk, path, found)

    def _object(self, manifest: JsonObject, chunk: Chunk, path: Path, found: list[Finding]) -> None:
        inspected = inspect(manifest, chunk, path, templated=self._templated)
        found += inspected.findings
        if inspected.named:
            position = source.locate(chunk, path) if path else chunk.first()
            noticed = tuple(notices(manifest["apiVersion"].rpartition("/")[0], manifest["kind"], manifest))
            self._documents.append(
                Document(manifest, inspected.resource, position, inspected.findings, noticed, chunk, path)
            )
        else:
            self._whole = False

    def _leave_out(self, finding: Finding) -> None:
        self._whole = False
        if finding.code in _IGNORED:
            self._ignored.setdefault(finding.code, []).append(finding)
        else:
            self._findings.append(finding)


_IGNORED = frozenset({codes.NOT_AN_OBJECT.id, codes.TEMPLATE.id})


def _counted(alike: list[Finding]) -> Finding:
    first = alike[0]
    return replace(first, message=f"{first.message} ({len(alike)} documents)") if len(alike) > 1 else first


def _line(finding: Finding) -> tuple[int, int]:
    return (finding.position.line, finding.position.column) if finding.position else (0, 0)


def _is_list(value: JsonObject) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)


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
