"""The ``/scale`` subresource of workloads: their replicas, in the shape that `kubectl scale` uses.

Source: the API reference, autoscaling/v1 Scale. No replicas run here. The number is only stored.
"""

from __future__ import annotations

from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest

SCALE = Kind("autoscaling", ("v1",), "Scale", "scales")
_SCALED = {("", "ReplicationController"), ("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")}


def is_scaled(kind: Kind) -> bool:
    return kind.group_kind in _SCALED


def scale_of(body: JsonObject) -> JsonObject:
    metadata = body["metadata"]
    spec = body.get("spec") or {}
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels", selector) or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "apiVersion": SCALE.api_version,
        "kind": SCALE.kind,
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {
            "replicas": (body.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        },
    }


def with_scale(body: JsonObject, scale: JsonObject) -> JsonObject:
    """The workload with the replicas of a client's Scale. Raises `BadRequest`."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise BadRequest(f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0")
    version = (scale.get("metadata") or {}).get("resourceVersion") or body["metadata"]["resourceVersion"]
    return {
        **body,
        "metadata": {**body["metadata"], "resourceVersion": version},
        "spec": {**(body.get("spec") or {}), "replicas": replicas},
    }
