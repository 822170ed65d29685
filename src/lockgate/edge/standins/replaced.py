"""Replaced values of manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lockgate.edge.location import Place
from lockgate.edge.standins.sorts import INGRESS_CLASS, Sort
from lockgate.resources.field_errors import Path


@dataclass(frozen=True, slots=True)
class Replaced:
    """`made` is None if the field was removed. `noun` names the sort of the value, `production` describes the effect of
    `text` on AWS and in a cluster. `meant` is whether `made` names an object of the manifests."""

    path: Path
    text: str
    made: str | int | None
    noun: str
    production: str
    meant: bool = False


def text_of(value: Any) -> str | None:
    """The text of a value, also of a bare ``{region}``, which YAML reads as a map."""
    match value:
        case str():
            return value
        case {**entries} if len(entries) == 1 and next(iter(entries.values())) is None:
            return f"{{{next(iter(entries))}}}"
        case _:
            return None


def replaced(path: Path, text: str, sort: Sort, place: Place) -> Replaced | None:
    """None for a valid value. Except for a class, an empty value counts as not set."""
    if sort.proper(text.strip()) or (not text.strip() and sort is not INGRESS_CLASS):
        return None
    return Replaced(path, text, sort.stand_in(text.strip(), place), sort.noun, sort.production)


def put(manifest: Any, path: Path, made: str | int | None) -> None:
    *above, last = path
    for part in above:
        manifest = manifest[part]
    if made is not None:
        manifest[last] = made
    elif isinstance(manifest, dict):
        del manifest[last]
    else:
        manifest[last] = ""
