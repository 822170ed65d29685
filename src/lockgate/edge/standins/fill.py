"""Replaces placeholders in manifests by values that work here, and reports each with its place.

Repositories often contain ``<region>`` or ``${DOMAIN}``, which a pipeline replaces. Such a field would block its
object, and with it the edge, so it gets a valid value here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final

from lockgate.edge.location import Place
from lockgate.edge.manifests import Manifests
from lockgate.edge.standins.fields import Entries, Items, Json, Whole, fields_of, written
from lockgate.edge.standins.sorts import INGRESS_CLASS, SUBNET, Sort, is_placeholder
from lockgate.resources import validation
from lockgate.resources.codes import objects as codes
from lockgate.resources.faults import Fault, Origin, Severity
from lockgate.resources.field_errors import Path, Reason
from lockgate.resources.model import JsonObject, kinds
from lockgate.resources.placeholders import suspicious, tokens
from lockgate.resources.reader import Document


@dataclass(frozen=True, slots=True)
class _Replaced:
    """A replaced value; `made` is None if the field was removed."""

    path: Path
    text: str
    made: str | int | None
    sort: str
    production: str


def fill(manifests: Manifests, place: Place, *, stand_in: bool = True) -> Manifests:
    """Replaces each placeholder. Without `stand_in` they are only reported."""
    documents: list[Document] = []
    faults = list(manifests.faults)
    suspects = _Suspects()
    for document in manifests.documents:
        manifest, replaced = _filled(document, place, suspects, stand_in=stand_in)
        if not replaced:
            documents.append(document)
            continue
        new = document.instead(manifest) if stand_in else document
        warnings = [_warning(document, each, stand_in=stand_in) for each in replaced]
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


class _Suspects:
    """Each text once: thousands of objects may be in one List."""

    def __init__(self) -> None:
        self._text = ""
        self._suspicious = False

    def __call__(self, text: str) -> bool:
        if text is not self._text:
            self._text, self._suspicious = text, suspicious(text)
        return self._suspicious


def _filled(
    document: Document, place: Place, suspects: _Suspects, *, stand_in: bool
) -> tuple[JsonObject, list[_Replaced]]:
    group, kind = document.manifest["apiVersion"].rpartition("/")[0], document.manifest["kind"]
    fields = fields_of(group, kind)
    if fields is None:
        return document.manifest, []
    written = (document.manifest.get("metadata") or {}).get("annotations")
    if fields.named and not written and document.accepted and not suspects(document.text):
        return document.manifest, []
    found = [
        change
        for pattern, sort in fields.paths
        for path, text in _leaves(document.manifest, pattern)
        if (change := _change(path, text, sort, place)) is not None
    ]
    changes = list(found)
    annotations = dict(written) if isinstance(written, dict) else {}
    found += _annotations(written, annotations, place) if isinstance(written, dict) else ()
    if not found and document.accepted:
        return document.manifest, []
    manifest = deepcopy(document.manifest)
    for change in changes:
        _put(manifest, change.path, change.made)
    if isinstance(written, dict):
        manifest["metadata"]["annotations"] = annotations
    if not document.accepted and stand_in:
        found += _refused(group, kind, manifest)
    return manifest, found


def _warning(document: Document, change: _Replaced, *, stand_in: bool) -> Fault:
    code = codes.PLACEHOLDER
    values = {
        "field": _shown(change.path),
        "text": _short(change.text),
        "problem": "a placeholder" if is_placeholder(change.text) else f"not {change.sort}",
        "production": change.production,
    }
    if not stand_in:
        code = codes.PLACEHOLDER_KEPT
    elif change.made is None:
        code = codes.PLACEHOLDER_LEFT_OUT
    else:
        values["made"] = str(change.made)
    return code.at(Origin(document.key, change.path, definition=document.definition), **values)


# --- fields ------------------------------------------------------------------------------------------------------


def _leaves(value: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The texts at a pattern of ``fields``, with their paths."""
    if not pattern:
        if isinstance(value, str):
            yield path, value
        return
    first, rest = pattern[0], pattern[1:]
    if first == "[]":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _leaves(item, rest, (*path, index))
    elif isinstance(value, dict):
        for key in value if first == "*" else (first,):
            if key in value:
                yield from _leaves(value[key], rest, (*path, key))


def _change(path: Path, text: str, sort: Sort, place: Place) -> _Replaced | None:
    if sort.proper(text.strip()) or (not text.strip() and sort is not INGRESS_CLASS):
        return None
    return _Replaced(path, text, sort.stand_in(text.strip(), place), sort.noun, sort.production)


