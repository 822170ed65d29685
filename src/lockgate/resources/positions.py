"""Resolves origins to positions in the documents that were read last."""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.resources.faults import Origin, Position
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document


class Positions:
    """An index of documents by the parts of an `Origin`; it is a `Locate`.

    If an object has several definitions, the last one counts. Documents are indexed when the first origin is resolved:
    most changes of a file have no fault to report.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._unread: Iterable[Document] | None = documents
        self._documents: dict[ObjectKey, Document] = {}
        self._definitions: dict[tuple[ObjectKey, tuple[str, int]], Document] = {}

    def __call__(self, origin: Origin) -> Position | None:
        if self._unread is not None:
            self._index(self._unread)
            self._unread = None
        document = self._documents.get(origin.key)
        if origin.definition is not None:
            document = self._definitions.get((origin.key, origin.definition), document)
        if document is None:
            return None
        if not origin.path:
            return document.position
        return document.key_at(*origin.path) if origin.at_key else document.at(*origin.path)

    def _index(self, documents: Iterable[Document]) -> None:
        for document in documents:
            self._documents[document.key] = document
            self._definitions[document.key, document.definition] = document
