"""Replaces placeholders in manifests by values that work here, and reports each with its place.

Repositories often contain ``<region>`` or ``${DOMAIN}``, which a pipeline replaces. Such a field would block its
object, and with it the edge, so it gets a valid value here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import compress, count
from operator import is_, not_
from typing import Any

from lockgate.edge.location import Place
from lockgate.edge.manifests import Manifests
from lockgate.edge.standins.annotations import replaced_annotations
from lockgate.edge.standins.fields import Fields, fields_of
from lockgate.edge.standins.references import Names, name_of
from lockgate.edge.standins.refused import Ports, first_port, replaced_refusals
from lockgate.edge.standins.replaced import Replaced, put, replaced, text_of
from lockgate.edge.standins.sorts import is_placeholder
from lockgate.resources.codes import objects as codes
from lockgate.resources.faults import Fault, Origin, Severity
from lockgate.resources.field_errors import Path
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject
from lockgate.resources.placeholders import suspicious
from lockgate.resources.reader import Document


def fill(manifests: Manifests, place: Place, *, stand_in: bool = True, memo: Memo | None = None) -> Manifests:
    """Replaces each placeholder. Without `stand_in` they are only reported. With the same `memo`, unchanged documents
    are not searched again."""
    memo = memo or Memo()
    place = memo.stable("place", place)
    plain = memo.each("plain", _is_plain, manifests.documents, memo)
    if all(plain):
        return manifests
    names = memo.made(Names, memo.facts("names", name_of, manifests.documents))
    ports = memo.made(Ports, memo.facts("ports", first_port, manifests.documents))
    documents = list(manifests.documents)
    faults = list(manifests.faults)
    for at in compress(count(), map(not_, plain)):
        document = documents[at]
        filled = memo.made(_filled, document, place, names, ports if not document.accepted else None, stand_in)
        if filled is None:
            continue
        faults = [each for each in faults if each not in document.faults or each in filled.faults]
        faults += [each for each in filled.faults if each not in document.faults]
        documents[at] = filled
    if all(map(is_, documents, manifests.documents)):
        return manifests
    faulty = {each.file for each in faults if each.severity is Severity.ERROR}
    broken = frozenset(each for each in manifests.broken if each in faulty or not _whole(manifests, each))
    return replace(manifests, documents=tuple(documents), faults=tuple(faults), broken=broken)


def _whole(manifests: Manifests, file: str) -> bool:
    reading = manifests.readings.get(file)
    return reading is not None and reading[1].whole


def _is_plain(document: Document, memo: Memo) -> bool:
    """Whether there is certainly nothing to replace: nearly every document ends here."""
    if (document.manifest.get("metadata") or {}).get("annotations") or not document.accepted:
        return False
    # Thousands of objects may be in one List, with the same text.
    return _fields(document).named and not memo.made(suspicious, document.text)


def _filled(document: Document, place: Place, names: Names, ports: Ports | None, stand_in: bool) -> Document | None:
    """The document with its placeholders replaced and the warnings about them; None if it has none. `ports` are for
    documents that are refused."""
    manifest, changes = _replaced(document, place, names, ports if stand_in else None)
    if not changes:
        return None
    new = document.instead(manifest) if stand_in else document
    warnings = [_warning(document, each, stand_in=stand_in) for each in changes]
    return replace(new, faults=(*new.faults, *warnings))


def _replaced(document: Document, place: Place, names: Names, ports: Ports | None) -> tuple[JsonObject, list[Replaced]]:
    """The manifest, a copy where something was replaced, and what was."""
    changes = [
        change
        for pattern, sort in _fields(document).paths
        for path, text in _leaves(document.manifest, pattern)
        if (change := replaced(path, text, sort, place)) is not None
    ]
    written = (document.manifest.get("metadata") or {}).get("annotations")
    annotations = dict(written) if isinstance(written, dict) else {}
    noted = list(replaced_annotations(annotations, place))
    if not changes and not noted and document.accepted:
        return document.manifest, []
    manifest = deepcopy(document.manifest)
    changes = [_meant(document, each, names) for each in changes]
    noted = [_meant(document, each, names) for each in noted]
    for change in changes:
        put(manifest, change.path, change.made)
    if noted:
        annotations.update((each.path[2], each.made) for each in noted if each.meant)
        manifest["metadata"]["annotations"] = annotations
    if not document.accepted and ports is not None:
        changes += replaced_refusals(*_group_kind(document), manifest, ports)
    return manifest, [*changes, *noted]


def _meant(document: Document, change: Replaced, names: Names) -> Replaced:
    name = names.meant(document.manifest, change.path)
    return change if name is None else replace(change, made=name, meant=True)


def _fields(document: Document) -> Fields:
    return fields_of(*_group_kind(document))


def _group_kind(document: Document) -> tuple[str, str]:
    return document.manifest["apiVersion"].rpartition("/")[0], document.manifest["kind"]


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
    if path[:2] == ("metadata", "annotations") and len(path) > 2:
        return str(path[2])
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def _short(text: str) -> str:
    text = text.strip()
    return f'"{text if len(text) <= 100 else text[:99] + "…"}"'