def _put(manifest: Any, path: Path, made: str | int | None) -> None:
    *above, last = path
    for part in above:
        manifest = manifest[part]
    if made is not None:
        manifest[last] = made
    elif isinstance(manifest, dict):
        del manifest[last]
    else:
        manifest[last] = ""


# --- annotations -------------------------------------------------------------------------------------------------


def _annotations(before: Mapping[str, Any], after: dict[str, Any], place: Place) -> Iterator[_Replaced]:
    """Writes the new values into `after`, and yields the replacements."""
    for key, text in before.items():
        if not isinstance(text, str) or (how := written(key)) is None:
            continue
        path = ("metadata", "annotations", key)
        match how:
            case Whole(sort):
                if change := _change(path, text, sort, place):
                    _put(after, (key,), change.made)
                    yield change
            case Items(sort):
                yield from _items(path, text, sort, place, after)
            case Entries(sorts):
                yield from _entries(path, text, sorts, place, after)
            case Json(sorts):
                yield from _json(path, text, sorts, place, after)


def _items(path: Path, text: str, sort: Sort, place: Place, after: dict[str, Any]) -> Iterator[_Replaced]:
    made: list[str] = []
    changed = False
    for item in filter(None, (part.strip() for part in text.split(","))):
        seed = item
        while (change := _change(path, seed, sort, place)) is not None and sort is SUBNET and change.made in made:
            seed += "?"  # the same placeholder for several subnets
        made += [item if change is None else str(change.made)]
        if change is not None:
            changed = True
            yield replace(change, text=item)
    if changed:
        after[str(path[-1])] = ",".join(made)


def _entries(
    path: Path, text: str, sorts: Mapping[str, Sort], place: Place, after: dict[str, Any]
) -> Iterator[_Replaced]:
    made: list[str] = []
    changed = False
    for item in text.split(","):
        key, equals, value = item.partition("=")
        sort = sorts.get(key.strip())
        change = _change(path, value, sort, place) if sort and equals else None
        made.append(item if change is None else f"{key}={change.made}")
        if change is not None:
            changed = True
            yield change
    if changed:
        after[str(path[-1])] = ",".join(made)


def _json(path: Path, text: str, sorts: Mapping[str, Sort], place: Place, after: dict[str, Any]) -> Iterator[_Replaced]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return  # the controller reports the fault
    found: list[_Replaced] = []
    _strings(value, sorts, place, path, found)
    if found:
        after[str(path[-1])] = json.dumps(value)
        yield from found


def _strings(value: Any, sorts: Mapping[str, Sort], place: Place, path: Path, found: list[_Replaced]) -> None:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        sort = sorts.get(key.lower()) if isinstance(key, str) else None
        if sort is None or not isinstance(item, str):
            _strings(item, sorts, place, path, found)
        elif (change := _change(path, item, sort, place)) is not None:
            value[key] = change.made
            found.append(change)


# --- values that the API server would refuse ----------------------------------------------------------------------

_NUMBERS: Final = {"port": 80, "number": 80, "attempts": 2}  # 0 attempts are refused; Istio's default is 2
_TRIES = 5  # one fault may hide another


def _refused(group: str, kind: str, manifest: JsonObject) -> Iterator[_Replaced]:
    """Placeholders in any field for which the API server would refuse the object: numbers, durations, enums. Optional
    fields are removed."""
    model = kinds().get((group, kind))
    for _ in range(_TRIES if model is not None else 0):
        assert model is not None
        found = False
        for error in validation.examine(model, manifest).refusals:
            text = _at(manifest, error.path)
            if error.reason is Reason.REQUIRED or not isinstance(text, str) or not tokens(text):
                continue
            made = _NUMBERS.get(str(error.path[-1]))
            found = True
            sort = "a number" if error.reason is Reason.TYPE else "a valid value"
            _put(manifest, error.path, made)
            yield _Replaced(error.path, text, made, sort, "the API server refuses the object")
        if not found:
            return


def _at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


# --- messages ------------------------------------------------------------------------------------------------------


def _shown(path: Path) -> str:
    """A path such as ``spec.rules[0].host``; for an annotation its name without the common prefix."""
    if path[:2] == ("metadata", "annotations"):
        return str(path[2])
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def _short(text: str) -> str:
    text = text.strip()
    return f'"{text if len(text) <= 100 else text[:99] + "…"}"'
