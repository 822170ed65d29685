"""Reads files of manifests into objects. It reads whatever it can, and reports every fault with its position."""

from __future__ import annotations

import codecs
import gc
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.resources import bare, source, syntax
from lockgate.resources.chunks import MAX_DOCUMENTS, MAX_TEXT, Chunk, limit, split, too_many
from lockgate.resources.codes import objects, reading
from lockgate.resources.effects.table import Notice, notices
from lockgate.resources.faults import Edit, Fault, Origin, Position, Severity
from lockgate.resources.field_errors import Path
from lockgate.resources.inspection import Found, Template, inspect
from lockgate.resources.interning import share_parts, shared
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.recognition import Other, recognize
from lockgate.resources.source import Unreadable


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file.

    `manifest` is as written, except for `metadata.namespace`: a namespaced object without one gets ``default``, as with
    kubectl, and a cluster-scoped object has none. `resource` is its typed form, None if the kind is not supported or
    its fields have the wrong shape (reported in `faults`). Something without apiVersion, kind or name is not a
    document, only a fault. `definition` is its file and the number of earlier definitions of the object in that file.
    `notices` are its settings without effect.
    """

    manifest: JsonObject
    resource: Resource | None
    position: Position
    key: ObjectKey
    definition: tuple[str, int]
    faults: tuple[Fault, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), repr=False, compare=False)
    _chunk: Chunk = field(default=Chunk("", 0, ""), repr=False, compare=False)
    _path: Path = field(default=(), repr=False, compare=False)

    @property
    def accepted(self) -> bool:
        """Whether an API server would store it."""
        return not self.faults or not any(fault.severity is Severity.ERROR for fault in self.faults)

    @property
    def chunk(self) -> Chunk:
        """The part of the file that it was read from, with the other items of a List that it is in."""
        return self._chunk

    @property
    def text(self) -> str:
        return self._chunk.text

    def edited(self, edit: Edit) -> Document:
        """The document with another text, in which one of its fields is changed. Raises `CannotEdit`."""
        from lockgate.resources.editing import edited

        return replace(self, _chunk=edited(self._chunk, (*self._path, *edit.origin.path), edit))

    def at(self, *path: str | int) -> Position:
        """The position of a field's value, by manifest names: ``at("spec", "rules", 0)``; else of its nearest
        parent."""
        return source.locate(self._chunk, (*self._path, *path))

    def key_at(self, *path: str | int) -> Position:
        """The position of a field's key."""
        return source.locate(self._chunk, (*self._path, *path), key=True)

    @property
    def is_alone(self) -> bool:
        """Whether nothing else is in its text: it is no item of a List."""
        return not self._path

    def is_at(self, column: int) -> bool:
        """Whether its text began at this column of its file: not always at 0, in JSON."""
        return self._chunk.column == column

    def has_any_of(self, lines: Sequence[int]) -> bool:
        """Whether any of these lines of its file, in order, is in its text."""
        before = self._chunk.line
        at = bisect_right(lines, before)
        return at < len(lines) and lines[at] <= before + 1 + self._chunk.text.count("\n")

    def moved(self, chunk: Chunk, definition: tuple[str, int]) -> Document:
        """The document of the same text elsewhere in its file, or in another file."""
        if (chunk, definition) == (self._chunk, self.definition):
            return self
        at = replace(self.position, file=chunk.file, line=self.position.line + chunk.line - self._chunk.line)
        return replace(self, position=at, definition=definition, _chunk=chunk)

    def path_at(self, line: int, column: int) -> Path | None:
        """The field at a position of its file, for example ``("spec", "hosts", 0)``; None in another object."""
        path = source.path_at(self._chunk, line, column)
        return path[len(self._path) :] if path[: len(self._path)] == self._path else None

    def instead(self, manifest: JsonObject) -> Document:
        """The document with another manifest; positions still refer to the text."""
        inspected = inspect(manifest, templated=False)
        key = inspected.key or self.key
        origin = Origin(key, definition=self.definition)
        faults = tuple(found.at(origin) for found in inspected.found)
        return replace(self, manifest=manifest, resource=inspected.resource, key=key, faults=faults)


