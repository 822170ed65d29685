"""Kustomizations and Helm charts among the user's files, rendered with the user's programs.

Each folder is planned before anything runs: which kustomizations and charts to render, and which files are parts of
them instead of manifests. A program's output is kept until one of its sources changes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from lockgate.edge.kustomization import NAMES, Choice, Kustomization, choose, reach
from lockgate.resources import source
from lockgate.resources.chunks import Chunk, split
from lockgate.resources.codes import reading as codes
from lockgate.resources.faults import Fault, Position
from lockgate.resources.model import kinds
from lockgate.runtime.reading import tools
from lockgate.runtime.reading.contents import CHART, Folder, Signature, content, signature

_MOST = 20  # renderings per path
_LONGEST = 60.0  # seconds for all of them together


@dataclass(frozen=True, slots=True)
class Rendering:
    """Something that a program renders. `file` describes it and is the place of its faults; `sources` are its files and
    folders. `shown` is the command without Lockgate's additions. `plain` are the manifests that it builds on, which are
    read as they are if it cannot be rendered at all."""

    folder: str
    file: str
    command: tuple[str, ...]
    shown: str
    sources: frozenset[str]
    plain: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The file name of the output; lines refer to the command's output."""
        return str(PurePath(self.folder, f"<{' '.join(self.shown.split()[:2])}>"))

    @property
    def note(self) -> str:
        return f"{self.folder}: rendered with {self.shown}"


@dataclass(slots=True)
class Plan:
    """`files` are plain manifests; `faults` report what is neither read nor rendered."""

    files: list[str]
    charts: list[Path] = field(default_factory=list)
    renderings: list[Rendering] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


_Signed: TypeAlias = tuple[tuple[str, Signature | None], ...]


class Renderer:
    def __init__(self, values: Sequence[str] = ()) -> None:
        """`values` are files for Helm."""
        self._values = tuple(values)
        self._printed: dict[str, tuple[_Signed, bytes | Fault]] = {}
        self._once_rendered: set[str] = set()  # labels
        self._renderings: list[Rendering] = []  # since `begin`
        self._deadline = 0.0
        self.uses_values = False

    @property
    def sources(self) -> frozenset[str]:
        """Files and folders of all renderings, including those beyond the user's paths."""
        return frozenset().union(*(each.sources for each in self._renderings))

    def printed_from(self, files: Collection[str]) -> frozenset[str]:
        """The labels of what was rendered from any of these files."""
        desired = {each for file in files for each in (file, *map(str, PurePath(file).parents))}
        return frozenset(each.label for each in self._renderings if each.sources & desired)

    def begin(self) -> None:
        self._renderings = []
        self._deadline = time.monotonic() + _LONGEST
        self.uses_values = False

    def plan(self, root: str, folder: Folder) -> Plan:
        """What to do with the files below one of the user's paths."""
        plan = Plan(list(folder.files), list(folder.charts))
        if folder.kustomizations:
            _Kustomizations(root, folder, plan).plan()
        for chart in plan.charts:
            self._plan_chart(chart, plan)
        for rendering in plan.renderings[_MOST:]:
            place = Position(rendering.file, 1)
            plan.faults.append(codes.NOT_RENDERED.at(place, folder=rendering.folder, limit=_MOST))
        del plan.renderings[_MOST:]
        return plan

    def _plan_chart(self, chart: Path, plan: Plan) -> None:
        file = str(chart / CHART)
        described = _yaml(chart / CHART)
        name, kind = described.get("name"), described.get("type")
        if kind == "library":
            plan.faults.append(codes.LIBRARY_CHART.at(Position(file, 1)))
            return
        helm = shutil.which("helm")
        if helm is None:
            plan.faults.append(codes.NO_HELM.at(Position(file, 1), folder=chart))
            return
        self.uses_values = True
        release = name if isinstance(name, str) and name else chart.resolve().name
        command = [helm, "template", release, _argument(str(chart)), "--namespace", "default", "--skip-tests"]
        values = [part for file in self._values for part in ("--values", file)]
        shown = " ".join(("helm template", str(chart), *values))
        command += values
        command += (part for version in _api_versions() for part in ("--api-versions", version))
        sources = frozenset({str(chart), *self._values})
        plan.renderings.append(Rendering(str(chart), file, tuple(command), shown, sources))

    def render(self, rendering: Rendering) -> bytes | Fault:
        """What the program prints. A fault that is only a warning means that `plain` is to be read instead: while
        nothing was rendered before, whose objects could go on serving."""
        self._renderings.append(rendering)
        signed = _signed(rendering.sources)
        before = self._printed.get(rendering.label)
        if before is None or before[0] != signed:
            before = self._printed[rendering.label] = (signed, self._run(rendering))
        if not isinstance(before[1], Fault):
            self._once_rendered.add(rendering.label)
        return before[1]

    def _run(self, rendering: Rendering) -> bytes | Fault:
        left = max(self._deadline - time.monotonic(), 1.0)
        try:
            return tools.run(rendering.command, timeout=min(tools.TIMEOUT, left))
        except tools.ToolFailed as error:
            if rendering.plain and rendering.label not in self._once_rendered:
                place = Position(rendering.file, 1)
                return codes.READ_AS_IT_IS.at(place, command=rendering.shown, reason=error)
            return codes.RENDERING_FAILED.at(Position(rendering.file, 1), command=rendering.shown, reason=error)


