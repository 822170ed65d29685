"""What Istio's standard metrics say of a gateway's requests: itself as the source, and the service and workload that it
chose. Istio's proxies know a workload from its endpoint; without one they say "unknown".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lockgate.metrics.flows import Flow
from lockgate.metrics.labels import CLUSTER, NOBODY, UNKNOWN, Peer, Report, Service
from lockgate.resources import core, istio

_APP: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_VERSION: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_SERVICE_NAME: Final = "kubernetes.io/service-name"


def peer(pod: core.Pod) -> Peer:
    """A Pod's workload: what owns it, and not a ReplicaSet but the Deployment behind it."""
    labels = pod.metadata.labels
    name = pod.name
    for owner in pod.metadata.owner_references:
        if owner.controller:
            hash_ = labels.get("pod-template-hash", "")
            name = owner.name.removesuffix(f"-{hash_}") if owner.kind == "ReplicaSet" and hash_ else owner.name
    return Peer(
        workload=name,
        namespace=pod.namespace,
        app=labels.get("app") or UNKNOWN,
        version=labels.get("version") or UNKNOWN,
        canonical_service=_first(labels, _APP) or name,
        canonical_revision=_first(labels, _VERSION) or "latest",
        cluster=CLUSTER,
    )


@dataclass(frozen=True, slots=True)
class Destinations:
    """What clusters and endpoints stand for: services by host, and workloads and services by ``address:port``."""

    services: Mapping[str, Service] = field(default_factory=dict)
    workloads: Mapping[str, Peer] = field(default_factory=dict)
    behind: Mapping[str, Service] = field(default_factory=dict)


def destinations(
    services: Iterable[core.Service],
    entries: Iterable[istio.ServiceEntry],
    slices: Iterable[core.EndpointSlice],
    pods: Iterable[core.Pod],
    domain: str,
) -> Destinations:
    """`domain` is the mesh's, such as cluster.local. An endpoint's workload is known if it names its Pod."""
    hosts = {host: Service(host, host, entry.namespace) for entry in entries for host in entry.spec.hosts}
    named: dict[tuple[str, str], Service] = {}
    for service in services:
        found = Service(f"{service.name}.{service.namespace}.svc.{domain}", service.name, service.namespace)
        hosts[found.host] = named[service.namespace, service.name] = found
    peers = {(pod.namespace, pod.name): peer(pod) for pod in pods}
    workloads: dict[str, Peer] = {}
    behind: dict[str, Service] = {}
    for one in slices:
        of = named.get((one.namespace, one.metadata.labels.get(_SERVICE_NAME, "")))
        for endpoint in one.endpoints:
            target = endpoint.target_ref
            at = peers.get((one.namespace, target.name)) if target and target.kind == "Pod" else None
            for where in _addresses(endpoint, one):
                if at:
                    workloads[where] = at
                if of:
                    behind.setdefault(where, of)
    return Destinations(hosts, workloads, behind)


def report(flow: Flow, gateway: Peer, to: Destinations) -> Report:
    """The report of a gateway."""
    host = flow.cluster.rpartition("|")[2]  # of outbound|port|subset|host
    service = to.services.get(host) or Service(host or UNKNOWN, host.partition(".")[0] or UNKNOWN)
    return Report("source", gateway, to.workloads.get(flow.upstream, NOBODY), service)


def _addresses(endpoint: core.Endpoint, one: core.EndpointSlice) -> Iterable[str]:
    for address in endpoint.addresses:
        host = f"[{address}]" if ":" in address else address
        yield from (f"{host}:{port.port}" for port in one.ports if port.port)


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
