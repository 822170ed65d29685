"""Tables for `kubectl get`: from a kind's columns, or a CRD's `additionalPrinterColumns`.

Source: kubernetes.io "API Concepts", "Receiving resources as Tables"; ages are formatted like apimachinery's
`util/duration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from lockgate.embedded.kubernetes.jsonpath import first
from lockgate.resources.model import Column, JsonObject, Kind

_AGE = Column("Age", ".metadata.creationTimestamp", type="date")


def table(
    kind: Kind, objects: Iterable[JsonObject], *, list_metadata: JsonObject, include: str, now: datetime
) -> JsonObject:
    """`include` is the parameter ``includeObject``: ``None``, ``Metadata`` (the default) or ``Object``."""
    return {**head(kind, list_metadata), "rows": list(rows(kind, objects, include=include, now=now))}


def head(kind: Kind, list_metadata: JsonObject) -> JsonObject:
    """A table without rows."""
    definitions = [_definition(column) for column in _columns(kind)]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": definitions,
    }


def rows(kind: Kind, objects: Iterable[JsonObject], *, include: str, now: datetime) -> Iterator[JsonObject]:
    columns = _columns(kind)
    for body in objects:
        yield {"cells": [_cell(column, body, now) for column in columns], "object": _included(body, include)}


def age(since: str, now: datetime) -> str:
    """``3m12s`` and the like; ``<unknown>`` without a time."""
    then = _time(since)
    if then is None:
        return "<unknown>"
    return _duration(int((now - then).total_seconds()))


def _columns(kind: Kind) -> Sequence[Column]:
    columns = kind.columns or (_AGE,)
    if any(column.name.lower() == "name" for column in columns):
        return columns
    return (Column("Name", ".metadata.name"), *columns)


def _definition(column: Column) -> JsonObject:
    is_name = column.name == "Name"
    return {
        "name": column.name,
        "type": "string" if column.type == "date" else column.type,
        "format": "name" if is_name else "",
        "description": "",
        "priority": 1 if column.wide else 0,
    }


def _cell(column: Column, body: JsonObject, now: datetime) -> Any:
    try:
        value: Any = first(column.path, body) if column.cell is None else column.cell(body)
    except (TypeError, AttributeError, KeyError, ValueError):
        return "<invalid>"  # an object without a schema may have any shape; it must not break the other rows
    match column.type:
        case "date":
            return age(value, now) if isinstance(value, str) else "<unknown>" if column.path == _AGE.path else ""
        case "integer" | "number" | "boolean":
            return value
        case _:
            return "" if value is None else _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ",".join(f'"{item}"' if isinstance(item, str) else _text(item) for item in value) + "]"
        case _:
            return str(value)


def _included(body: JsonObject, include: str) -> JsonObject | None:
    match include:
        case "None":
            return None
        case "Object":
            return body
        case _:
            return {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": body["metadata"],
            }


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None


def _duration(seconds: int) -> str:
    """Like apimachinery's `HumanDuration`: two units if short, one if long."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"