def _api_versions() -> list[str]:
    """The value of `.Capabilities.APIVersions` for charts: the groups of a cluster's add-ons."""
    found = set()
    for model in kinds().values():
        kind = model.KIND
        if ("." in kind.group and not kind.group.endswith(".k8s.io")) or kind.group == "elbv2.k8s.aws":
            found |= {f"{kind.group}/{version}" for version in kind.versions}
            found |= {f"{kind.group}/{version}/{kind.kind}" for version in kind.versions}
    return sorted(found)


# --- kustomizations --------------------------------------------------------------------------------------------------


class _Kustomizations:
    """The kustomizations below one path."""

    def __init__(self, root: str, folder: Folder, plan: Plan) -> None:
        self._root = os.path.normpath(root)
        self._plan = plan
        self._found = {each.folder: each for each in map(_kustomization, folder.kustomizations)}
        self._all = dict(self._found)
        self._read_parts()

    def _read_parts(self) -> None:
        """Reads the kustomizations beyond the path that those below it build on."""
        waiting = [part for each in self._found.values() for part in each.parts]
        while waiting:
            part = waiting.pop()
            if part not in self._all and (file := _kustomization_file(Path(part))):
                each = self._all[part] = _kustomization(file)
                waiting += each.parts

    def plan(self) -> None:
        choice = self._choice()
        tool = _kustomize()
        rendered = self._reach(choice.rendered) if tool else frozenset()
        for folder in choice.rendered:
            each = self._all[folder]
            if tool is None:
                self._plan.faults.append(codes.NO_KUSTOMIZE.at(Position(each.file, 1), folder=folder))
            else:
                shown = f"{Path(tool[0]).name} {tool[1]} {folder}"
                self._plan.renderings.append(
                    Rendering(
                        folder,
                        each.file,
                        (*tool, _argument(folder)),
                        shown,
                        self._sources(folder),
                        self._resources(folder),
                    )
                )
        for folder, instead in choice.variants.items():
            self._plan.faults.append(self._variant(folder, instead))
        parts = self._parts(choice, rendered)
        kept = [file for file in self._plan.files if os.path.normpath(file) not in parts]
        self._plan.files = [file for file in kept if not self._is_beside(file, choice, rendered)]
        for folder in choice.rendered if tool else ():
            if beside := [file for file in kept if os.path.normpath(Path(file).parent) == folder]:
                self._plan.faults.append(self._left_out(folder, beside))
        homes = {each.chart_home for each in self._all.values() if each.chart_home}
        self._plan.charts = [chart for chart in self._plan.charts if not homes & {*map(str, chart.parents)}]

    @staticmethod
    def _is_beside(file: str, choice: Choice, rendered: frozenset[str]) -> bool:
        """Whether a file is in the folder of a kustomization that does not use it: `kubectl apply -k` leaves it out."""
        folder = os.path.normpath(Path(file).parent)
        return folder in rendered or folder in choice.variants

    def _choice(self) -> Choice:
        if self._root in self._found:  # the user has named it explicitly
            used = self._reach([self._root])
            related = [each for each in self._found if each not in used and self._reach([each]) & used]
            apart = choose(self._found.keys() - used - {*related}, self._all)
            variants = {each: (self._root,) for each in related if not self._all[each].is_component}
            return Choice((self._root, *apart.rendered), {**variants, **apart.variants})
        return choose(self._found, self._all)

    def _variant(self, folder: str, instead: tuple[str, ...]) -> Fault:
        place = Position(self._all[folder].file, 1)
        if instead:
            return codes.VARIANT.at(place, instead=" and ".join(instead), folder=folder)
        return codes.VARIANT_OF_NONE.at(place, folder=folder)

    def _left_out(self, folder: str, files: list[str]) -> Fault:
        named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        return codes.OUTSIDE_KUSTOMIZATION.at(Position(self._all[folder].file, 1), files=named)

    def _parts(self, choice: Choice, rendered: frozenset[str]) -> frozenset[str]:
        """Files that belong to a kustomization and are not manifests themselves."""
        found = set(rendered)
        used: dict[str, int] = {}
        for each in self._all.values():
            found |= {each.file, *each.inputs}
        for folder in choice.variants:
            for part in self._reach([folder]):
                used[part] = used.get(part, 0) + 1
        # Of variants only their shared base is read.
        return frozenset(found | {part for part, count in used.items() if count == 1})

    def _reach(self, folders: Sequence[str]) -> frozenset[str]:
        return reach(folders, self._all)

    def _resources(self, folder: str) -> tuple[str, ...]:
        """The manifests, without patches and the like, which are no whole objects."""
        return tuple(sorted(part for part in self._reach([folder]) if part not in self._all and Path(part).is_file()))

    def _sources(self, folder: str) -> frozenset[str]:
        reach = self._reach([folder])
        files = {part for part in reach if part not in self._all}
        return frozenset(
            files.union(*({each.file, *each.inputs} for at in reach if (each := self._all.get(at)) is not None))
        )


