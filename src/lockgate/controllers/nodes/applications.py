"""The endpoints of Services that are no gateway's: one for each Pod, at the program or the echo that answers for it.

Where several workloads are behind a Service, such as two versions, each has an echo of its own, so that subsets lead to
different answers. A Service without workloads is answered all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from lockgate.edge.istio_install import CONTROL_PLANE
from lockgate.edge.port_table import LOCAL_IPV4, Address
from lockgate.edge.rollout.pod_status import ends
from lockgate.edge.service_pods import MOST_GROUPS, Labelled, Selecting, WorkloadName, serves, workload_of
from lockgate.edge.workloads import NODE_ID, slice_manifests
from lockgate.resources import core, workloads
from lockgate.resources.model import JsonObject

# Opens a listener for a Service port and a workload, with the names of its certificate if it is reached with TLS, and
# whether it takes datagrams.
OpenEcho: TypeAlias = Callable[[str, str, int, tuple[str, ...] | None, str, bool], Awaitable[Address]]
_ServiceKey = tuple[str, str]


class Applications:
    """`backends` are the user's programs by Service port. `again` reconciles a Service."""

    def __init__(
        self,
        *,
        echo: OpenEcho,
        backends: Mapping[tuple[str, str, int], Address],
        again: Callable[[_ServiceKey], None],
    ) -> None:
        self._echo = echo
        self._backends = backends
        self._again = again
        self._templates: Labelled[workloads.Workload] = Labelled()
        self._pods: Labelled[core.Pod] = Labelled()
        self._selecting = Selecting()
        self._groups: dict[_ServiceKey, list[WorkloadName]] = {}  # in the order of their echoes

    # --- observe -------------------------------------------------------------------------------------------------

    def service_changed(self, before: core.Service | None, current: core.Service | None) -> None:
        self._selecting.change(before, current)
        if current is None and before is not None:
            self._groups.pop((before.namespace, before.name), None)

    def workload_changed(self, before: workloads.Workload | None, current: workloads.Workload | None) -> None:
        if before is not None and current is not None and before.pod_labels == current.pod_labels:
            self._templates.enter(current, current.pod_labels)
            return
        for each, change in ((before, self._templates.remove), (current, self._templates.enter)):
            if each is not None:
                change(each, each.pod_labels)
                self._again_for(each.namespace, each.pod_labels)

    def pod_changed(self, before: core.Pod | None, current: core.Pod | None) -> None:
        for each, change in ((before, self._pods.remove), (current, self._pods.enter)):
            if each is not None:
                change(each, each.metadata.labels)
                self._again_for(each.namespace, each.metadata.labels)

    def _again_for(self, namespace: str, labels: Mapping[str, str]) -> None:
        for service in self._selecting.of(namespace, labels):
            self._again((service.namespace, service.name))

    # --- decide --------------------------------------------------------------------------------------------------

    async def slices(self, service: core.Service, tls: Mapping[int, tuple[str, ...]]) -> list[JsonObject]:
        """The EndpointSlices of a Service; `tls` has the names of certificates by port."""
        if CONTROL_PLANE in service.metadata.labels:
            return []  # the istiod in this process has a stream to each gateway, and its Pod the ports for tools
        selector = service.spec.selector
        pods = [pod for pod in self._pods.selected(service.namespace, selector) if serves(pod)]
        expected = bool(pods) or any(True for _ in self._templates.selected(service.namespace, selector))
        if not expected:
            return await self._of_group(service, tls, "", "", ())
        grouped: dict[WorkloadName, list[core.Pod]] = {}
        for pod in sorted(pods, key=lambda each: each.name):
            grouped.setdefault(workload_of(pod), []).append(pod)
        order = self._groups.setdefault((service.namespace, service.name), [])
        order += sorted(grouped.keys() - order)
        found: list[JsonObject] = []
        for workload, members in grouped.items():
            index = order.index(workload)
            suffix = "" if index == 0 else f"-{index}"
            found += await self._of_group(service, tls, suffix, str(workload) if index < MOST_GROUPS else "", members)
        return found

    async def _of_group(
        self,
        service: core.Service,
        tls: Mapping[int, tuple[str, ...]],
        suffix: str,
        workload: str,
        pods: Sequence[core.Pod],
    ) -> list[JsonObject]:
        """Endpoints of the user's programs, and the echo for ports without one."""
        echoed: dict[str, int] = {}
        address = LOCAL_IPV4
        named: dict[str, dict[str, int]] = {}
        for port in service.spec.ports:
            if port.protocol == "SCTP":
                continue
            backend = self._backends.get((service.namespace, service.name, port.port))
            if backend is not None:
                named.setdefault(backend[0], {})[port.name or ""] = backend[1]
            else:
                slot = (service.namespace, service.name, port.port)
                datagrams = port.protocol == "UDP"
                address, echoed[port.name or ""] = await self._echo(*slot, tls.get(port.port), workload, datagrams)
        slices = [
            each
            for index, (host, ports) in enumerate(sorted(named.items()))
            for each in slice_manifests(service, f"backend-{index}{suffix}", host, ports, pods)
        ]
        if echoed:
            slices += slice_manifests(service, f"echo{suffix}", address, echoed, pods)
        return slices

    def stands_in(self, pod: core.Pod) -> tuple[str, str]:
        """A Pod's address, and the sentence that says what answers for it."""
        if ends(pod):
            return LOCAL_IPV4, "Lockgate runs no containers. This Pod counts as completed."
        if CONTROL_PLANE in pod.metadata.labels:
            return LOCAL_IPV4, "The istiod in Lockgate's own process answers for this Pod."
        if NODE_ID in pod.metadata.annotations:
            return LOCAL_IPV4, "An Envoy of this machine runs for this Pod, without a container."
        leading = list(self._selecting.of(pod.namespace, pod.metadata.labels))
        found = {
            f"{service.namespace}/{service.name}:{port.port}": backend
            for service in leading
            for port in service.spec.ports
            if (backend := self._backends.get((service.namespace, service.name, port.port)))
        }
        if not found:
            return LOCAL_IPV4, "Lockgate runs no containers. Its echo answers where a Service leads to this Pod."
        programs = ", ".join(f"{host}:{port} for Service {name}" for name, (host, port) in sorted(found.items()))
        return next(iter(found.values()))[0], f"Lockgate runs no containers. Your program answers: {programs}."

    def pods(self, namespace: str, labels: Mapping[str, str]) -> Iterable[core.Pod]:
        return self._pods.selected(namespace, labels)

    def workloads(self, namespace: str, labels: Mapping[str, str]) -> Iterable[workloads.Workload]:
        """Those whose Pods have these labels."""
        return self._templates.selected(namespace, labels)
