"""Revisions of Istio: which istiod reads an object.

Source: istio/istio `pkg/config/model.go` (ObjectInRevision), `pilot/pkg/config/kube/crdclient`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lockgate.resources import core
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource

if TYPE_CHECKING:
    from lockgate.gateway.build import Sources

LABEL = "istio.io/rev"
DEFAULT = "default"
KINDS = (
    "gateways",
    "virtual_services",
    "destination_rules",
    "service_entries",
    "workload_entries",
    "proxy_configs",
    "authorization_policies",
    "request_authentications",
    "envoy_filters",
    "telemetries",
    "wasm_plugins",
)  # the fields of `Sources` that istiod reads by revision

Labelled = TypeVar("Labelled", bound=Resource)


def revision(pod: core.Pod, services: Iterable[core.Service], namespaces: Iterable[core.Namespace]) -> str:
    """The revision of a gateway's Pod: its own label, that of a Service that was installed with it, or that of its
    namespace."""
    namespace = (one for one in namespaces if one.name == pod.namespace)
    found = (one.metadata.labels.get(LABEL) for one in (pod, *services, *namespace))
    return next(filter(None, found), DEFAULT)


def of_revision(sources: Sources, revision: str, memo: Memo) -> dict[str, Any]:
    """The lists of `sources` that change if only the objects that this revision reads are kept."""
    changed: dict[str, Any] = {}
    for kind in KINDS:
        objects: Sequence[Resource] = getattr(sources, kind)
        labels = memo.facts(f"revisions of {kind}", label, objects)
        if not set(labels) <= {"", revision}:
            changed[kind] = memo.made(_kept, objects, revision)
    return changed


def label(labelled: Resource) -> str:
    """The revision that alone reads an object; empty if all do."""
    return labelled.metadata.labels.get(LABEL, "")


def _kept(objects: Sequence[Labelled], revision: str) -> list[Labelled]:
    return [each for each in objects if label(each) in ("", revision)]
