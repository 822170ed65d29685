"""The Pods and endpoints that the workloads of manifests lead to, without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from lockgate.edge.objects import Objects, View
from lockgate.edge.service_pods import MOST_GROUPS, Labelled, serves, workload_of
from lockgate.edge.workloads import slice_manifests
from lockgate.resources import core, workloads
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject

KINDS: Final[tuple[type[workloads.Workload], ...]] = (
    workloads.Deployment,
    workloads.ReplicaSet,
    workloads.StatefulSet,
    workloads.DaemonSet,
)
Brought: TypeAlias = tuple[Labelled[workloads.Workload], Labelled[core.Pod]]


def with_pods(objects: Objects, memo: Memo) -> tuple[Objects, Brought]:
    """The objects with a Pod of each workload, and both by their labels."""
    views = [*(objects.view(kind) for kind in KINDS), objects.view(core.Pod)]
    pods, brought = memo.depending("expected pods", views, lambda: _made(objects, memo))
    return objects.replacing(core.Pod, pods), brought


def _made(objects: Objects, memo: Memo) -> tuple[View[core.Pod], Brought]:
    templates: Labelled[workloads.Workload] = Labelled()
    pods: Labelled[core.Pod] = Labelled()
    found: dict[tuple[str, str], core.Pod] = {}
    for kind in KINDS:
        for workload in objects.all(kind):
            templates.enter(workload, workload.pod_labels)
            if workload.spec.replicas != 0:
                pod = memo.made(_pod_of, workload)
                found[pod.namespace, pod.name] = pod
    for own in objects.all(core.Pod):
        found[own.namespace, own.name] = memo.made(_running, own)
    for pod in found.values():
        pods.enter(pod, pod.metadata.labels)
    return View(found), (templates, pods)


def _pod_of(workload: workloads.Workload) -> core.Pod:
    template = workload.spec.template.manifest()
    spec = template.get("spec") or {}
    owner = {"apiVersion": "apps/v1", "kind": workload.KIND.kind, "name": workload.name, "controller": True}
    metadata = {
        "name": f"{workload.name}-{workload.KIND.kind.lower()}",
        "namespace": workload.namespace,
        "labels": workload.pod_labels,
        "annotations": workload.spec.template.metadata.annotations,
        "ownerReferences": [owner],
    }
    containers = [each for each in spec.get("containers") or () if isinstance(each, dict) and each.get("name")]
    shape = {"metadata": metadata, "spec": {"containers": containers}}
    return _running(core.Pod.model_validate(shape))


def _running(pod: core.Pod) -> core.Pod:
    ends = pod.spec.restart_policy in ("Never", "OnFailure")
    status: JsonObject = {
        "phase": "Succeeded" if ends else "Running",
        "podIP": "127.0.0.1",
        "conditions": [{"type": "Ready", "status": "False" if ends else "True"}],
    }
    return pod.model_copy(update={"status": core.PodStatus.model_validate(status)})


def slices_of(service: core.Service, brought: Brought, memo: Memo) -> Sequence[core.EndpointSlice]:
    """The endpoints of a Service without any of its own: its Pods, at the echo or a program of this machine. Where no
    workload has its Pods, there is an endpoint without a Pod."""
    templates, pods = brought
    selector = service.spec.selector
    behind = [pod for pod in pods.selected(service.namespace, selector) if serves(pod)]
    if not behind and next(iter(templates.selected(service.namespace, selector)), None) is None:
        return memo.made(_stand_ins, service)
    return memo.made(_of_pods, service, *sorted(behind, key=lambda pod: workload_of(pod)))


def _stand_ins(service: core.Service) -> list[core.EndpointSlice]:
    return list(_slices(service, "stand-in", "127.0.0.1", ()))


def _of_pods(service: core.Service, *pods: core.Pod) -> list[core.EndpointSlice]:
    """Each workload has an address of its own here, as it has a port of its own where it runs."""
    return [
        each
        for index, pod in enumerate(pods)
        for each in _slices(service, f"pod-{index}", f"127.0.0.{1 + min(index, MOST_GROUPS)}", (pod,))
    ]


def _slices(service: core.Service, suffix: str, address: str, pods: Sequence[core.Pod]) -> Iterator[core.EndpointSlice]:
    ports = {port.name or "": port.port for port in service.spec.ports if port.protocol != "SCTP"}
    for manifest in slice_manifests(service, suffix, address, ports, pods):
        yield core.EndpointSlice.model_validate(manifest)
