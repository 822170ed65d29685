"""Kinds whose API versions have different fields: events, and the horizontal Pod autoscaler.

One form is stored: Events of the core group, and autoscaling/v2. The other is converted at each read and write.

Source: kubernetes/kubernetes, `pkg/apis/events/v1/conversion.go`, `pkg/apis/autoscaling/v1/conversion.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockgate.resources.model import JsonObject, Kind

EVENTS: Final = Kind("events.k8s.io", ("v1",), "Event", "events", has_status=False)
_EVENTS, _AUTOSCALING = "events.k8s.io/v1", "autoscaling/v1"
# The fields of an Event in the core group, and in events.k8s.io.
_NAMES: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def shown(body: JsonObject, api_version: str) -> JsonObject:
    """A stored object in the requested version."""
    if body.get("apiVersion") == api_version:
        return body
    convert = _SHOWN.get((api_version, body.get("kind", "")))
    return {**(convert(body) if convert else body), "apiVersion": api_version}


def stored(body: JsonObject, api_version: str, kind: Kind) -> JsonObject:
    """A client's object in the stored version. One with a wrong shape is unchanged, and refused later."""
    convert = _STORED.get((api_version, kind.kind))
    if convert is None:
        return body
    return {**convert(body), "apiVersion": kind.api_version}


def _renamed(body: JsonObject, names: dict[str, str]) -> JsonObject:
    return {names.get(name, name): value for name, value in body.items()}


def _event(body: JsonObject) -> JsonObject:
    return _renamed(body, _NAMES)


def _core_event(body: JsonObject) -> JsonObject:
    return _renamed(body, {other: name for name, other in _NAMES.items()})


_PERCENTAGE = "targetCPUUtilizationPercentage"


def _autoscaler_v1(body: JsonObject) -> JsonObject:
    """Version 1 knows one metric, the CPU utilization."""
    spec = dict(body.get("spec") or {})
    for metric in spec.pop("metrics", None) or ():
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu" and "averageUtilization" in (target := resource.get("target") or {}):
            spec[_PERCENTAGE] = target["averageUtilization"]
    spec.pop("behavior", None)
    return {**body, "spec": spec}


def _autoscaler_v2(body: JsonObject) -> JsonObject:
    spec = body.get("spec")
    if not isinstance(spec, dict) or _PERCENTAGE not in spec:
        return body
    target = {"type": "Utilization", "averageUtilization": spec[_PERCENTAGE]}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {
        **body,
        "spec": {**{name: value for name, value in spec.items() if name != _PERCENTAGE}, "metrics": metrics},
    }


_SHOWN: Final[dict[tuple[str, str], Callable[[JsonObject], JsonObject]]] = {
    (_EVENTS, "Event"): _event,
    (_AUTOSCALING, "HorizontalPodAutoscaler"): _autoscaler_v1,
}
_STORED: Final[dict[tuple[str, str], Callable[[JsonObject], JsonObject]]] = {
    (_EVENTS, "Event"): _core_event,
    (_AUTOSCALING, "HorizontalPodAutoscaler"): _autoscaler_v2,
}
