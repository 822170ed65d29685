"""Servers without HTTP: a VirtualService's tls and tcp rules as filter chains.

Source: istio/istio `pilot/pkg/networking/core/gateway.go` (createGatewayTCPFilterChainOpts and what it calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lockgate.gateway.hosts import fully_qualified, gateway_name, narrower
from lockgate.gateway.model import DownstreamTls, FilterChain, Tcp, WeightedCluster
from lockgate.gateway.registry import Host
from lockgate.gateway.routes import Reference, Rules, Server, reference_to
from lockgate.gateway.servers import BoundServer
from lockgate.resources import istio
from lockgate.resources.codes import gateway as codes
from lockgate.resources.faults import Fault, Origin

Find = Callable[[str], Host | None]
_Match = istio.TLSMatchAttributes | istio.L4MatchAttributes


@dataclass(slots=True)
class Chains:
    chains: list[FilterChain] = field(default_factory=list)
    references: dict[Reference, Origin] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def tls_chains(
    server: BoundServer,
    names: tuple[str, ...],
    tls: DownstreamTls | None,
    bound: Iterable[Rules],
    side: Server,
    find: Find,
) -> Chains:
    """TLS passthrough: a chain for each match of a tls rule, by SNI."""
    found = Chains()
    for service in (rules.service for rules in bound):
        if not covers(server, service):
            continue
        for index, rule in enumerate(service.spec.tls):
            for position, match in enumerate(rule.match):
                origin = Origin(service.key, ("spec", "tls", index, "match", position))
                if not _applies(match, service.namespace, side):
                    continue
                clusters = _clusters(rule.route, service.namespace, origin, side, find, found)
                if clusters:
                    sni = tuple(dict.fromkeys(host.lower() for host in match.sni_hosts))
                    chain = FilterChain(
                        Tcp(clusters),
                        () if "*" in sni else sni,
                        passthrough=True,
                        origin=origin,
                    )
                    found.chains.append(chain)
    return _checked(found, server, "tls")


def tcp_chains(
    server: BoundServer,
    names: tuple[str, ...],
    tls: DownstreamTls | None,
    bound: Iterable[Rules],
    side: Server,
    find: Find,
) -> Chains:
    """Plain TCP, or terminated TLS: only the first matching tcp rule counts."""
    found = Chains()
    for service in (rules.service for rules in bound):
        if not covers(server, service):
            continue
        for index, rule in enumerate(service.spec.tcp):
            origin = Origin(service.key, ("spec", "tcp", index))
            if rule.match and not any(_applies(match, service.namespace, side) for match in rule.match):
                continue
            if clusters := _clusters(rule.route, service.namespace, origin, side, find, found):
                found.chains.append(FilterChain(Tcp(clusters), names if tls else (), tls, origin=server.origin))
                return found
    return _checked(found, server, "tcp")


def _checked(found: Chains, server: BoundServer, kind: str) -> Chains:
    if not found.chains:
        hosts = ", ".join(str(host) for host in server.hosts)
        found.faults.append(codes.NO_TCP_ROUTE.at(server.origin, kind=kind, hosts=hosts))
    return found


def covers(server: BoundServer, service: istio.VirtualService) -> bool:
    return any(
        narrower(own.lower(), host.host) is not None
        for host in server.hosts
        if host.namespace in ("", service.namespace)
        for own in service.spec.hosts
    )


def _applies(match: _Match, namespace: str, side: Server) -> bool:
    if match.port and match.port != side.port:
        return False
    if match.gateways:
        return side.gateway in (gateway_name(name, namespace) for name in match.gateways)
    workload = side.workload
    return workload.selected_by(match.source_labels) and match.source_namespace in ("", workload.namespace)


def _clusters(
    parts: Iterable[istio.RouteDestination],
    namespace: str,
    origin: Origin,
    side: Server,
    find: Find,
    found: Chains,
) -> tuple[WeightedCluster, ...]:
    destinations = list(parts)
    if len(destinations) > 1:
        destinations = [part for part in destinations if part.weight > 0]
    clusters: list[WeightedCluster] = []
    for part in destinations:
        name = fully_qualified(part.destination.host, namespace, side.mesh.domain).lower()
        reference = reference_to(part.destination, name, find(name), side.port)
        found.references.setdefault(reference, origin)
        clusters.append(WeightedCluster(reference.cluster, part.weight if len(destinations) > 1 else 1))
    return tuple(clusters)
