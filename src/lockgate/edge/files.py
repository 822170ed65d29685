"""The user's manifest files: found, read, and followed."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.resources.finding import Finding, Position, Severity
from lockgate.resources.reader import Document, read

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes a file
_COUNT_LIMIT = 10_000  # files
STDIN = "-"


class NoManifests(Exception):
    """The paths hold nothing to read."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that was read, in the order of files and documents. `files` are all that were looked at."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    broken: frozenset[str]  # files in which something could not be read at all


def load(paths: Sequence[str], *, stdin: str | None = None) -> Manifests:
    """Read files, folders (all below them) and ``-``. Raises `NoManifests`, OSError.

    `stdin` is what ``-`` held when it was read before: it can be read only once.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    files: list[str] = []
    broken: set[str] = set()
    for file, text in _texts(paths, stdin):
        files.append(file)
        if isinstance(text, Finding):
            findings.append(text)
            broken.add(file)
            continue
        reading = read(text, file)
        documents += reading.documents
        findings += reading.findings
        if any(finding.severity is Severity.ERROR for finding in reading.findings):
            broken.add(file)
    if not files:
        where = ", ".join(paths)
        raise NoManifests(f"no manifests in {where}: a folder needs .yaml, .yml or .json files")
    if not documents and not findings:
        raise NoManifests(f"no manifests in {', '.join(files)}: nothing but empty documents")
    return Manifests(tuple(documents), tuple(findings), tuple(files), frozenset(broken))


async def changes(paths: Sequence[str]) -> AsyncIterator[None]:
    """Fires after each save below the paths. Editors write in several steps; those count as one."""
    from watchfiles import awatch

    # A file's folder is watched, because editors replace the file rather than write into it.
    folders = {path if path.is_dir() else path.parent for path in map(Path, paths) if str(path) != STDIN}
    if not folders:
        return
    named = {path.resolve() for path in map(Path, paths) if not path.is_dir()}

    def ours(_change: object, changed: str) -> bool:
        path = Path(changed)
        if path.name.startswith("."):
            return False
        return path.suffix in SUFFIXES or path.resolve() in named

    async for _ in awatch(*folders, watch_filter=ours, step=20, debounce=400, rust_timeout=60_000):
        yield


def _texts(paths: Sequence[str], stdin: str | None) -> Iterable[tuple[str, str | Finding]]:
    for name in paths:
        if name == STDIN:
            yield "<stdin>", sys.stdin.read() if stdin is None else stdin
        elif (path := Path(name)).is_dir():
            for count, file in enumerate(sorted(_manifests(path))):
                if count >= _COUNT_LIMIT:
                    raise NoManifests(f"{name} holds more than {_COUNT_LIMIT} manifests: name a smaller folder")
                yield str(file), _text(file)
        elif path.exists():
            yield name, _text(path)
        else:
            raise NoManifests(f"{name} does not exist")


def _manifests(folder: Path) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _manifests(entry)
        elif entry.suffix in SUFFIXES:
            yield entry


def _text(file: Path) -> str | Finding:
    position = Position(str(file), 1, 1)
    try:
        if file.stat().st_size > _SIZE_LIMIT:
            return Finding(
                "LG0003", Severity.ERROR, f"the file is larger than {_SIZE_LIMIT >> 20} MiB", position,
                "split it, or leave it out of the folder",
            )  # fmt: skip
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        return Finding(
            "LG0004", Severity.ERROR, f"not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}",
            position, "save it as UTF-8",
        )  # fmt: skip
    except OSError as error:
        return Finding("LG0005", Severity.ERROR, f"cannot be read: {error.strerror}", position, "mend its permissions")
