"""The manifests of an editor's workspace, with the texts that are open in place of the files, checked again and again.

Each check builds on the one before: only changed files are read, and only what depends on them is built. A document
that is being typed is often broken for a moment. Its last good objects count meanwhile, so that the other files do not
lose what they refer to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from lockgate.check.findings import Finding
from lockgate.check.outcome import outcome
from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import NOTHING, Manifests
from lockgate.edge.options import BadOption, Options
from lockgate.edge.settling import with_last_good
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document
from lockgate.runtime import settings
from lockgate.runtime.reading import files


@dataclass(frozen=True, slots=True)
class Checked:
    """`manifests` are those that count, `read` what the texts hold. `problem` says why options have no effect."""

    read: Manifests = NOTHING
    manifests: Manifests = NOTHING
    edge: Edge | None = None
    findings: tuple[Finding, ...] = ()
    problem: str = ""

    def document(self, file: str, line: int) -> Document | None:
        """The object at a line, if the current text has it."""
        found: Document | None = None
        for each in self.read.documents:
            if each.position.file == file and each.chunk.first().line <= line:
                found = each
        return found

    def origin(self, file: str, line: int, column: int) -> Origin | None:
        """The field at a position. Both count from 1."""
        document = self.document(file, line)
        path = document.path_at(line, column) if document else None
        return Origin(document.key, path) if document and path else None


class Workspace:
    """`paths` are relative to the current folder."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        self._sources = files.Sources(self.paths)
        self._last = Checked()

    def check(self, opened: Mapping[str, bytes], *, on_disk: bool = True) -> Checked:
        """`opened` are the texts by file. Without `on_disk`, no file has changed on disk since the last check."""
        earlier = self._last
        found = None if on_disk or not self._sources.tree.files else self._sources.tree
        try:
            read = self._sources.load(earlier.read, found=found, instead=opened)
        except files.NoManifests:
            self._last = Checked()
            return self._last
        manifests = with_last_good(read, earlier.manifests)
        options, problem = self._options()
        edge = from_manifests(manifests, options, earlier.edge)
        held = {id(each) for each in manifests.documents} - {id(each) for each in read.documents}
        kept = {each.key for each in manifests.documents if id(each) in held}
        found_now = outcome(edge, manifests).findings
        findings = tuple(each for each in found_now if not _is_of(each, kept))
        self._last = Checked(read, manifests, edge, findings, problem)
        return self._last

    def _options(self) -> tuple[Options, str]:
        try:
            return settings.options(self.paths), ""
        except (settings.BadSettings, BadOption, OSError) as error:
            return Options(self.paths), str(error)

    def files(self) -> Sequence[str]:
        return self._last.read.files


def _is_of(finding: Finding, kept: Set[ObjectKey]) -> bool:
    """Whether it is about an object that the current text does not have: its line would be that of an old text."""
    origin = finding.fault.origin
    return isinstance(origin, Origin) and origin.key in kept


def describing_file(label: str) -> str:
    """The file that describes a rendering, from the name of its output: a kustomization, a chart."""
    folder = Path(label).parent
    names = ("kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml")
    return next((str(folder / name) for name in names if (folder / name).is_file()), label)
