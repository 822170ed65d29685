"""Resolves origins to positions in the documents that were read last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from operator import attrgetter

from lockgate.resources.faults import Origin, Position
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document


class Positions:
    """An index of documents by the parts of an `Origin`; it is a `Locate`.

    If an object has several definitions, the last one counts. Documents are indexed when the first origin is resolved:
    most changes of a file have no fault to report.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._every = documents

    def __call__(self, origin: Origin) -> Position | None:
        document = self._documents.get(origin.key)
        if origin.definition is not None:
            document = self._definitions.get((origin.key, origin.definition), document)
        if document is None:
            return None
        if not origin.path:
            return document.position
        return document.key_at(*origin.path) if origin.at_key else document.at(*origin.path)

    @cached_property
    def _read(self) -> tuple[Document, ...]:
        return tuple(self._every)

    @cached_property
    def _documents(self) -> Mapping[ObjectKey, Document]:
        return dict(zip(map(attrgetter("key"), self._read), self._read, strict=True))

    @cached_property
    def _definitions(self) -> Mapping[tuple[ObjectKey, tuple[str, int]], Document]:
        return dict(zip(map(attrgetter("key", "definition"), self._read), self._read, strict=True))
