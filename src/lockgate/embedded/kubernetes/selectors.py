"""Label and field selectors, in the syntax of the API's query parameters.

Source: kubernetes.io "Labels and Selectors", "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest

Matches: TypeAlias = Callable[[JsonObject], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!]*)$")
_EXISTS = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s=!()<>]+)$")
_FIELD = re.compile(r"^(?P<field>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)$")


def label_selector(text: str) -> Matches:
    """``app=x,tier in (a,b),!canary`` as a predicate on objects. Raises `BadRequest`."""
    requirements = [_label_requirement(part.strip(), text) for part in _split(text) if part.strip()]
    return lambda obj: all(met(obj["metadata"].get("labels") or {}) for met in requirements)


def field_selector(text: str, kind: Kind) -> Matches:
    """``metadata.name=x,type!=Normal``: any scalar field of the object. Raises `BadRequest`."""
    requirements: list[tuple[tuple[str, ...], bool, str]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = _FIELD.match(part.strip())
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        path = tuple(found["field"].split("."))
        if kind.kind == "Event" and path[0] == "source" and len(path) == 1:
            path = ("source", "component")
        requirements.append((path, found["operator"] != "!=", found["value"]))
    return lambda obj: all((_text(obj, path) == value) is equal for path, equal, value in requirements)


def equal_labels(labels: Mapping[str, str]) -> Matches:
    required = dict(labels)
    return lambda obj: required.items() <= (obj["metadata"].get("labels") or {}).items()


def _split(text: str) -> list[str]:
    """Splits at commas outside parentheses."""
    return re.split(r",(?![^(]*\))", text)


def _label_requirement(part: str, text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(part):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["operator"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(part):
        key, value = found["key"], found["value"]
        if found["operator"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(part):
        key, present = found["key"], not found["absent"]
        return lambda labels: (key in labels) is present
    raise BadRequest(f"unable to parse requirement: found '{part}' in '{text}'")


def _text(obj: JsonObject, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
