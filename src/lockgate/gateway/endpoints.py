"""The endpoints of a host: from EndpointSlices, from a ServiceEntry's list, and from the workloads that it selects.

Source: istio/istio `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`, `serviceentry/conversion.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lockgate.gateway.locality import Backend, of_pod, parsed
from lockgate.gateway.model import NOWHERE, Endpoint, Locality
from lockgate.gateway.reach import LOCAL_IPV6, is_local
from lockgate.gateway.registry import Host, HostPort
from lockgate.resources import core, istio
from lockgate.resources.codes.gateway import LOCAL_ENDPOINT
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo

_SERVICE_NAME = "kubernetes.io/service-name"

Source: TypeAlias = core.EndpointSlice | istio.WorkloadEntry | core.Pod


@dataclass(frozen=True, slots=True, eq=False)
class Workloads:
    """Pods by namespace and name, and the localities of nodes."""

    pods: Mapping[tuple[str, str], core.Pod]
    nodes: Mapping[str, Locality]


@dataclass(frozen=True, slots=True, eq=False)
class Endpoints:
    """EndpointSlices by Service in the order of their names, and the workloads that a ServiceEntry may select."""

    slices: Mapping[tuple[str, str], list[core.EndpointSlice]]
    entries: Mapping[str, list[istio.WorkloadEntry]]
    workloads: Workloads
    faults: tuple[Fault, ...]

    def of(self, host: Host) -> tuple[Source, ...]:
        """The objects that a host's endpoints come from, besides its own."""
        found: list[Source] = []
        for each in host.members:
            if each.origin.key.kind == "Service":
                found += self.slices.get((each.namespace, each.origin.key.name), ())
            elif each.selector is not None:
                selected = each.selector.items()
                found += (one for one in self.entries.get(each.namespace, ()) if selected <= one.spec.labels.items())
                found += (
                    pod
                    for (namespace, _), pod in self.workloads.pods.items()
                    if namespace == each.namespace and selected <= pod.metadata.labels.items() and _runs(pod)
                )
        return tuple(found)


def workloads(pods: Iterable[core.Pod], nodes: Mapping[str, Locality]) -> Workloads:
    return Workloads({(pod.namespace, pod.name): pod for pod in pods}, nodes)


def endpoints(
    slices: Sequence[core.EndpointSlice], entries: Sequence[istio.WorkloadEntry], found: Workloads, memo: Memo
) -> Endpoints:
    by_service = memo.made(_by_service, slices)
    by_namespace: dict[str, list[istio.WorkloadEntry]] = {}
    for entry in sorted(entries, key=lambda one: (one.namespace, one.name)):
        by_namespace.setdefault(entry.namespace, []).append(entry)
    faults = tuple(
        LOCAL_ENDPOINT.at(Origin(entry.key, ("spec", "address")), address=entry.spec.address)
        for entry in entries
        if is_local(entry.spec.address)
    )
    return Endpoints(by_service, by_namespace, found, faults)


def _by_service(slices: Iterable[core.EndpointSlice]) -> dict[tuple[str, str], list[core.EndpointSlice]]:
    found: dict[tuple[str, str], list[core.EndpointSlice]] = {}
    for one in slices:
        if name := one.metadata.labels.get(_SERVICE_NAME):
            found.setdefault((one.namespace, name), []).append(one)
    for several in found.values():
        several.sort(key=lambda one: one.name)
    return found


def backends(host: Host, port: HostPort, sources: Sequence[Source], found: Workloads) -> tuple[Backend, ...]:
    """The current backends of a host's port: of every member that has a port of that name."""
    made: list[Backend] = []
    for each in host.members:
        if each.origin.key.kind == "Service":
            made += _of_slices(sources, port.name, len(each.ports) == 1, found)
            continue
        own = next((one for one in each.ports if one.name == port.name), None)
        if own is not None:
            made += each.backends.get(own.number, ())
            made += _selected(each, own, sources, found)
    return tuple(made)


def _of_slices(sources: Iterable[Source], port_name: str, only_port: bool, found: Workloads) -> Iterator[Backend]:
    """Every address once, even if several slices have it. The Pods of this machine share one, and differ by port."""
    seen: set[tuple[str, int]] = set()
    for one in sources:
        if not isinstance(one, core.EndpointSlice):
            continue
        number = next(
            (port.port for port in one.ports if (port.name or "") == port_name or (only_port and len(one.ports) == 1)),
            None,
        )
        for endpoint in one.endpoints if number is not None else ():
            if endpoint.conditions.ready is False:
                continue
            pod = _pod(one, endpoint, found)
            labels = None if not _has_pod(endpoint) else pod.metadata.labels if pod else {}
            for address in endpoint.addresses:
                here = is_local(address)  # on this machine, which is as near to any gateway as the gateway itself
                locality = _locality(endpoint, pod, {} if here else found.nodes)
                node = "" if here else (pod.spec.node_name if pod else "") or endpoint.node_name or ""
                place = (address, (number or 0) if here else 0)
                if address != LOCAL_IPV6 and place not in seen:
                    seen.add(place)
                    yield Backend(Endpoint(address, number or 0), labels, locality, node)


def _has_pod(endpoint: core.Endpoint) -> bool:
    return endpoint.target_ref is not None and endpoint.target_ref.kind == "Pod"


def _pod(one: core.EndpointSlice, endpoint: core.Endpoint, found: Workloads) -> core.Pod | None:
    if endpoint.target_ref is None or endpoint.target_ref.kind != "Pod":
        return None
    return found.pods.get((endpoint.target_ref.namespace or one.namespace, endpoint.target_ref.name))


def _locality(endpoint: core.Endpoint, pod: core.Pod | None, nodes: Mapping[str, Locality]) -> Locality | None:
    """By its Pod, its node, or its zone. None if nothing says: a program of this machine."""
    of = (of_pod(pod, nodes) if pod else None) or nodes.get(endpoint.node_name or "")
    if of is not None or not endpoint.zone:
        return of
    region = next((one.region for one in nodes.values() if one.zone == endpoint.zone), endpoint.zone[:-1])
    return Locality(region, endpoint.zone)


def _runs(pod: core.Pod) -> bool:
    ready = next((one.status for one in pod.status.conditions if one.type == "Ready"), "True")
    return bool(pod.status.pod_ip) and pod.status.phase not in ("Succeeded", "Failed") and ready == "True"


def _selected(host: Host, port: HostPort, sources: Iterable[Source], found: Workloads) -> Iterator[Backend]:
    """The workloads that a ServiceEntry selects, on its target port or on one of their own of the port's name."""
    if host.selector is None:
        return
    selected, target = host.selector.items(), host.targets.get(port.number, port.number)
    for one in sources:
        match one:
            case istio.WorkloadEntry(spec=spec) if one.namespace == host.namespace and selected <= spec.labels.items():
                if not is_local(spec.address) and not spec.address.startswith("unix://") and spec.address:
                    endpoint = Endpoint(spec.address, spec.ports.get(port.name, target), spec.weight or 1)
                    yield Backend(endpoint, spec.labels, parsed(spec.locality) if spec.locality else NOWHERE)
            case core.Pod() if one.namespace == host.namespace and selected <= one.metadata.labels.items():
                endpoint = Endpoint(one.status.pod_ip, target)
                locality = of_pod(one, found.nodes) or NOWHERE
                yield Backend(endpoint, one.metadata.labels, locality, one.spec.node_name)
            case _:
                pass
