"""The user's manifest files: found and read. `watch` follows them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lockgate.edge.manifests import Manifests
from lockgate.resources.chunks import MAX_TEXT
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault, Position, Severity
from lockgate.resources.reader import Document, Reading, read
from lockgate.runtime import settings

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_COUNT_LIMIT = 10_000  # files
STDIN = "-"


class NoManifests(Exception):
    """The paths hold nothing to read."""


def load(paths: Sequence[str], *, stdin: str | None = None, earlier: Manifests | None = None) -> Manifests:
    """Read files, folders (all below them) and ``-``. Raises `NoManifests`, OSError.

    `stdin` is what ``-`` held when it was read before: it can be read only once. Files that are as they were in
    `earlier` are not parsed again.
    """
    known = earlier.readings if earlier else {}
    readings: dict[str, tuple[str | bytes, Reading]] = {}
    documents: list[Document] = []
    faults: list[Fault] = []
    files: list[str] = []
    broken: set[str] = set()
    for file, text in _contents(paths, stdin):
        files.append(file)
        if isinstance(text, Fault):
            faults.append(text)
            broken.add(file)
            continue
        before = known.get(file)
        reading = before[1] if before and before[0] == text else read(text, file)
        readings[file] = (text, reading)
        documents += reading.documents
        faults += reading.faults
        if not reading.whole or any(fault.severity is Severity.ERROR for fault in reading.faults):
            broken.add(file)
    if not files:
        where = ", ".join(paths)
        raise NoManifests(f"no manifests in {where}: a folder needs .yaml, .yml or .json files")
    return Manifests(tuple(documents), tuple(faults), tuple(files), frozenset(broken), readings)


def _contents(paths: Sequence[str], stdin: str | None) -> Iterable[tuple[str, str | bytes | Fault]]:
    for name in paths:
        if name == STDIN:
            yield "<stdin>", sys.stdin.read() if stdin is None else stdin
        elif (path := Path(name)).is_dir():
            for count, file in enumerate(sorted(_manifests(path))):
                if count >= _COUNT_LIMIT:
                    raise NoManifests(f"{name} holds more than {_COUNT_LIMIT} manifests: name a smaller folder")
                yield str(file), _content(file)
        elif path.exists():
            yield name, _content(path)
        else:
            raise NoManifests(f"{name} does not exist")


def _manifests(folder: Path) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _manifests(entry)
        elif entry.suffix in SUFFIXES and entry.name != settings.NAME:
            yield entry


def _content(file: Path) -> bytes | Fault:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_TEXT + 1)  # one more than the reader takes, for it to say so
    except OSError as error:
        return codes.UNREADABLE.at(Position(str(file), 1), reason=error.strerror)
