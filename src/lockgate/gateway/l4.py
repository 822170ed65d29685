"""Servers without HTTP: a VirtualService's tls and tcp rules as filter chains.

Source: istio/istio `pilot/pkg/networking/core/gateway.go` (createGatewayTCPFilterChainOpts and what it calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lockgate.gateway.destinations import Rule
from lockgate.gateway.durations import seconds
from lockgate.gateway.hosts import fully_qualified, gateway_name, narrower
from lockgate.gateway.model import DownstreamTls, FilterChain, Tcp, Tunnel, WeightedCluster
from lockgate.gateway.registry import Host
from lockgate.gateway.routes import Reference, Rules, Server, reference_to
from lockgate.gateway.servers import BoundServer
from lockgate.resources import istio
from lockgate.resources.codes import gateway as codes
from lockgate.resources.faults import Fault, Origin

Find = Callable[[str], tuple[Host | None, Rule | None]]  # the service of a host, and its DestinationRule
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
        if not covers(server, service, side.mesh.domain):
            continue
        for index, rule in enumerate(service.spec.tls):
            for position, match in enumerate(rule.match):
                origin = Origin(service.key, ("spec", "tls", index, "match", position))
                if not _applies(match, service.namespace, side):
                    continue
                if proxy := _to(rule.route, service.namespace, origin, side, find, found):
                    sni = tuple(dict.fromkeys(host.lower() for host in match.sni_hosts))
                    chain = FilterChain(
                        proxy,
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
        if not covers(server, service, side.mesh.domain):
            continue
        for index, rule in enumerate(service.spec.tcp):
            origin = Origin(service.key, ("spec", "tcp", index))
            if rule.match and not any(_applies(match, service.namespace, side) for match in rule.match):
                continue
            if proxy := _to(rule.route, service.namespace, origin, side, find, found):
                found.chains.append(FilterChain(proxy, names if tls else (), tls, origin=server.origin))
                return found
    return _checked(found, server, "tcp")


def _checked(found: Chains, server: BoundServer, kind: str) -> Chains:
    if not found.chains:
        hosts = ", ".join(str(host) for host in server.hosts)
        found.faults.append(codes.NO_TCP_ROUTE.at(server.origin, kind=kind, hosts=hosts))
    return found


def covers(server: BoundServer, service: istio.VirtualService, domain: str) -> bool:
    return any(
        narrower(fully_qualified(own, service.namespace, domain), host.host) is not None
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


def _to(
    parts: Iterable[istio.RouteDestination],
    namespace: str,
    origin: Origin,
    side: Server,
    find: Find,
    found: Chains,
) -> Tcp | None:
    """The proxy to a rule's destinations; None if none has a weight."""
    destinations = list(parts)
    several = len(destinations) > 1
    clusters: list[WeightedCluster] = []
    for part in destinations:
        if several and part.weight <= 0:
            continue
        name = fully_qualified(part.destination.host, namespace, side.mesh.domain)
        reference = reference_to(part.destination, name, find(name)[0], side.port)
        found.references.setdefault(reference, origin)
        clusters.append(WeightedCluster(reference.cluster, part.weight if several else 1))
    if not clusters:
        return None
    first = destinations[0].destination
    rule = find(fully_qualified(first.host, namespace, side.mesh.domain))[1]
    return _proxy(tuple(clusters), rule, "" if several else first.subset)


def _proxy(clusters: tuple[WeightedCluster, ...], rule: Rule | None, subset: str) -> Tcp:
    """The proxy with what the first destination's DestinationRule says about connections: at its top level, and for
    hashing and tunnels also in the subset of an only destination."""
    top = rule.policy if rule else None
    own = rule.subsets[subset].traffic_policy if rule and subset in rule.subsets else None
    pool = top.connection_pool.tcp if top and top.connection_pool else None
    balancer = own.load_balancer if own and own.load_balancer else top.load_balancer if top else None
    tunnelled = own if subset else top
    tunnel = tunnelled.tunnel if tunnelled else None
    return Tcp(
        clusters,
        idle_timeout=seconds(pool.idle_timeout) if pool else None,
        max_duration=seconds(pool.max_connection_duration) if pool else None,
        hash_source=bool(balancer and balancer.consistent_hash and balancer.consistent_hash.use_source_ip),
        tunnel=Tunnel(tunnel.target_host, tunnel.target_port, tunnel.protocol.upper() == "POST") if tunnel else None,
    )
