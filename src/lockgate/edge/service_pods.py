"""The Pods behind Services: which a selector finds, and which workload they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic

from lockgate.edge.rollout.pods import is_ready
from lockgate.edge.rollout.template import HASH
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ResourceT

MOST_GROUPS = 10  # workloads behind one Service, each with labels of its own


@dataclass(frozen=True, slots=True, order=True)
class WorkloadName:
    """The workload of a Pod, as Istio and Kiali name it: the Deployment, not its ReplicaSet."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def workload_of(pod: core.Pod) -> WorkloadName:
    """Source: istio/istio `pkg/kube/controllers` and `GetDeployMetaFromPod`: a ReplicaSet that ends with the Pod's hash
    is a Deployment's."""
    owner = next((each for each in pod.metadata.owner_references if each.controller), None)
    if owner is None:
        return WorkloadName("Pod", pod.name)
    hash_ = pod.metadata.labels.get(HASH)
    if owner.kind == "ReplicaSet" and hash_ and owner.name.endswith(f"-{hash_}"):
        return WorkloadName("Deployment", owner.name.removesuffix(f"-{hash_}"))
    return WorkloadName(owner.kind, owner.name)


def serves(pod: core.Pod) -> bool:
    """Whether a Pod counts as an endpoint, ready or not."""
    return bool(pod.status.pod_ip) and pod.status.phase not in ("Succeeded", "Failed")


def endpoint(pod: core.Pod, service: core.Service, address: str) -> JsonObject:
    """The endpoint of a Pod, as the EndpointSlice controller writes it, at the `address` that answers for it."""
    ready = is_ready(pod)
    return {
        "addresses": [address],
        "conditions": {
            "ready": ready or service.spec.publish_not_ready_addresses,
            "serving": ready,
            "terminating": False,
        },
        "nodeName": pod.spec.node_name,
        "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.metadata.uid},
    }


class Labelled(Generic[ResourceT]):
    """Objects by their labels: finds those that a selector selects without looking at all of them."""

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str, str], dict[str, tuple[ResourceT, Mapping[str, str]]]] = {}

    def enter(self, each: ResourceT, labels: Mapping[str, str]) -> None:
        for label, value in labels.items():
            self._by_label.setdefault((each.namespace, label, value), {})[_id(each)] = (each, labels)

    def remove(self, each: ResourceT, labels: Mapping[str, str]) -> None:
        for label, value in labels.items():
            there = self._by_label.get((each.namespace, label, value), {})
            there.pop(_id(each), None)
            if not there:
                self._by_label.pop((each.namespace, label, value), None)

    def selected(self, namespace: str, selector: Mapping[str, str]) -> Iterator[ResourceT]:
        """An empty selector selects nothing, as a Service's."""
        found = [self._by_label.get((namespace, label, value), {}) for label, value in selector.items()]
        for each, labels in min(found, key=len, default={}).values() if found else ():
            if selector.items() <= labels.items():
                yield each


class Selecting:
    """Services by their selectors: finds those that select a Pod."""

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str, str], dict[str, core.Service]] = {}

    def change(self, before: core.Service | None, after: core.Service | None) -> None:
        for each, there in ((before, False), (after, True)):
            for label, value in list(each.spec.selector.items())[:1] if each else ():
                named = self._by_label.setdefault((each.namespace, label, value), {}) if each else {}
                named.pop(each.name if each else "", None)
                if there and each:
                    named[each.name] = each

    def of(self, namespace: str, labels: Mapping[str, str]) -> Iterable[core.Service]:
        for label, value in labels.items():
            for service in self._by_label.get((namespace, label, value), {}).values():
                if service.spec.selector.items() <= labels.items():
                    yield service


def _id(each: ResourceT) -> str:
    return f"{each.KIND.kind}/{each.name}"
