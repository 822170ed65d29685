"""The user's manifest files: found and read. `watch` follows them.

Nothing here waits for what may never come: only regular files are opened below a folder, links that lead back are
followed once, and the number of files and bytes is bounded. What is left out is a fault with its path.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, TypeAlias

from lockgate.edge.manifests import Manifests
from lockgate.errors import CommandError
from lockgate.resources.chunks import MAX_TEXT
from lockgate.resources.codes import machine, reading
from lockgate.resources.faults import Fault, Position, Severity
from lockgate.resources.reader import Document, Reading, read
from lockgate.runtime import settings

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"
MAX_FILES = 10_000
MAX_BYTES = 128 * 1024 * 1024  # of all files
MAX_OBJECTS = 30_000
_MAX_ENTRIES = 200_000  # of all folders
_MOST_ALIKE = 10  # files of one sort that are reported one by one


class NoManifests(CommandError):
    """The paths hold nothing to read."""

    hint = "name files or folders with Kubernetes manifests"


class Sources:
    """The user's paths, with the content of what can be read only once: standard input, and pipes of the shell."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Waits for the end of what is piped in. Raises OSError."""
        self.paths = tuple(paths)
        self._streams = {path: _read_stream(path) for path in self.paths if is_stream(path)}

    def load(self, earlier: Manifests | None = None, *, without: Iterable[str] = ()) -> Manifests:
        """Read the files, the folders (all below them) and what was piped in, but for the paths `without`.

        Files that are as they were in `earlier` are not parsed again. Raises `NoManifests` for a path that does not
        exist, and where there is no file at all.
        """
        skipped = frozenset(without)
        paths = [path for path in self.paths if path not in skipped]
        loading = _Loading(earlier)
        for path in paths:
            if path in self._streams:
                loading.add("<stdin>" if path == STDIN else path, self._streams[path])
            else:
                self._add(path, loading)
        if not loading.files:
            raise NoManifests(f"no manifests in {', '.join(paths)}: a folder needs .yaml, .yml or .json files")
        return loading.manifests()

    def _add(self, path: str, loading: _Loading) -> None:
        if Path(path).is_dir():
            for file in _below(Path(path)):
                loading.add(*(file if isinstance(file, tuple) else (str(file), _content(file))))
        elif os.path.lexists(path):
            loading.add(path, _content(Path(path)))
        else:
            raise NoManifests(f"{path} does not exist")


def load(paths: Sequence[str], *, earlier: Manifests | None = None) -> Manifests:
    """What `Sources.load` does, once."""
    return Sources(paths).load(earlier)


def is_stream(path: str) -> bool:
    """Whether a path of the user's can be read only once; `<(command)` of a shell is such a path."""
    return path in (STDIN, "/dev/stdin") or path.startswith(("/dev/fd/", "/proc/self/fd/"))


def is_ignored(name: str) -> bool:
    """Whether files and folders of this name are passed over: hidden ones, and what npm installs."""
    return name.startswith(".") or name == "node_modules"


def _read_stream(path: str) -> bytes:
    if path == STDIN:
        return _limited(sys.stdin.buffer)
    with Path(path).open("rb") as stream:
        return _limited(stream)


def _limited(stream: BinaryIO) -> bytes:
    return stream.read(MAX_TEXT * 2 + 1)  # the reader says what is too large; UTF-16 has two bytes a character


