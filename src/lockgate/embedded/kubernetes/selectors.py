"""Label and field selectors, in the syntax of the API's query parameters.

Source: kubernetes.io "Labels and Selectors", "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.rules import metadata
from lockgate.resources.status import BadRequest

Matches: TypeAlias = Callable[[JsonObject], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!]*)$")
_ORDER = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<operator>[<>])\s*(?P<value>\S+)$")
_EXISTS = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s=!()<>]+)$")
_FIELD = re.compile(r"^(?P<field>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)$")


def label_selector(text: str) -> Matches:
    """``app=x,tier in (a,b),!canary`` as a predicate on objects. Raises `BadRequest`."""
    requirements = [_label_requirement(part.strip(), text) for part in _split(text) if part.strip()]
    return lambda obj: all(met(obj["metadata"].get("labels") or {}) for met in requirements)


_BOTH = ("metadata.name", "metadata.namespace")
_SELECTABLE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    ("", "Event"): (
        *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("", "Secret"): ("type",),
    ("", "Namespace"): ("status.phase",),
    ("", "Node"): ("spec.unschedulable",),
    ("", "Service"): ("spec.clusterIP", "spec.type"),
    ("", "ReplicationController"): ("status.replicas",),
    ("apps", "ReplicaSet"): ("status.replicas",),
    ("batch", "Job"): ("status.successful",),
    ("certificates.k8s.io", "CertificateSigningRequest"): ("spec.signerName",),
}
"""The fields that kube-apiserver selects by, besides the name and namespace of every kind.

Source: kubernetes/kubernetes `pkg/apis/*/v1/conversion.go`.
"""


def field_selector(text: str, kind: Kind) -> Matches:
    """``metadata.name=x,type!=Normal``: by the fields that the kind can be selected by. Raises `BadRequest`."""
    special = _SELECTABLE.get(kind.group_kind, ())
    selectable = (*_BOTH, *special, *kind.selectable)
    requirements: list[tuple[tuple[str, ...], bool, str]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = _FIELD.match(part.strip())
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        if found["field"] not in selectable:
            if special or kind.selectable:
                raise BadRequest(f"field label not supported: {found['field']}")
            known = ", ".join(f'"{each}"' for each in selectable)
            raise BadRequest(f'"{found["field"]}" is not a known field selector: only {known}')
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
        key, values = _checked(found["key"]), {value.strip() for value in found["values"].split(",")}
        if found["operator"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(part):
        key, value = _checked(found["key"]), found["value"]
        if found["operator"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _ORDER.match(part):
        return _ordered(found["key"], found["operator"], found["value"], text)
    if found := _EXISTS.match(part):
        key, present = _checked(found["key"]), not found["absent"]
        return lambda labels: (key in labels) is present
    raise BadRequest(f"unable to parse requirement: found '{part}' in '{text}'")


def _checked(key: str) -> str:
    for fault in metadata.labels((), {key: ""}):
        raise BadRequest(f"unable to parse requirement: <nil>: {fault.message}")
    return key


def _ordered(key: str, operator: str, value: str, text: str) -> Callable[[Mapping[str, str]], bool]:
    """``cpus>4``: a label that is not a whole number is neither more nor less."""
    try:
        limit = int(value)
    except ValueError:
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise BadRequest(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {why}') from None

    def holds(labels: Mapping[str, str]) -> bool:
        try:
            found = int(labels.get(key, ""))
        except ValueError:
            return False
        return found > limit if operator == ">" else found < limit

    return holds


def _text(obj: JsonObject, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
