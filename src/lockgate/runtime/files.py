"""The user's manifest files: found, rendered where they are sources of manifests, and read. `watch` follows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePath

from lockgate.edge import kustomization
from lockgate.edge.manifests import Manifests
from lockgate.errors import CommandError
from lockgate.resources.codes import reading
from lockgate.resources.faults import Fault, Position, Severity
from lockgate.resources.reader import Document, Reading, read
from lockgate.runtime.contents import CHART, below, content, limited, too_much
from lockgate.runtime.rendering import Renderer

STDIN = "-"
MAX_BYTES = 128 * 1024 * 1024  # of all files
MAX_OBJECTS = 30_000
_MOST_ALIKE = 10  # files of one sort that are reported one by one


class NoManifests(CommandError):
    """The paths hold nothing to read."""

    hint = "name files or folders with Kubernetes manifests"


class Sources:
    """The user's paths, with the content of what can be read only once: standard input, and pipes of the shell."""

    def __init__(self, paths: Sequence[str], values: Sequence[str] = ()) -> None:
        """`values` are files for Helm. Waits for the end of what is piped in. Raises OSError."""
        self.paths = tuple(paths)
        self._values = tuple(values)
        self._renderer = Renderer(values)
        self._streams = {path: _read_stream(path) for path in self.paths if is_stream(path)}

    @property
    def rendered(self) -> frozenset[str]:
        """Files and folders that were rendered from: also beyond the paths, and of any suffix."""
        return frozenset(self._renderer.sources)

    def printed_from(self, files: Collection[str]) -> frozenset[str]:
        """The names of what was rendered from any of these files."""
        return self._renderer.printed_from(files)

    def load(self, earlier: Manifests | None = None, *, without: Iterable[str] = ()) -> Manifests:
        """Read the files, the folders (all below them) and what was piped in, but for the paths `without`.

        Files that are as they were in `earlier` are not parsed again. Raises `NoManifests` for a path that does not
        exist, and where there is no file at all.
        """
        skipped = frozenset(without)
        paths = [path for path in self.paths if path not in skipped]
        loading = _Loading(earlier)
        self._renderer.begin()
        for path in paths:
            if path in self._streams:
                loading.add("<stdin>" if path == STDIN else path, self._streams[path])
            elif not os.path.lexists(path):
                raise NoManifests(f"{path} does not exist")
            else:
                self._add(_as_folder(path), loading)
        if not loading.files:
            raise NoManifests(f"no manifests in {', '.join(paths)}: a folder needs .yaml, .yml or .json files")
        if self._values and not self._renderer.uses_values:
            loading.faults += (reading.UNUSED_VALUES.at(Position(values, 1)) for values in self._values)
        return loading.manifests()

    def _add(self, path: str, loading: _Loading) -> None:
        if not Path(path).is_dir():
            loading.add(path, content(Path(path)))
            return
        folder = below(Path(path))
        plan = self._renderer.plan(path, folder)
        plain: list[tuple[Path, Fault | None]] = [*((file, None) for file in plan.files), *folder.faults]
        for file, problem in sorted(plain, key=lambda each: each[0]):
            loading.add(str(file), problem or content(file))
        for rendering in plan.renderings:
            printed = self._renderer.render(rendering)
            loading.add(rendering.label, printed)
            if not isinstance(printed, Fault):
                loading.notes.append(rendering.note)
        for fault in plan.faults:
            loading.add(fault.file, fault)


def _as_folder(path: str) -> str:
    """The file that describes a kustomization or a chart stands for its folder."""
    name = PurePath(path).name
    return str(PurePath(path).parent) if name in kustomization.NAMES or name == CHART else path


def load(paths: Sequence[str], values: Sequence[str] = (), *, earlier: Manifests | None = None) -> Manifests:
    """What `Sources.load` does, once."""
    return Sources(paths, values).load(earlier)


def is_stream(path: str) -> bool:
    """Whether a path of the user's can be read only once; `<(command)` of a shell is such a path."""
    return path in (STDIN, "/dev/stdin") or path.startswith(("/dev/fd/", "/proc/self/fd/"))


def _read_stream(path: str) -> bytes:
    if path == STDIN:
        return limited(sys.stdin.buffer)
    with Path(path).open("rb") as stream:
        return limited(stream)


@dataclass
class _Loading:
    """The files that have been read so far."""

    earlier: Manifests | None
    files: list[str] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    readings: dict[str, tuple[bytes, Reading]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
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
            return too_much(file, f"{MAX_BYTES // 2**20} MiB or {MAX_OBJECTS:,} objects")
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
            tuple(self.notes),
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
