"""Everything that was read of the user's manifests, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate.resources.faults import Fault
from lockgate.resources.positions import Positions
from lockgate.resources.reader import Document, Reading


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that was read, in the order of files and documents. `files` are all that were looked at."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    files: tuple[str, ...]
    broken: frozenset[str]  # files in which something is wrong
    readings: Mapping[str, tuple[bytes, Reading]] = field(repr=False, compare=False)  # by file, with its digest
    notes: tuple[str, ...] = ()  # what was rendered, and with what

    @property
    def usable(self) -> bool:
        """Whether anything is left to serve."""
        return any(document.accepted for document in self.documents)

    def positions(self) -> Positions:
        """Where origins are: in the documents that count, and in those that were read and refused."""
        read = (document for _, reading in self.readings.values() for document in reading.documents)
        return Positions((*read, *self.documents))


NOTHING = Manifests((), (), (), frozenset(), {})
