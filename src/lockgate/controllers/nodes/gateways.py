"""The Pods of gateways: a Deployment where nothing brings one, the marks by which their Envoy is found, and its ports.

All Pods of a gateway workload have one Envoy, so that a rollout of its Deployment interrupts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.nodes.applications import Applications
from lockgate.edge.istio_install import MADE, gateway_deployment
from lockgate.edge.service_pods import serves
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL, GatewayWorkload, pod_labels, slice_manifests, target_port
from lockgate.gateway.workload import WORKLOAD
from lockgate.resources import core, workloads
from lockgate.resources.model import JsonObject
from lockgate.resources.status import Invalid, NotFound


class GatewayPods:
    """`workloads` are the current gateway workloads, which the owner of this sets."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        applications: Applications,
        *,
        free_port: Callable[[str, int, str], int],
        manager: str,
    ) -> None:
        self._kubernetes = kubernetes
        self._applications = applications
        self._free_port = free_port
        self._manager = manager
        self._ports: dict[tuple[str, str, int], int] = {}
        self.workloads: tuple[GatewayWorkload, ...] = ()

    def injected(self, pod: JsonObject) -> JsonObject:
        """A new Pod's manifest: a gateway's is marked, as Istio's injector completes it."""
        metadata = pod["metadata"]
        for workload in self.workloads:
            if workload.runs(metadata["namespace"], metadata.get("labels", {})):
                return workload.marked(pod)
        return pod

    async def slices(
        self, service: core.Service, workload: GatewayWorkload, services: Iterable[core.Service]
    ) -> list[JsonObject]:
        """The endpoints of a gateway's Service: its ready Pods, at the local ports that their Envoy uses for the ports
        that Istio names. `services` are all Services of the workload."""
        if service.name == workload.name:
            await self._deploy(workload, services)
        pods = sorted(self._applications.pods(workload.namespace, dict(workload.labels)), key=lambda pod: pod.name)
        for pod in pods:
            if pod.metadata.annotations.get(NODE_ID) != workload.node_id or not _is_marked(pod):
                marks = workload.marked({"metadata": {}})
                await self._kubernetes.patch(core.Pod, pod.name, pod.namespace, marks)
        ports: dict[str, int] = {}
        for port in service.spec.ports:
            if port.protocol in ("", "TCP", None):
                number = target_port(service, port.name or "")
                ports[port.name or ""] = self._port(workload, number)
        serving = [pod for pod in pods if serves(pod)]
        return list(slice_manifests(service, "gateway", "127.0.0.1", ports, serving)) if serving else []

    def _port(self, workload: GatewayWorkload, number: int) -> int:
        slot = (workload.namespace, workload.name, number)
        if slot not in self._ports:
            purpose = f"{workload.namespace}/{workload.name}/{number}"
            self._ports[slot] = self._free_port("127.0.0.1", number, purpose)
        return self._ports[slot]

    async def _deploy(self, workload: GatewayWorkload, services: Iterable[core.Service]) -> None:
        """Creates the Deployment that manifests rarely contain, and removes it once something else brings the Pods."""
        selector = dict(workload.labels)
        there = list(self._applications.workloads(workload.namespace, selector))
        brought = [each for each in there if not isinstance(each, workloads.ReplicaSet) and not _is_ours(each)]
        if brought:
            for each in there:
                if _is_ours(each) and isinstance(each, workloads.Deployment):
                    await self._delete(each)
            return
        labels = pod_labels(workload, ())
        manifest = gateway_deployment(workload.namespace, workload.name, selector, labels, services)
        try:
            await self._kubernetes.apply(manifest, manager=self._manager)
        except Invalid:  # its selector is immutable, and the Service's changed
            await self._kubernetes.delete(workloads.Deployment, workload.name, workload.namespace)
            await self._kubernetes.apply(manifest, manager=self._manager)

    async def tidy(self) -> None:
        """Removes Deployments of former workloads, and the marks of their Pods."""
        names = {(each.namespace, each.name) for each in self.workloads}
        for deployment in await self._kubernetes.list(workloads.Deployment, labels={MADE: "true"}):
            if (deployment.namespace, deployment.name) not in names:
                await self._delete(deployment)
        for pod in await self._kubernetes.list(core.Pod, labels={PROXY_LABEL: "istio"}):
            if not any(each.runs(pod.namespace, pod.metadata.labels) for each in self.workloads):
                gone = {"labels": {PROXY_LABEL: None}, "annotations": {NODE_ID: None, WORKLOAD: None}}
                await self._kubernetes.patch(core.Pod, pod.name, pod.namespace, {"metadata": gone})

    async def _delete(self, deployment: workloads.Workload) -> None:
        try:
            await self._kubernetes.delete(type(deployment), deployment.name, deployment.namespace)
        except NotFound:
            return


def _is_marked(pod: core.Pod) -> bool:
    return pod.metadata.labels.get(PROXY_LABEL) == "istio"


def _is_ours(workload: workloads.Workload) -> bool:
    return MADE in workload.metadata.labels
