"""Label and field selectors, in the syntax of the API's query parameters.

Source: kubernetes.io "Labels and Selectors", "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.embedded.kubernetes.label_selectors import requirements
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest

Matches: TypeAlias = Callable[[JsonObject], bool]

_TERMS = re.compile(r"(?:\\.|[^,\\])+")  # with escapes of commas
_FIELD = re.compile(r"^(?P<field>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)$")


def label_selector(text: str) -> Matches:
    """``app=x,tier in (a,b),!canary`` as a predicate on objects. Raises `BadRequest`."""
    found = requirements(text)
    return lambda obj: all(met(obj["metadata"].get("labels") or {}) for met in found)


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
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for part in _TERMS.findall(text):
        if not part.strip():
            continue
        found = _FIELD.match(part.strip())
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        if found["field"] not in selectable:
            if special or not is_built_in(kind.group):
                raise BadRequest(f"field label not supported: {found['field']}")
            known = ", ".join(f'"{each}"' for each in selectable)
            raise BadRequest(f'"{found["field"]}" is not a known field selector: only {known}')
        path = tuple(found["field"].split("."))
        if kind.kind == "Event" and path[0] == "source" and len(path) == 1:
            path = ("source", "component")
        terms.append((path, found["operator"] != "!=", _unescaped(found["value"])))
    return lambda obj: all((_text(obj, path) == value) is equal for path, equal, value in terms)


def _unescaped(value: str) -> str:
    if found := re.search(r"\\(?![\\,=])", re.sub(r"\\[\\,=]", "", value)):
        raise BadRequest(f"invalid field selector: invalid escape sequence: {value[found.start() :][:2]}")
    return re.sub(r"\\([\\,=])", r"\1", value)


def equal_labels(labels: Mapping[str, str]) -> Matches:
    required = dict(labels)
    return lambda obj: required.items() <= (obj["metadata"].get("labels") or {}).items()


def _text(obj: JsonObject, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
