"""Everything that was read of the user's manifests, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lockgate.resources.finding import Finding
from lockgate.resources.reader import Document, Reading


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that was read, in the order of files and documents. `files` are all that were looked at."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    broken: frozenset[str]  # files in which something is wrong
    readings: Mapping[str, tuple[str | bytes, Reading]] = field(repr=False, compare=False)  # by file, with its content

    @property
    def usable(self) -> bool:
        """Whether anything is left to serve."""
        return any(document.accepted for document in self.documents)

    def over(self, before: Manifests | None) -> Manifests:
        """With what was good before in place of what is broken now: by file, since a broken one hides its objects."""
        if before is None or not self.broken:
            return self
        here = {_identity(document) for document in self.documents if document.accepted}
        missing = [
            document
            for document in before.documents
            if document.position.file in self.broken and document.accepted and _identity(document) not in here
        ]
        accepted = [document for document in self.documents if document.accepted]
        return replace(self, documents=(*accepted, *missing))


def _identity(document: Document) -> tuple[str, str, str]:
    metadata = document.manifest["metadata"]
    return document.manifest["kind"], metadata.get("namespace", ""), metadata["name"]