@dataclass(frozen=True, slots=True)
class Reading:
    """The contents of a file. `faults` has all of them, with the documents' faults, in line order."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    whole: bool = True
    """Whether every document of the file is an object that could be read."""


def read(text: str | bytes, file: str, earlier: Reading | None = None) -> Reading:
    """Reads one file of YAML or JSON. It never raises: errors are in `faults`. `file` is only a name.

    `earlier` is what was read from it before. A document that has the same text is not parsed again, and keeps its
    manifest and its typed form as the same objects, so that nothing is built again for it.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode(_encoding(text))
        except UnicodeDecodeError as error:
            return Reading((), (_not_text(error, file),), whole=False)
    if len(text) > MAX_TEXT:
        return Reading((), (limit(reading.LIMIT, Position(file, 1)),), whole=False)
    with _no_collections():
        try:
            return _File(file, earlier).read(text.removeprefix("\ufeff"))
        finally:
            source.forget()


def _encoding(text: bytes) -> str:
    """By the byte order mark, as in YAML: some Windows editors and shells write UTF-16."""
    return "utf-16" if text[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _not_text(error: UnicodeDecodeError, file: str) -> Fault:
    line = error.object.count(b"\n", 0, error.start) + 1
    if b"\0" in error.object[:8000]:
        return syntax.not_a_manifest(Other("binary data"), Position(file, 1))
    return reading.ENCODING.at(Position(file, line))


@contextmanager
def _no_collections() -> Iterator[None]:
    """Disables garbage collection: reading creates many objects but no cycles, and collections would double the
    time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _File:
    """Builds the `Reading` of one file: its documents, and each fault with its position for ordering."""

    def __init__(self, file: str, earlier: Reading | None) -> None:
        self._file = file
        self._earlier = _without_faults(earlier) if earlier else {}
        self._documents: list[Document] = []
        self._latest: dict[ObjectKey, Document] = {}
        self._faults: list[tuple[Position, Fault]] = []
        # Documents that are not manifests are one fault per code, however many there are.
        self._ignored: dict[str, list[Fault]] = {}
        self._whole = True
        self._templated = False  # whether the current document has braces

    def read(self, text: str) -> Reading:
        for count, chunk in enumerate(split(text, self._file)):
            if isinstance(chunk, Fault) or count >= MAX_DOCUMENTS:
                self._leave_out(chunk if isinstance(chunk, Fault) else too_many(chunk.position()))
                if count >= MAX_DOCUMENTS:
                    break
                continue
            self._chunk(chunk)
        if not self._documents and not self._faults and not self._ignored:
            self._add(
                reading.EMPTY_FILE.at(
                    Position(self._file, 1), is_empty="has only comments" if text.strip() else "is empty"
                )
            )
        for alike in self._ignored.values():
            self._add(_counted(alike))
        return Reading(tuple(self._documents), _first_of_all(self._faults), self._whole)

    def _chunk(self, chunk: Chunk) -> None:
        known = self._earlier.get(chunk.text)
        if known is not None and known.is_at(chunk.column) and len(self._documents) < MAX_DOCUMENTS:
            self._document(known.moved(chunk, self._definition(known.key)))
            return
        found: list[Fault] = []
        try:
            value = source.load(chunk, found)
        except Unreadable as error:
            text = bare.quoted(chunk.text)
            if text is None:
                self._leave_out(error.fault)
            else:
                self._chunk(replace(chunk, text=text))
            return
        try:
            self._templated = "{{" in chunk.text
            if value is None:
                return
            self._objects(value, chunk, ())
        except Unreadable as error:
            self._leave_out(error.fault)
        for fault in found:
            self._add(fault)

    def _objects(self, value: Any, chunk: Chunk, path: Path) -> None:
        """The objects of a document: itself, or the items of a List and nested Lists."""
        if isinstance(value, dict) and _is_list(value):
            for index, item in enumerate(value["items"]):
                self._objects(item, chunk, (*path, "items", index))
        elif other := recognize(self._file if not path else "", value):
            self._leave_out(syntax.not_a_manifest(other, source.locate(chunk, path) if path else chunk.first()))
        elif len(self._documents) >= MAX_DOCUMENTS:
            raise Unreadable(too_many(chunk.position()))
        else:
            self._object(value, chunk, path)

    def _object(self, manifest: JsonObject, chunk: Chunk, path: Path) -> None:
        def place(found: Found) -> Position:
            return source.locate(chunk, (*path, *found.path), key=found.at_key)

        for name, part in manifest.items():
            if name == "metadata" and isinstance(part, dict):
                share_parts(part)  # the map itself gets a namespace
            else:
                manifest[name] = shared(part)
        try:
            inspected = inspect(manifest, templated=self._templated)
        except Template:
            raise Unreadable(syntax.template(source.locate(chunk, (*path, "metadata")))) from None
        key = inspected.key
        if key is None:
            self._whole = False
            self._faults += ((at, found.at(at)) for found in inspected.found for at in (place(found),))
            return
        definition = self._definition(key)
        origin = Origin(key, definition=definition)
        faults = [(place(found), found.at(origin)) for found in inspected.found]
        position = source.locate(chunk, path) if path else chunk.first()
        own = tuple(fault for _, fault in faults)
        noticed = tuple(notices(key.group, key.kind, manifest))
        document = Document(manifest, inspected.resource, position, key, definition, own, noticed, chunk, path)
        self._faults += faults
        self._document(document)

    def _definition(self, key: ObjectKey) -> tuple[str, int]:
        earlier = self._latest.get(key)
        return (self._file, earlier.definition[1] + 1 if earlier else 0)

    def _document(self, document: Document) -> None:
        key, earlier = document.key, self._latest.get(document.key)
        self._documents.append(document)
        self._latest[key] = document
        if earlier is not None and document.resource is not None:
            before, origin = Origin(key, definition=earlier.definition), Origin(key, definition=document.definition)
            self._faults.append((document.position, objects.DUPLICATE_OBJECT.at(origin, object=key, earlier=before)))

    def _leave_out(self, fault: Fault) -> None:
        self._whole = False
        if fault.code.id in _IGNORED:
            self._ignored.setdefault(fault.code.id, []).append(fault)
        else:
            self._add(fault)

    def _add(self, fault: Fault) -> None:
        """Adds a fault of the text itself, which has a position."""
        assert isinstance(fault.origin, Position)
        self._faults.append((fault.origin, fault))


def _without_faults(earlier: Reading) -> dict[str, Document]:
    """The documents by their text, without those that have any fault, and without items of Lists."""
    if any(fault.code.id == reading.MORE_FAULTS.id for fault in earlier.faults):
        return {}
    lines = sorted(fault.origin.line for fault in earlier.faults if isinstance(fault.origin, Position))
    return {
        document.text: document
        for document in earlier.documents
        if not document.faults and document.is_alone and not document.has_any_of(lines)
    }


def _first_of_all(faults: list[tuple[Position, Fault]]) -> tuple[Fault, ...]:
    """At most `_MOST` faults of a file, errors first, in line order, and the number of omitted ones."""
    faults.sort(key=_line)
    if len(faults) <= _MOST:
        return tuple(fault for _, fault in faults)
    errors_first = sorted(faults, key=lambda each: each[1].severity is not Severity.ERROR)
    kept = sorted(errors_first[:_MOST], key=_line)
    last, _ = kept[-1]
    more = reading.MORE_FAULTS.at(last, count=len(faults) - _MOST)
    return (*(fault for _, fault in kept), more)


def _line(placed: tuple[Position, Fault]) -> tuple[int, int]:
    return placed[0].line, placed[0].column


_MOST = 200
_IGNORED = frozenset({reading.NOT_A_MANIFEST.id, reading.TEMPLATE.id})


def _counted(alike: list[Fault]) -> Fault:
    """The first fault, with the number of faults in its message."""
    first = alike[0]
    if len(alike) == 1:
        return first
    return first.code.at(first.origin, **{**dict(first.values), "count": f" ({len(alike)} documents)"})


def _is_list(value: JsonObject) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)
