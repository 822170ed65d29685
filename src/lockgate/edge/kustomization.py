"""The dependencies of kustomizations, and which of several kustomizations are rendered.

A repository contains bases, and overlays that build on them. Teams apply overlays, so a kustomization that no other one
builds on is rendered. Overlays that share a base are variants of the same objects (`dev` and `prod`), and Lockgate
cannot choose between them; it renders the shared base instead.
"""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.resources.model import JsonObject

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

Folder: TypeAlias = str
"""A normalized path."""


@dataclass(frozen=True, slots=True)
class Kustomization:
    """`parts` are what it builds on, folders and files alike; `inputs` the other files that it reads. Both by
    normalized paths; what is fetched from elsewhere is left out. `file` is its own."""

    folder: Folder
    file: str
    parts: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    is_component: bool = False
    chart_home: str = ""  # the folder of the Helm charts that it renders itself

    @staticmethod
    def of(folder: Folder, file: str, value: Any) -> Kustomization:
        """Reads a kustomization file's content, valid or not."""
        content = value if isinstance(value, dict) else {}
        parts = [each for field in ("resources", "bases", "components") for each in _texts(content.get(field))]
        return Kustomization(
            folder,
            file,
            tuple(_local(folder, parts)),
            tuple(_local(folder, _inputs(content))),
            content.get("kind") == "Component",
            next(_local(folder, _chart_homes(content)), ""),
        )


def _chart_homes(content: JsonObject) -> list[str]:
    if not _maps(content.get("helmCharts")):
        return []
    named = content.get("helmGlobals")
    return [*_texts([named.get("chartHome")] if isinstance(named, dict) else []), "charts"]


def _inputs(content: JsonObject) -> Iterator[str]:
    for field in ("crds", "configurations", "generators", "transformers", "validators", "patchesStrategicMerge"):
        yield from _texts(content.get(field))
    for field in ("patches", "patchesJson6902", "replacements"):
        yield from (each["path"] for each in _maps(content.get(field)) if isinstance(each.get("path"), str))
    for field in ("configMapGenerator", "secretGenerator"):
        for each in _maps(content.get(field)):
            # `key=file`, or a file whose name is the key.
            yield from (text.rpartition("=")[2] for name in ("files", "envs") for text in _texts(each.get(name)))
            yield from _texts([each.get("env")])
    for each in _maps(content.get("helmCharts")):
        yield from _texts([each.get("valuesFile"), *_texts(each.get("additionalValuesFiles"))])
    if isinstance(openapi := content.get("openapi"), dict):
        yield from _texts([openapi.get("path")])


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _maps(value: Any) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _local(folder: Folder, names: Iterator[str] | list[str]) -> Iterator[str]:
    for name in names:
        # Inline patches have lines; remote ones a scheme, a host with `//`, or a query for the version.
        if name and "\n" not in name and "://" not in name and "?ref=" not in name and "//" not in name:
            yield os.path.normpath(f"{folder}/{name}" if not name.startswith("/") else name)


@dataclass(frozen=True, slots=True)
class Choice:
    """`rendered` stand for all that they build on; `variants` are left out, each with what is rendered in its place."""

    rendered: tuple[Folder, ...]
    variants: Mapping[Folder, tuple[Folder, ...]]


def choose(candidates: Collection[Folder], kustomizations: Mapping[Folder, Kustomization]) -> Choice:
    """Selects the candidates to render; `kustomizations` has them and their dependencies."""
    reaches = {folder: reach([folder], kustomizations) for folder in candidates}
    used = {part for folder in candidates for part in reaches[folder] if part != folder}
    roots = [folder for folder in sorted(candidates) if folder not in used and not kustomizations[folder].is_component]
    rendered: list[Folder] = []
    variants: dict[Folder, tuple[Folder, ...]] = {}
    for group in _groups(roots, reaches):
        if len(group) == 1:
            rendered += group
            continue
        shared = _shared(group, reaches, kustomizations)
        rendered += shared
        variants |= dict.fromkeys(group, shared)
    return Choice(tuple(dict.fromkeys(rendered)), variants)


def reach(folders: Iterable[Folder], kustomizations: Mapping[Folder, Kustomization]) -> frozenset[str]:
    """The kustomizations with all their dependencies, files and folders."""
    seen: set[str] = set()
    waiting = list(folders)
    while waiting:
        if (at := waiting.pop()) not in seen:
            seen.add(at)
            waiting += kustomizations[at].parts if at in kustomizations else ()
    return frozenset(seen)


def _groups(roots: list[Folder], reaches: Mapping[Folder, frozenset[str]]) -> list[list[Folder]]:
    """Groups roots that share a dependency, directly or transitively."""
    groups: list[tuple[list[Folder], frozenset[str]]] = []
    for root in roots:
        members, parts = [root], reaches[root]
        apart = []
        for group in groups:
            if group[1] & parts:
                members, parts = [*group[0], *members], group[1] | parts
            else:
                apart.append(group)
        groups = [*apart, (members, parts)]
    return [members for members, _ in groups]


def _shared(
    group: list[Folder], reaches: Mapping[Folder, frozenset[str]], kustomizations: Mapping[Folder, Kustomization]
) -> tuple[Folder, ...]:
    """The topmost kustomizations that several of a group build on."""
    counts = Counter(part for root in group for part in reaches[root])
    bases = [
        part
        for part in sorted(counts)
        if counts[part] > 1 and part in kustomizations and not kustomizations[part].is_component
    ]
    inner = {part for base in bases for part in reach([base], kustomizations) if part != base}
    return tuple(base for base in bases if base not in inner)
