"""Settings of a gateway that read the client's address, where they get the load balancer's.

Source: Istio's documentation, "Configuring Gateway Network Topology"; `ipBlocks` and `remoteIpBlocks` in the reference
of AuthorizationPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import chain
from typing import TypeAlias

from lockgate.check.connections import Connection, connections
from lockgate.edge.edge import Edge
from lockgate.gateway.model import Forward, Gateway, HashSourceIp, VirtualHost
from lockgate.gateway.policies.model import All, DirectRemoteIp, Not, OneOf, Predicate, RemoteIp, Rule
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Code, Fault, Origin

CODES = (codes.CLIENT_ADDRESS_LOST, codes.PEER_ADDRESS, codes.SOURCE_HASH)

Address: TypeAlias = DirectRemoteIp | RemoteIp


def analyze(edge: Edge) -> Iterator[Fault]:
    first: dict[str, Connection] = {}
    for each in connections(edge):
        first.setdefault(each.leads.workload, each)
    for each in first.values():
        if each.gateway is not None:
            yield from _policies(each, each.gateway)
            if not each.gateway.http.trusted_proxies:
                yield from _hashes(edge, each, each.gateway)


def _policies(each: Connection, gateway: Gateway) -> Iterator[Fault]:
    for filter_ in gateway.filters.access_control if gateway.filters else ():
        for rule in filter_.rules or ():
            for code, outside in _misread(rule, trusted=gateway.http.trusted_proxies > 0):
                whom = "every client" if outside else "no client"
                yield code.at(rule.origin, balancer=each.balancer.name, whom=whom)


def _misread(rule: Rule, *, trusted: bool) -> Iterator[tuple[Code, bool]]:
    """The codes of the addresses that a rule misreads, and whether it wants clients outside of them.

    Internal blocks are for peers such as the load balancer itself.
    """
    found: dict[Code, bool] = {}
    for predicate in rule.principals:
        for address, outside in _addresses(predicate):
            direct = isinstance(address, DirectRemoteIp)
            if (direct or not trusted) and not _internal(address.block):
                found.setdefault(codes.PEER_ADDRESS if direct else codes.CLIENT_ADDRESS_LOST, outside)
    yield from found.items()


def _internal(block: str) -> bool:
    """Whether a block is of addresses that only peers in the network have. `is_private` has documentation's too."""
    network = ip_network(block, strict=False)
    return any(network.version == each.version and network.subnet_of(each) for each in _INTERNAL)  # type: ignore[arg-type]


_INTERNAL = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7"))
)


def _addresses(predicate: Predicate, outside: bool = False) -> Iterator[tuple[Address, bool]]:
    match predicate:
        case All(parts) | OneOf(parts):
            for part in parts:
                yield from _addresses(part, outside)
        case Not(part):
            yield from _addresses(part, not outside)
        case DirectRemoteIp() | RemoteIp():
            yield predicate, outside


def _hashes(edge: Edge, each: Connection, gateway: Gateway) -> Iterator[Fault]:
    found: dict[Origin | None, None] = {}
    for name, routes in gateway.routes.items():
        hashing = edge.remembered.each("hashing", _hashing, routes.virtual_hosts, gateway.workload, name)
        for place, action in chain.from_iterable(filter(None, hashing)):
            clusters = (gateway.clusters.get(one.cluster) for one in action.clusters)
            origins = (cluster.origin for cluster in clusters if cluster is not None)
            rules = [one for one in origins if one is not None and one.key.kind == "DestinationRule"]
            found.update(dict.fromkeys(rules if rules else (place,)))
    for origin in found:
        yield codes.SOURCE_HASH.at(origin, balancer=each.balancer.name)


def _hashing(host: VirtualHost, _gateway: str, _routes: str) -> tuple[tuple[Origin | None, Forward], ...]:
    """The routes that choose an endpoint by the client's address."""
    return tuple(
        (route.origin, route.action)
        for route in host.routes
        if isinstance(route.action, Forward) and HashSourceIp() in route.action.hash_policies
    )