@dataclass
class _Loading:
    """The files that have been read so far."""

    earlier: Manifests | None
    files: list[str] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    readings: dict[str, tuple[bytes, Reading]] = field(default_factory=dict)
    size: int = 0  # bytes

    def add(self, file: str, content: bytes | Fault) -> None:
        self.files.append(file)
        found = self._read(file, content) if isinstance(content, bytes) else content
        faults = (found,) if isinstance(found, Fault) else found.faults
        self.faults += faults
        if isinstance(found, Reading):
            self.documents += found.documents
            if not found.whole:
                self.broken.add(file)
        if any(fault.severity is Severity.ERROR for fault in faults):
            self.broken.add(file)

    def _read(self, file: str, content: bytes) -> Reading | Fault:
        self.size += len(content)
        if self.size > MAX_BYTES or len(self.documents) >= MAX_OBJECTS:
            return _too_much(file, f"{MAX_BYTES // 2**20} MiB or {MAX_OBJECTS:,} objects")
        digest = blake2b(content, digest_size=16).digest()
        before = self.earlier.readings.get(file) if self.earlier else None
        reading = before[1] if before and before[0] == digest else read(content, file)
        self.readings[file] = (digest, reading)
        return reading

    def manifests(self) -> Manifests:
        return Manifests(
            tuple(self.documents),
            tuple(_few_alike(self.faults)),
            tuple(self.files),
            frozenset(self.broken),
            self.readings,
        )


def _few_alike(faults: list[Fault]) -> Iterator[Fault]:
    """A repository may have thousands of files that are not manifests: the first ones stand for all."""
    seen = 0
    first: Fault | None = None
    for fault in faults:
        if fault.code.id == reading.NOT_A_MANIFEST.id:
            seen += 1
            if seen > _MOST_ALIKE:
                first = first or fault
                continue
        yield fault
    if first is not None:
        yield reading.MORE_OTHER_FILES.at(first.origin, count=f"{seen - _MOST_ALIKE:,}")


# --- folders ---------------------------------------------------------------------------------------------------------


def _below(root: Path) -> Iterator[Path | tuple[str, Fault]]:
    """The manifests below a folder in the order of their paths, and what cannot be listed."""
    found = sorted(_walk(root), key=lambda each: each[0])
    for path, fault in found[:MAX_FILES]:
        yield (str(path), fault) if fault else path
    if len(found) > MAX_FILES:
        file = str(found[MAX_FILES][0])
        yield file, _too_much(file, f"{MAX_FILES:,} files")


def _walk(root: Path) -> Iterator[tuple[Path, Fault | None]]:
    """Files with a manifest's suffix. A folder is read once, whatever links lead to it."""
    seen: set[_Identity] = set()
    waiting: list[tuple[Path, frozenset[_Identity]]] = [(root, frozenset())]
    entries = 0
    while waiting:
        folder, above = waiting.pop()
        place = Position(str(folder), 1)
        try:
            status = folder.stat()
            listed = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            yield folder, machine.UNREADABLE.at(place, reason=error.strerror)
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            if identity in above:
                yield folder, machine.LEADS_BACK.at(place, folder=folder.resolve())
            continue
        seen.add(identity)
        entries += len(listed)
        if entries > _MAX_ENTRIES:
            yield folder, _too_much(str(folder), f"{_MAX_ENTRIES:,} entries")
            return
        for entry in listed:
            if is_ignored(entry.name):
                continue
            path = folder / entry.name
            if _is_folder(entry):
                waiting.append((path, above | {identity}))
            elif path.suffix in SUFFIXES and entry.name != settings.NAME:
                yield path, None


_Identity: TypeAlias = tuple[int, int]


def _too_much(file: str, limit: str) -> Fault:
    return machine.TOO_MUCH.at(Position(file, 1), limit=limit)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: opening it says so
        return False


def _content(file: Path) -> bytes | Fault:
    """A regular file's bytes. Nothing else is opened: a pipe or a device may have none for ever."""
    place = Position(str(file), 1)
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
        if kind != stat.S_IFREG:
            return machine.UNREADABLE.at(place, reason=_KINDS.get(kind, "not a regular file"))
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return machine.UNREADABLE.at(place, reason="not a regular file")
            return _limited(stream)
    except (OSError, ValueError) as error:
        return machine.UNREADABLE.at(place, reason=getattr(error, "strerror", None) or error)


_KINDS = {
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
    stat.S_IFDIR: "it is a folder",
}
