"""The user's manifest files, rendered where they are sources of manifests, and read.

`tree` finds them, and `watch` follows them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from lockgate.edge.manifests import Manifests
from lockgate.errors import CommandError
from lockgate.resources.codes import reading
from lockgate.resources.faults import Fault, Position, Severity
from lockgate.resources.reader import Document, Reading, read
from lockgate.runtime.reading import tree
from lockgate.runtime.reading.contents import Folder, Signature, content, in_order, limited, too_much
from lockgate.runtime.reading.rendering import Renderer
from lockgate.runtime.reading.tree import Tree

MAX_BYTES = 128 * 1024 * 1024  # of all files
MAX_OBJECTS = 30_000
# ns; a file that was written less long before it was read may be written again without another signature
_UNSETTLED = 2_000_000_000
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
        self._streams = {path: _read_stream(path) for path in self.paths if tree.is_stream(path)}
        self.tree = Tree()  # what was on disk at the last load
        self._settled: dict[str, Signature] = {}  # files that were read then, and have not been written just before

    @property
    def rendered(self) -> frozenset[str]:
        """Files and folders that were rendered from: also beyond the paths, and of any suffix."""
        return frozenset(self._renderer.sources)

    def printed_from(self, files: Collection[str]) -> frozenset[str]:
        """The names of what was rendered from any of these files."""
        return self._renderer.printed_from(files)

    def load(
        self,
        earlier: Manifests | None = None,
        *,
        found: Tree | None = None,
        instead: Mapping[str, bytes] | None = None,
    ) -> Manifests:
        """Read the files, the folders (all below them) and what was piped in. `instead` is the content of files that
        an editor has changed, and not saved.

        Files that are as they were in `earlier` are not parsed again. Raises `NoManifests` where there is no file at
        all, and for a path that does not exist; with `found`, what is on disk now, such a path is passed over.
        """
        self.tree = found or tree.read(self.paths, self.rendered)
        if self.tree.missing and not found:
            raise NoManifests(f"{min(self.tree.missing)} does not exist")
        loading = _Loading(earlier, instead or {})
        began = time.time_ns()
        self._renderer.begin()
        for path in self.paths:
            if path in self._streams:
                loading.add("<stdin>" if path == tree.STDIN else path, self._streams[path])
            elif (folder := self.tree.roots.get(path)) is not None:
                self._add_folder(tree.as_folder(path), folder, loading)
            elif path in self.tree.files:
                self._add(path, loading)
        self._settled = {
            name: signature
            for name, signature in self.tree.files.items()
            if signature is not None
            and max(signature.modified, signature.changed) + _UNSETTLED < began
            and name not in loading.instead
        }
        if not loading.files:
            raise NoManifests(f"no manifests in {', '.join(self.paths)}: a folder needs .yaml, .yml or .json files")
        if self._values and not self._renderer.uses_values:
            loading.faults += (reading.UNUSED_VALUES.at(Position(values, 1)) for values in self._values)
        return loading.manifests()

    def _add_folder(self, path: str, folder: Folder, loading: _Loading) -> None:
        plan = self._renderer.plan(path, folder)
        problems = dict(folder.faults)
        for file in sorted({*plan.files, *problems}, key=in_order):
            if problem := problems.get(file):
                loading.add(file, problem)
            else:
                self._add(file, loading)
        for rendering in plan.renderings:
            printed = self._renderer.render(rendering)
            loading.add(rendering.label, printed)
            if not isinstance(printed, Fault):
                loading.notes.append(rendering.note)
            elif printed.severity is not Severity.ERROR:
                for file in rendering.plain:
                    if file not in loading.files:
                        self._add(file, loading)
        for fault in plan.faults:
            loading.add(fault.file, fault)

    def _add(self, file: str, loading: _Loading) -> None:
        if (changed := loading.instead.get(file)) is not None:
            loading.add(file, changed)
            return
        signature = self.tree.files.get(file)
        if signature is None or self._settled.get(file) != signature or not loading.keep(file, signature.size):
            loading.add(file, content(Path(file)))


def load(paths: Sequence[str], values: Sequence[str] = (), *, earlier: Manifests | None = None) -> Manifests:
    """What `Sources.load` does, once."""
    return Sources(paths, values).load(earlier)


def _read_stream(path: str) -> bytes:
    if path == tree.STDIN:
        return limited(sys.stdin.buffer)
    with Path(path).open("rb") as stream:
        return limited(stream)


@dataclass
class _Loading:
    """The files that have been read so far."""

    earlier: Manifests | None
    instead: Mapping[str, bytes]
    files: list[str] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    readings: dict[str, tuple[bytes, Reading]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    size: int = 0  # bytes

    def keep(self, file: str, size: int) -> bool:
        """Add what was read of a file before, which has not been written since; False where nothing was."""
        before = self.earlier.readings.get(file) if self.earlier else None
        if before is None:
            return False
        self.size += size
        self.readings[file] = before
        self._add(file, self._too_much(file) or before[1])
        return True

    def add(self, file: str, content: bytes | Fault) -> None:
        self._add(file, self._read(file, content) if isinstance(content, bytes) else content)

    def _add(self, file: str, found: Reading | Fault) -> None:
        self.files.append(file)
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
        if fault := self._too_much(file):
            return fault
        digest = blake2b(content, digest_size=16).digest()
        before = self.earlier.readings.get(file) if self.earlier else None
        same = before is not None and before[0] == digest
        reading = before[1] if before and same else read(content, file, before[1] if before else None)
        self.readings[file] = (digest, reading)
        return reading

    def _too_much(self, file: str) -> Fault | None:
        if self.size <= MAX_BYTES and len(self.documents) < MAX_OBJECTS:
            return None
        return too_much(file, f"{MAX_BYTES // 2**20} MiB or {MAX_OBJECTS:,} objects")

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
