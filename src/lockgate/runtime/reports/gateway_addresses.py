"""Gateways that are reached at an address of their Service, and what they serve there. Pure, from a `State`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.edge.endpoint_annotations import hostnames
from lockgate.edge.fronts import Fronts
from lockgate.edge.supply.hosts import hosts_of, is_public
from lockgate.gateway.hosts import gateway_name, server_hosts, within
from lockgate.resources import core, istio, networking
from lockgate.runtime.observed import State

_SCHEMES: Mapping[str, str] = {"HTTPS": "https", "HTTP": "http", "HTTP2": "http", "GRPC": "http", "GRPC-WEB": "http"}
_DEFAULTS = (("http", 80), ("https", 443))


@dataclass(frozen=True, slots=True)
class GatewayAddresses:
    """`urls` in the order in which a person tries them, `hosts` are the names that lead to an address."""

    urls: tuple[str, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)


def gateway_addresses(state: State) -> GatewayAddresses:
    cluster = state.cluster
    services = cluster.all(core.Service)
    if not any(_address(service) for service in services):
        return GatewayAddresses()
    fronts = Fronts(cluster.all(networking.Ingress), services)
    routed = _routed(state)
    urls: dict[tuple[str, str, int], None] = {}
    hosts: set[str] = set()
    for gateway in cluster.all(istio.Gateway):
        known = (*routed.get((gateway.namespace, gateway.name), ()), *filter(is_public, hostnames(gateway)))
        for service in fronts.of(gateway).services:
            if not (address := _address(service)):
                continue
            for server in gateway.spec.servers:
                scheme, port = _SCHEMES.get(server.port.protocol.upper()), _port(service, server.port.number)
                named = list(_named(server, gateway, (*known, *hosts_of(service))))
                hosts.update(named)
                exact = [host for host in named if not host.startswith("*") and host in state.resolved]
                served = exact if named else [address]
                if scheme and port:
                    urls.update(((scheme, host, port), None) for host in served)
    ordered = sorted(urls, key=lambda each: (each[0] != "https", each[2]))
    return GatewayAddresses(tuple(_url(*each) for each in ordered), frozenset(hosts))


def _address(service: core.Service) -> str:
    return next((entry.ip for entry in service.status.load_balancer.ingress if entry.ip), "")


def _port(service: core.Service, number: int) -> int | None:
    """The Service's port that leads to a Gateway's: itself, or the one whose Pods listen on it."""
    ports = service.spec.ports
    return next((each.port for each in ports if number == each.port), None) or next(
        (each.port for each in ports if number == each.target_port), None
    )


def _routed(state: State) -> dict[tuple[str, str], list[str]]:
    """Hosts of VirtualServices by the Gateway that they are bound to."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in state.cluster.all(istio.VirtualService):
        for name in each.spec.gateways:
            namespace, _, bare = gateway_name(name, each.namespace).partition("/")
            found.setdefault((namespace, bare), []).extend(hosts_of(each))
    return found


def _named(server: istio.Server, gateway: istio.Gateway, routed: Sequence[str]) -> Iterator[str]:
    for pattern in (each.host for each in server_hosts(server.hosts, gateway.namespace)):
        yield from filter(is_public, [pattern])
        if pattern.startswith("*"):
            yield from (host for host in routed if not host.startswith("*") and within(host, pattern))


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{host}{'' if (scheme, port) in _DEFAULTS else f':{port}'}/"
