"""Takes the fields of kubectl's client-side apply over, so that a field that leaves the manifest leaves the object.

The API server removes a field once its last owner drops it. An entry of kubectl's client-side apply would own its
fields for ever, so it becomes `lockgate`'s Apply entry. Entries of all others stay.
Source: client-go `util/csaupgrade/upgrade.go`; kubectl `pkg/cmd/apply/apply.go`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from lockgate.deploy.planning.seen import MANAGER
from lockgate.resources.model import JsonObject

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_CLIENT_SIDE: Final = "kubectl-client-side-apply"

_Fields: TypeAlias = dict[str, Any]
"""FieldsV1: a node without children, or with the child ``.``, is in the set itself."""


def handover(raw: JsonObject) -> list[JsonObject] | None:
    """The JSON patch that makes kubectl's entries of an object ours, unless it has changed since. None if it has none.

    An entry of another API version than ours is dropped, because its fields may have other names.
    """
    entries: list[JsonObject] = raw["metadata"].get("managedFields") or []
    theirs = [each for each in entries if _is_client_side(each)]
    if not theirs:
        return None
    ours = next((each for each in entries if _is_ours(each)), theirs[0])
    fields = _united([each for each in (ours, *theirs) if each.get("apiVersion") == ours.get("apiVersion")])
    made = {**ours, "manager": MANAGER, "operation": "Apply", "fieldsV1": fields}
    kept = [made if each is ours else each for each in entries if each is ours or each not in theirs]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": kept},
        # Not a test: so a change in between is a conflict.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": raw["metadata"]["resourceVersion"]},
    ]


def handed_over(result: JsonObject) -> JsonObject:
    """A dry run's result, as it is after `handover`: without what kubectl has applied and nobody else owns. Its entries
    have the server's defaults, too, which come back."""
    entries: list[JsonObject] = result["metadata"].get("managedFields") or []
    theirs = [each for each in entries if _is_client_side(each)]
    others = [each for each in entries if each not in theirs]
    left: JsonObject = _without(result, _united(theirs), _united(others), _applied(result))
    return left


def _applied(result: JsonObject) -> JsonObject:
    """The manifest in the annotation of kubectl, and the annotation itself."""
    text = (result["metadata"].get("annotations") or {}).get(LAST_APPLIED, "")
    try:
        applied = json.loads(text)
        metadata = applied.get("metadata") or {}
    except (ValueError, AttributeError):  # somebody else has written it
        return {}
    annotations = {**(metadata.get("annotations") or {}), LAST_APPLIED: text}
    return {**applied, "metadata": {**metadata, "annotations": annotations}}


def _is_client_side(entry: JsonObject) -> bool:
    annotations = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
    known = entry.get("manager") == _CLIENT_SIDE or f"f:{LAST_APPLIED}" in annotations
    return known and entry.get("operation") == "Update" and not entry.get("subresource")


def _is_ours(entry: JsonObject) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (MANAGER, "Apply", "")


def _united(entries: Sequence[JsonObject]) -> _Fields:
    fields: _Fields = {}
    for entry in entries:
        given = entry.get("fieldsV1") or {}
        fields = _union(fields, given) if fields and given else fields or given
    return fields


def _union(one: _Fields, other: _Fields) -> _Fields:
    if not (one or other):
        return {}
    one, other = one or {".": {}}, other or {".": {}}
    both = {name: _union(inside, other[name]) for name, inside in one.items() if name in other}
    return {**one, **other, **both}


def _without(value: Any, theirs: _Fields, others: _Fields, applied: Any) -> Any:
    """A value without the fields of `theirs` that `applied` has, and that are not in `others`."""
    for name, inside in theirs.items():
        key, at = _key(value, name), _key(applied, name)
        if key is None or at is None:
            continue
        if name not in others and (not inside or "." in inside):
            value = [*value[:key], *value[key + 1 :]] if isinstance(value, list) else _dropped(value, key)
        elif inside:
            part = _without(value[key], inside, others.get(name, {}), applied[at])
            value = [*value[:key], part, *value[key + 1 :]] if isinstance(value, list) else {**value, key: part}
    return value


def _dropped(value: JsonObject, key: str) -> JsonObject:
    return {name: part for name, part in value.items() if name != key}


def _key(value: Any, name: str) -> Any:
    """The key or index of a field: ``f:name``, ``k:{"name":"web"}`` or ``v:"a"``. None if the value has none."""
    kind, _, text = name.partition(":")
    if kind == "f":
        return text if isinstance(value, dict) and text in value else None
    if kind not in ("k", "v") or not isinstance(value, list):
        return None
    wanted = json.loads(text)
    for index, item in enumerate(value):
        if kind == "k" and isinstance(item, dict):  # a key may have a default, as `protocol`
            same = all(item.get(key, part) == part for key, part in wanted.items())
        else:
            same = item == wanted
        if same:
            return index
    return None
