"""The user's manifests as read, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from lockgate.resources.faults import Fault
from lockgate.resources.positions import Positions
from lockgate.resources.reader import Document, Reading


@dataclass(frozen=True, slots=True)
class Manifests:
    """All documents, in the order of files and documents. `files` are all files that were read."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    files: tuple[str, ...]
    broken: frozenset[str]  # files with faults
    readings: Mapping[str, tuple[bytes, Reading]] = field(repr=False, compare=False)  # by file, with its digest
    notes: tuple[str, ...] = ()  # what was rendered, and by which tool

    @property
    def usable(self) -> bool:
        """Whether anything remains to be served."""
        return any(document.accepted for document in self.documents)

    def positions(self) -> Positions:
        """The positions of origins, in documents that count and in refused ones."""
        read = (document for _, reading in self.readings.values() for document in reading.documents)
        return Positions(chain(read, self.documents))


NOTHING = Manifests((), (), (), frozenset(), {})
