"""The ``/scale`` subresource: the replicas of a workload or of a user's kind, in the shape that `kubectl scale` uses.

Source: the API reference, autoscaling/v1 Scale; "Custom resources", the scale subresource.
"""

from __future__ import annotations

import json
from typing import Any

from lockgate.embedded.kubernetes.refusals import Cause, invalid
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import ApiError

SCALE = Kind("autoscaling", ("v1",), "Scale", "scales")
_SCALED = {("", "ReplicationController"), ("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")}
_WORKLOAD = ("spec.replicas", "status.replicas", "")


def is_scaled(kind: Kind) -> bool:
    return kind.group_kind in _SCALED or kind.replicas is not None


def check_scalable(kind: Kind, body: JsonObject) -> None:
    """Raises `ApiError` for an object of a user's kind without the field that its definition names."""
    if kind.replicas is not None and _at(body, kind.replicas[0]) is None:
        raise ApiError(f'Internal error occurred: the spec replicas field ".{kind.replicas[0]}" does not exist')


def scale_of(kind: Kind, body: JsonObject) -> JsonObject:
    metadata = body["metadata"]
    desired, actual, selector = kind.replicas or _WORKLOAD
    chosen = _selector(body) if kind.replicas is None else str(_at(body, selector) or "")
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "apiVersion": SCALE.api_version,
        "kind": SCALE.kind,
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": _at(body, desired) or (0 if kind.replicas else 1)},
        "status": {
            "replicas": _at(body, actual) or 0,
            **({"selector": chosen} if chosen else {}),
        },
    }


def with_scale(kind: Kind, body: JsonObject, scale: JsonObject) -> JsonObject:
    """The object with the replicas of a client's Scale. Raises `BadRequest`."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        path, why = ("spec.replicas", "must be greater than or equal to 0")
        if kind.replicas is not None:
            path, why = f".{kind.replicas[0]}", "should be a non-negative integer"
        raise invalid(kind, body["metadata"]["name"], [Cause(path, f"Invalid value: {json.dumps(replicas)}: {why}")])
    version = (scale.get("metadata") or {}).get("resourceVersion") or body["metadata"]["resourceVersion"]
    desired, _, _ = kind.replicas or _WORKLOAD
    changed = _with(body, desired.split("."), replicas)
    return {**changed, "metadata": {**body["metadata"], "resourceVersion": version}}


def _at(body: JsonObject, path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with(body: JsonObject, path: list[str], value: int) -> JsonObject:
    first, *rest = path
    inner = body.get(first)
    return {**body, first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _selector(body: JsonObject) -> str:
    selector = (body.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels", selector) or {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
