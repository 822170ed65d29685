"""Replaces placeholders in manifests by values that work here, and reports each with its place.

Repositories often contain ``<region>`` or ``${DOMAIN}``, which a pipeline replaces. Such a field would block its
object, and with it the edge, so it gets a valid value here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from lockgate.edge.location import Place
from lockgate.edge.manifests import Manifests
from lockgate.edge.standins.annotations import replaced_annotations
from lockgate.edge.standins.fields import fields_of
from lockgate.edge.standins.references import Names
from lockgate.edge.standins.refused import Ports, replaced_refusals
from lockgate.edge.standins.replaced import Replaced, put, replaced, text_of
from lockgate.edge.standins.sorts import is_placeholder
from lockgate.resources.codes import objects as codes
from lockgate.resources.faults import Fault, Origin, Severity
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject
from lockgate.resources.placeholders import suspicious
from lockgate.resources.reader import Document


def fill(manifests: Manifests, place: Place, *, stand_in: bool = True) -> Manifests:
    """Replaces each placeholder. Without `stand_in` they are only reported."""
    documents: list[Document] = []
    faults = list(manifests.faults)
    filling = _Filling(place, Ports(manifests.documents), Names(manifests.documents), stand_in)
    for document in manifests.documents:
        manifest, changes = filling.of(document)
        if not changes:
            documents.append(document)
            continue
        new = document.instead(manifest) if stand_in else document
        warnings = [_warning(document, each, stand_in=stand_in) for each in changes]
        faults = [each for each in faults if each not in document.faults or each in new.faults]
        faults += [each for each in new.faults if each not in document.faults]
        faults += warnings
        documents.append(replace(new, faults=(*new.faults, *warnings)))
    if all(new is old for new, old in zip(documents, manifests.documents, strict=True)):
        return manifests
    faulty = {each.file for each in faults if each.severity is Severity.ERROR}
    broken = frozenset(each for each in manifests.broken if each in faulty or not _whole(manifests, each))
    return replace(manifests, documents=tuple(documents), faults=tuple(faults), broken=broken)


def _whole(manifests: Manifests, file: str) -> bool:
    reading = manifests.readings.get(file)
    return reading is not None and reading[1].whole


class _Filling:
    """Fills one document after another."""

    def __init__(self, place: Place, ports: Ports, names: Names, stand_in: bool) -> None:
        self._place = place
        self._ports = ports
        self._names = names
        self._stand_in = stand_in
        self._text, self._suspicious = "", False  # of the last text: thousands of objects may be in one List

    def of(self, document: Document) -> tuple[JsonObject, list[Replaced]]:
        """The manifest, a copy where something was replaced, and what was."""
        group, kind = document.manifest["apiVersion"].rpartition("/")[0], document.manifest["kind"]
        fields = fields_of(group, kind)
        written = (document.manifest.get("metadata") or {}).get("annotations")
        if fields.named and not written and document.accepted and not self._suspects(document):
            return document.manifest, []
        changes = [
            change
            for pattern, sort in fields.paths
            for path, text in _leaves(document.manifest, pattern)
            if (change := replaced(path, text, sort, self._place)) is not None
        ]
        annotations = dict(written) if isinstance(written, dict) else {}
        noted = list(replaced_annotations(annotations, self._place))
        if not changes and not noted and document.accepted:
            return document.manifest, []
        manifest = deepcopy(document.manifest)
        changes = [self._meant(document, each) for each in changes]
        noted = [self._meant(document, each) for each in noted]
        for change in changes:
            put(manifest, change.path, change.made)
        if noted:
            annotations.update((each.path[2], each.made) for each in noted if each.meant)
            manifest["metadata"]["annotations"] = annotations
        if not document.accepted and self._stand_in:
            changes += replaced_refusals(group, kind, manifest, self._ports)
        return manifest, [*changes, *noted]

    def _meant(self, document: Document, change: Replaced) -> Replaced:
        name = self._names.meant(document.manifest, change.path)
        return change if name is None else replace(change, made=name, meant=True)

    def _suspects(self, document: Document) -> bool:
        if document.text is not self._text:
            self._text, self._suspicious = document.text, suspicious(document.text)
        return self._suspicious


def _warning(document: Document, change: Replaced, *, stand_in: bool) -> Fault:
    code = codes.PLACEHOLDER
    values = {
        "field": _shown(change.path),
        "text": _short(change.text),
        "problem": _problem(change),
        "production": change.production,
    }
    if not stand_in:
        code = codes.PLACEHOLDER_KEPT
    elif change.made is None:
        code = codes.PLACEHOLDER_LEFT_OUT
    else:
        values["made"] = str(change.made)
    return code.at(Origin(document.key, change.path, definition=document.definition), **values)


def _problem(change: Replaced) -> str:
    if not change.text.strip():
        return "empty"
    return "a placeholder" if is_placeholder(change.text) else f"not {change.noun}"


# --- fields ------------------------------------------------------------------------------------------------------


def _leaves(value: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The texts at a pattern of ``fields``, with their paths."""
    if not pattern:
        if (text := text_of(value)) is not None:
            yield path, text
        return
    first, rest = pattern[0], pattern[1:]
    if first == "[]":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _leaves(item, rest, (*path, index))
    elif isinstance(value, dict):
        for key in value if first == "*" else (first,):
            if key in value:
                yield from _leaves(value[key], rest, (*path, key))


# --- messages -------------------------------------------------------------------------------------------------------


def _shown(path: Path) -> str:
    """A path such as ``spec.rules[0].host``; for an annotation its name without the common prefix."""
    if path[:2] == ("metadata", "annotations"):
        return str(path[2])
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def _short(text: str) -> str:
    text = text.strip()
    return f'"{text if len(text) <= 100 else text[:99] + "…"}"'
