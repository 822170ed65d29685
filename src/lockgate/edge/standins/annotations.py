"""Placeholders in annotations: whole texts, lists, maps and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lockgate.edge.location import Place
from lockgate.edge.standins.fields import Entries, Items, Json, Whole, written
from lockgate.edge.standins.replaced import Replaced, replaced, text_of
from lockgate.edge.standins.sorts import ALB_NAME, CHECKED_PATH, ELASTIC_IP, SETTING, SUBNET, Sort
from lockgate.resources.field_errors import Path
from lockgate.resources.placeholders import tokens

_NOT_EMPTY: Final = (SETTING, ALB_NAME, CHECKED_PATH)


def replaced_annotations(annotations: dict[str, Any], place: Place) -> Iterator[Replaced]:
    """Writes the new values into `annotations`, and yields the replacements."""
    for key, value in list(annotations.items()):
        path = ("metadata", "annotations", key)
        if value is None:
            del annotations[key]
            yield Replaced(path, "", None, "a string", "the API server refuses the object")
        if (text := text_of(value)) is None or (how := written(key)) is None:
            continue
        match how:
            case Whole(sort):
                found, made = _whole(path, text, sort, place)
            case Items(sort):
                found, made = _items(path, text, sort, place)
            case Entries(sorts):
                found, made = _entries(path, text, sorts, place)
            case Json(sorts):
                found, made = _json(path, text, sorts, place)
        if found and made is None:
            del annotations[key]
        elif found:
            annotations[key] = made
        yield from found


Result = tuple[list[Replaced], str | None]  # and the new text, None for no annotation


def _whole(path: Path, text: str, sort: Sort, place: Place) -> Result:
    if not text.strip() and sort in _NOT_EMPTY:  # other empty values count as not set
        return [Replaced(path, text, None, sort.noun, sort.production)], None
    change = replaced(path, text, sort, place)
    return ([], text) if change is None else ([change], None if change.made is None else str(change.made))


def _items(path: Path, text: str, sort: Sort, place: Place) -> Result:
    found: list[Replaced] = []
    made: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        seed, distinct = item, sort in (SUBNET, ELASTIC_IP)
        while (change := replaced(path, seed, sort, place)) is not None and distinct and change.made in made:
            seed += "?"  # the same placeholder for several of them
        made.append(item if change is None else str(change.made))
        if change is not None:
            found.append(replace(change, text=item))
    return found, ",".join(made)


def _entries(path: Path, text: str, sorts: Mapping[str, Sort], place: Place) -> Result:
    """An entry without a replacement is removed."""
    found: list[Replaced] = []
    made: list[str] = []
    for item in text.split(","):
        key, _, value = item.partition("=")
        change = replaced(path, value, sorts.get(key.strip(), SETTING), place)
        if change is not None:
            found.append(replace(change, text=item))
        if change is None or change.made is not None:
            made.append(item if change is None else f"{key}={change.made}")
    return found, ",".join(made) or None


def _json(path: Path, text: str, sorts: Mapping[str, Sort], place: Place) -> Result:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # A placeholder instead of a number or of the whole text. The controller reports other faults.
        return _whole(path, text, SETTING, place) if tokens(text.replace("#{", "")) or not text.strip() else ([], text)
    found: list[Replaced] = []
    _strings(value, sorts, place, path, found)
    return found, json.dumps(value)


def _strings(value: Any, sorts: Mapping[str, Sort], place: Place, path: Path, found: list[Replaced]) -> None:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        sort = sorts.get(key.lower()) if isinstance(key, str) else None
        if sort is None or not isinstance(item, str):
            _strings(item, sorts, place, path, found)
        elif (change := replaced(path, item, sort, place)) is not None:
            value[key] = change.made
            found.append(change)
