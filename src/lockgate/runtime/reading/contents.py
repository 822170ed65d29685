"""Lists folders and reads files, within limits and without blocking.

Only regular files are opened, circular links are followed once, and the number of entries is limited. Omitted entries
are faults with their path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from lockgate.edge import kustomization
from lockgate.resources.chunks import MAX_TEXT
from lockgate.resources.codes import machine
from lockgate.resources.faults import Fault, Position
from lockgate.runtime import settings

CHART = "Chart.yaml"
MAX_FILES = 20_000
_MAX_ENTRIES = 200_000  # of all folders
_SUFFIXES = (".yaml", ".yml", ".json")

_Identity: TypeAlias = tuple[int, int]


class Signature(NamedTuple):
    """Differs whenever a file was written or replaced. It includes ctime because `cp -p` and `rsync -t` restore
    mtime."""

    device: int
    inode: int
    size: int
    modified: int  # ns
    changed: int  # ns

    @property
    def identity(self) -> _Identity:
        return self.device, self.inode


@dataclass(slots=True)
class Folder:
    """The contents of a folder: manifest files, kustomization files, folders of Helm charts (whose files are not among
    the first), and faults.

    `signatures` are those of the files (None for a dangling link) and of lockgate.yaml; `folders` are those of the
    listed folders. `distant` are files and folders beyond a symbolic link.
    """

    files: list[str] = field(default_factory=list)
    kustomizations: list[Path] = field(default_factory=list)
    charts: list[Path] = field(default_factory=list)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    signatures: dict[str, Signature | None] = field(default_factory=dict)
    folders: dict[str, Signature] = field(default_factory=dict)
    distant: set[str] = field(default_factory=set)


def signature(path: str) -> Signature | None:
    """None if nothing exists there."""
    try:
        return _sign(path)
    except (OSError, ValueError):
        return None


def _sign(path: str) -> Signature:
    found = os.stat(path)  # noqa: PTH116  thousands of times a look
    return Signature(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def in_order(path: str) -> list[str]:
    """A key to sort paths by: a folder's files are together."""
    return path.split("/")


def is_ignored(name: str) -> bool:
    """Whether files and folders of this name are skipped: hidden ones, and npm's packages."""
    return name.startswith(".") or name == "node_modules"


def below(root: Path) -> Folder:
    """Everything in path order. A folder is listed once, whatever links lead to it."""
    found = Folder()
    waiting: list[tuple[str, frozenset[_Identity], bool]] = [(str(root), frozenset(), False)]
    seen: set[_Identity] = set()
    count = 0
    while waiting:
        folder, above, distant = waiting.pop()
        try:
            signature = _sign(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.faults.append((folder, machine.UNREADABLE.at(Position(folder, 1), reason=error.strerror)))
            continue
        if signature.identity in seen:
            if signature.identity in above:
                fault = machine.LEADS_BACK.at(Position(folder, 1), folder=Path(folder).resolve())
                found.faults.append((folder, fault))
            continue
        seen.add(signature.identity)
        found.folders[folder] = signature
        if distant:
            found.distant.add(folder)
        count += len(entries)
        if count > _MAX_ENTRIES:
            found.faults.append((folder, too_much(folder, f"{_MAX_ENTRIES:,} entries")))
            break
        inside = above | {signature.identity}
        waiting += ((path, inside, far) for path, far in _sort(folder, entries, found, distant))
    found.files.sort(key=in_order)
    if len(found.files) > MAX_FILES:
        left_out = found.files[MAX_FILES]
        found.faults.append((left_out, too_much(left_out, f"{MAX_FILES:,} files")))
        del found.files[MAX_FILES:]
    return found


def _sort(folder: str, entries: list[os.DirEntry[str]], found: Folder, distant: bool) -> Iterator[tuple[str, bool]]:
    """Sorts a folder's files into `found`; yields its subfolders, and whether they are beyond a link."""
    if any(entry.name == CHART and not _is_folder(entry) for entry in entries):
        found.charts.append(Path(folder))
        found.signatures[_joined(folder, CHART)] = signature(_joined(folder, CHART))
        return
    for entry in entries:
        if is_ignored(entry.name):
            continue
        path, far = _joined(folder, entry.name), distant or entry.is_symlink()
        if _is_folder(entry):
            yield path, far
        elif entry.name.endswith(_SUFFIXES) or entry.name in kustomization.NAMES:
            found.signatures[path] = signature(path)
            if far:
                found.distant.add(path)
            if entry.name in kustomization.NAMES:
                found.kustomizations.append(Path(path))
            elif entry.name != settings.NAME:
                found.files.append(path)


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: opening it says so
        return False


def too_much(file: str, limit: str) -> Fault:
    return machine.TOO_MUCH.at(Position(file, 1), limit=limit)


def content(file: Path) -> bytes | Fault:
    """A regular file's bytes. Nothing else is opened, because reading a pipe or a device may block forever."""
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
    """At most one byte more than the reader accepts, which reports the limit; UTF-16 has two bytes per character."""
    return stream.read(MAX_TEXT * 2 + 1)


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
