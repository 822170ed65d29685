"""Decides what is served while files change: the last good state of files that are broken, half-written or missing.

Tools rarely change a folder in one step. A shell truncates the file that a command will write; a build deletes its
output and recreates it; git and editors replace one file after another. Applying each intermediate state would delete
objects that return a moment later, and a recreated load balancer has a new ARN and DNS name.

New and changed objects therefore apply immediately, but a missing object counts as removed only after the files have
been quiet for some time. The time depends on how it went missing: an object that was removed from a file was edited; if
its whole folder is missing, a build is running. Three cases never count as removals: an object whose file is broken
(which may hide anything), the contents of a path that has vanished, and the last usable objects.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from enum import Enum, auto

from lockgate.edge.manifests import Manifests
from lockgate.resources.reader import Document


class Absence(Enum):
    """How a file's objects went missing."""

    EDITED = auto()  # the file has other objects
    EMPTIED = auto()  # the file is empty
    DELETED = auto()  # the file is deleted
    UPROOTED = auto()  # the file's folder is deleted or replaced
    WRITTEN = auto()  # a program has the file open for writing; its content does not count yet
    UNREACHABLE = auto()  # a path that the user named is missing
    LAST = auto()  # there is nothing else to serve


_QUIET = {
    Absence.EDITED: 1.0,
    Absence.EMPTIED: 2.0,
    Absence.DELETED: 2.0,
    Absence.UPROOTED: 5.0,
    Absence.WRITTEN: 120.0,
    Absence.UNREACHABLE: math.inf,
    Absence.LAST: math.inf,
}  # seconds without a file change, after which the objects are removed
_LONGEST = 120.0  # seconds, after which they are removed even if files keep changing


@dataclass(frozen=True, slots=True)
class Disk:
    """The state of the files besides their content. `time` and `changed` (the last change of any file) are in
    seconds."""

    time: float
    changed: float
    written: frozenset[str] = frozenset()
    uprooted: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settled:
    """`manifests` are those to serve; `kept` are files with missing objects that are still served.

    `due` is when the first of them counts as removed, if nothing changes before.
    """

    manifests: Manifests
    kept: Mapping[str, Absence]
    due: float = math.inf


class Settling:
    """Tracks the files with missing objects, since when, and how long they must stay quiet."""

    def __init__(self) -> None:
        self._missing: dict[str, tuple[float, float]] = {}

    def settle(self, now: Manifests, before: Manifests, disk: Disk) -> Settled:
        """`before` is what is served, `now` the current content of the files."""
        written = disk.written if disk.time < disk.changed + _QUIET[Absence.WRITTEN] else frozenset[str]()
        now = _without(now, written)
        missing, held = _compare(now, before)
        absences = _absences(missing, now, replace(disk, written=written))
        self._missing = {file: self._since(file, absence, disk) for file, absence in absences.items()}
        dues = {file: self._due(file, absence, disk) for file, absence in absences.items()}
        removed = {file for file, due in dues.items() if due <= disk.time}
        if removed == missing.keys() and not held and not any(each.accepted for each in now.documents):
            removed = set()
            self._missing = {file: (math.inf, quiet) for file, (_, quiet) in self._missing.items()}
            absences = dict.fromkeys(missing, Absence.LAST)
            dues = dict.fromkeys(missing, math.inf)
        kept = {file: absence for file, absence in absences.items() if file not in removed}
        held += [document for file in kept for document in missing[file]]
        return Settled(
            _with(now, held, before, kept.keys() | written),
            kept | dict.fromkeys(written, Absence.WRITTEN),
            min((dues[file] for file in kept), default=math.inf),
        )

    def _since(self, file: str, absence: Absence, disk: Disk) -> tuple[float, float]:
        """A folder that returned without the file needs as much quiet as a missing folder."""
        since, quiet = self._missing.get(file, (math.inf, 0.0))
        since = math.inf if math.isinf(_QUIET[absence]) else min(since, disk.time)  # an endless wait has no start
        return since, max(quiet, min(_QUIET[absence], _QUIET[Absence.UPROOTED]))

    def _due(self, file: str, absence: Absence, disk: Disk) -> float:
        since, quiet = self._missing[file]
        quiet = max(quiet, _QUIET[absence])
        return quiet if math.isinf(quiet) else min(max(disk.changed, since) + quiet, since + _LONGEST)


def with_last_good(now: Manifests, before: Manifests) -> Manifests:
    """The current manifests, with the earlier objects of files that are broken: a file that is being typed."""
    if not now.broken:
        return now
    _, held = _compare(now, before)
    return _with(now, held, before, frozenset())


def _compare(now: Manifests, before: Manifests) -> tuple[dict[str, list[Document]], list[Document]]:
    """The missing objects by file; and objects whose file is broken, or that exist but are refused."""
    kept = set(map(id, now.documents))
    changed = [document for document in before.documents if id(document) not in kept]
    if not changed:
        return {}, []
    keys = {document.key for document in changed}
    there = [document for document in now.documents if document.key in keys]
    here = {document.key for document in there if document.accepted}
    refused = {document.key for document in there if not document.accepted}
    missing: dict[str, list[Document]] = defaultdict(list)
    held: list[Document] = []
    for document in changed:
        if not document.accepted or document.key in here:
            continue
        if document.position.file in now.broken or document.key in refused:
            held.append(document)
        else:
            missing[document.position.file].append(document)
    return missing, held


def _absences(missing: Iterable[str], now: Manifests, disk: Disk) -> dict[str, Absence]:
    there, filled = frozenset(now.files), {document.position.file for document in now.documents}

    def absence(file: str) -> Absence:
        if file in disk.written:
            return Absence.WRITTEN
        if file in disk.unreachable:
            return Absence.UNREACHABLE
        if file in disk.uprooted:
            return Absence.UPROOTED
        if file in filled:
            return Absence.EDITED
        return Absence.EMPTIED if file in there else Absence.DELETED

    return {file: absence(file) for file in missing}


def _without(now: Manifests, files: frozenset[str]) -> Manifests:
    """The manifests of all other files."""
    if not files:
        return now
    return replace(
        now,
        documents=tuple(each for each in now.documents if each.position.file not in files),
        faults=tuple(each for each in now.faults if each.file not in files),
        broken=now.broken - files,
    )


def _with(now: Manifests, held: list[Document], before: Manifests, files: Set[str]) -> Manifests:
    """Adds objects from `before`, and the faults in `files` from then."""
    if not held and not files:
        return now
    gone = files - {each.position.file for each in now.documents}
    found = [each for each in before.faults if each.file in gone]
    return replace(
        now,
        documents=(*now.documents, *held),
        faults=(*found, *now.faults),
        files=tuple(dict.fromkeys((*now.files, *(each for each in before.files if each in files)))),
    )
