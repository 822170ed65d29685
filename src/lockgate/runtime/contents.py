"""The content of files, and what folders hold: bounded, and never waiting for what may not come.

Only regular files are opened, links that lead back are followed once, and the number of entries is limited. What is
left out is a fault with its path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

from lockgate.edge import kustomization
from lockgate.resources.chunks import MAX_TEXT
from lockgate.resources.codes import machine
from lockgate.resources.faults import Fault, Position
from lockgate.runtime import settings

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
CHART = "Chart.yaml"
MAX_FILES = 10_000
_MAX_ENTRIES = 200_000  # of all folders

_Identity: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class Folder:
    """What is below a folder: files with a manifest's suffix, kustomization files, folders of Helm charts, whose own
    files are not among the first, and what cannot be read."""

    files: list[Path] = field(default_factory=list)
    kustomizations: list[Path] = field(default_factory=list)
    charts: list[Path] = field(default_factory=list)
    faults: list[tuple[Path, Fault]] = field(default_factory=list)


def is_ignored(name: str) -> bool:
    """Whether files and folders of this name are passed over: hidden ones, and what npm installs."""
    return name.startswith(".") or name == "node_modules"


def below(root: Path) -> Folder:
    """Everything in the order of paths. A folder is listed once, whatever links lead to it."""
    found = Folder()
    seen: set[_Identity] = set()
    waiting: list[tuple[Path, frozenset[_Identity]]] = [(root, frozenset())]
    count = 0
    while waiting:
        folder, above = waiting.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.faults.append((folder, machine.UNREADABLE.at(Position(str(folder), 1), reason=error.strerror)))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            if identity in above:
                place = Position(str(folder), 1)
                found.faults.append((folder, machine.LEADS_BACK.at(place, folder=folder.resolve())))
            continue
        seen.add(identity)
        count += len(entries)
        if count > _MAX_ENTRIES:
            found.faults.append((folder, too_much(str(folder), f"{_MAX_ENTRIES:,} entries")))
            break
        waiting += ((path, above | {identity}) for path in _sort(folder, entries, found))
    found.files.sort()
    if len(found.files) > MAX_FILES:
        left_out = found.files[MAX_FILES]
        found.faults.append((left_out, too_much(str(left_out), f"{MAX_FILES:,} files")))
        del found.files[MAX_FILES:]
    return found


def _sort(folder: Path, entries: list[os.DirEntry[str]], found: Folder) -> Iterator[Path]:
    """Put a folder's files where they belong; the folders in it."""
    if any(entry.name == CHART and not _is_folder(entry) for entry in entries):
        found.charts.append(folder)
        return
    for entry in entries:
        if is_ignored(entry.name):
            continue
        path = folder / entry.name
        if _is_folder(entry):
            yield path
        elif entry.name in kustomization.NAMES:
            found.kustomizations.append(path)
        elif path.suffix in SUFFIXES and entry.name != settings.NAME:
            found.files.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: opening it says so
        return False


def too_much(file: str, limit: str) -> Fault:
    return machine.TOO_MUCH.at(Position(file, 1), limit=limit)


def content(file: Path) -> bytes | Fault:
    """A regular file's bytes. Nothing else is opened: a pipe or a device may have none for ever."""
    place = Position(str(file), 1)
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
        if kind != stat.S_IFREG:
            return machine.SPECIAL_FILE.at(place, kind=_KINDS.get(kind, "not a regular file"))
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return machine.SPECIAL_FILE.at(place, kind="not a regular file")
            return limited(stream)
    except (OSError, ValueError) as error:
        return machine.UNREADABLE.at(place, reason=getattr(error, "strerror", None) or error)


def limited(stream: BinaryIO) -> bytes:
    """Up to one byte more than the reader takes, which says so then; UTF-16 has two bytes a character."""
    return stream.read(MAX_TEXT * 2 + 1)


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
