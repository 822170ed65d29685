"""Resolves the clusters that routes reference, and their endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lockgate.gateway.clusters import cluster
from lockgate.gateway.destinations import Destinations, Rule
from lockgate.gateway.endpoints import Endpoints, Source, Workloads, backends
from lockgate.gateway.locality import Place, Preference, arranged, preference
from lockgate.gateway.mesh import HttpSettings, Mesh
from lockgate.gateway.model import Cluster, Endpoint
from lockgate.gateway.registry import Host, HostPort, Hosts
from lockgate.gateway.routes import Reference
from lockgate.resources import istio
from lockgate.resources.codes import istio as codes
from lockgate.resources.codes.gateway import LOCAL_ENDPOINT, NO_SELECTED_WORKLOAD
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A cluster that exists, with its service."""

    cluster: Cluster
    host: Host
    port: HostPort
    subset: istio.Subset | None
    preferred: Preference | None


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    uses: tuple[Use, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    clusters: Mapping[str, Cluster]
    endpoints: Mapping[str, tuple[Endpoint, ...]]
    faults: tuple[Fault, ...]


def clusters(
    references: Mapping[Reference, Origin],
    hosts: Hosts,
    destinations: Destinations,
    mesh: Mesh,
    http: HttpSettings,
    memo: Memo,
) -> Clusters:
    """The clusters for references. Missing hosts, ports and subsets are reported at the reference."""
    uses: list[Use] = []
    faults: list[Fault] = []
    for reference, origin in references.items():
        host = hosts.by_name.get(reference.host)
        port = host.port(reference.port) if host else None
        if host is None or port is None or host.alias:
            faults.append(_missing(reference, host, origin))
            continue
        rule = destinations.rule(host.hostname, host.namespace)
        subset = rule.subsets.get(reference.subset) if rule else None
        if reference.subset and subset is None:
            faults.append(codes.SUBSET_NOT_FOUND.at(origin, subset=reference.subset, host=reference.host))
            continue
        faults += (
            LOCAL_ENDPOINT.at(Origin(host.origin.key, ("spec", "endpoints", at, "address")), address=address)
            for at, address in host.local
        )
        uses.append(memo.made(_use, host, port, reference.subset, rule, mesh, http))
    return Clusters(tuple(uses), tuple(dict.fromkeys(faults)))


def _use(host: Host, port: HostPort, subset: str, rule: Rule | None, mesh: Mesh, http: HttpSettings) -> Use:
    made = cluster(host, port, subset, rule, mesh, http)
    balancer = rule.blocks(port.number, subset).load_balancer if rule else None
    preferred = preference(balancer, host.distribution, mesh.locality, made.outlier_detection is not None)
    if preferred and preferred.weighted:
        made = replace(made, locality_weighted=True)
    return Use(made, host, port, rule.subsets.get(subset) if rule else None, preferred)


def resolve(used: Clusters, registered: Endpoints, place: Place, memo: Memo) -> Served:
    """The clusters with their endpoints. As in Istio, a DNS cluster without endpoints is omitted."""
    found: dict[str, Cluster] = {}
    served: dict[str, tuple[Endpoint, ...]] = {}
    faults: list[Fault] = []
    for use in used.uses:
        sources = registered.of(use.host)
        endpoints = memo.made(_endpoints, use, registered.workloads, place, *sources)
        if not sources and not endpoints:
            faults += _nothing_selected(use.host)
        if use.cluster.discovery == "EDS":
            found[use.cluster.name] = use.cluster
            served[use.cluster.name] = endpoints
        elif use.cluster.discovery == "ORIGINAL_DST":
            found[use.cluster.name] = use.cluster
        elif endpoints:
            found[use.cluster.name] = memo.made(_with_names, use.cluster, endpoints)
    return Served(memo.stable("clusters", found), memo.stable("endpoints", served), tuple(faults))


def _nothing_selected(host: Host) -> Iterator[Fault]:
    for each in host.members:
        if each.selector is not None:
            labels = ", ".join(f"{name}={value}" for name, value in each.selector.items())
            origin = each.origin.under("spec", "workloadSelector")
            yield NO_SELECTED_WORKLOAD.at(origin, labels=labels, host=each.hostname)


def _endpoints(use: Use, workloads: Workloads, place: Place, *sources: Source) -> tuple[Endpoint, ...]:
    """All endpoints, or those whose Pods have the subset's labels.

    An endpoint without a Pod (a local program, the echo backend) has no labels. It belongs to every subset, as it
    belongs to the whole service.
    """
    labels = use.subset.labels.items() if use.subset else ()
    chosen = [
        backend
        for backend in backends(use.host, use.port, sources, workloads)
        if backend.labels is None or all(backend.labels.get(name) == value for name, value in labels)
    ]
    return arranged(chosen, place, use.preferred)


def _with_names(item: Cluster, endpoints: tuple[Endpoint, ...]) -> Cluster:
    return replace(item, dns_endpoints=endpoints)


def _missing(reference: Reference, host: Host | None, origin: Origin) -> Fault:
    if host is None:
        return codes.HOST_NOT_FOUND.at(origin, host=reference.host, namespace=origin.key.namespace)
    ports = ", ".join(str(port.number) for port in host.ports) or "none"
    return codes.PORT_NOT_FOUND.at(origin, host=reference.host, port=reference.port, ports=ports)