def _argument(path: str) -> str:
    """A path that no program interprets as an option."""
    return f"./{path}" if path.startswith("-") else path


def _kustomize() -> tuple[str, ...] | None:
    if program := shutil.which("kustomize"):
        return (program, "build")
    if program := shutil.which("kubectl"):
        return (program, "kustomize")
    return None


def _kustomization(file: Path) -> Kustomization:
    return Kustomization.of(os.path.normpath(file.parent), str(file), _yaml(file))


def _kustomization_file(folder: Path) -> Path | None:
    return next((file for name in NAMES if (file := folder / name).is_file()), None)


def _yaml(file: Path) -> dict[str, Any]:
    """A file's first document if it is a map, else empty: the renderer reports the error."""
    data = content(file)
    if isinstance(data, Fault):
        return {}
    text = data.decode(errors="replace").removeprefix("\ufeff")
    for chunk in split(text, str(file)):
        if isinstance(chunk, Chunk):
            try:
                value = source.load(chunk, [])
            except source.Unreadable:
                return {}
            return value if isinstance(value, dict) else {}
    return {}


def _signed(sources: frozenset[str]) -> _Signed:
    """Differs whenever a source was written, replaced, created or removed."""
    return tuple(sorted((path, signature(path)) for each in sources for path in _files(each)))


def _files(path: str) -> Iterator[str]:
    yield path
    for folder, folders, names in os.walk(path):
        yield from (f"{folder}/{name}" for name in (*folders, *names))
