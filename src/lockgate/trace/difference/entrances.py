"""Where a request to a host enters an edge: a load balancer's listener, a gateway at an address of its own, or nowhere.

The names of a zone with the same records lead to the same entrance, which is therefore looked up once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.dns.answer import answer, zone_of
from lockgate.dns.model import Alias, Records, RecordSet, Zone, parent
from lockgate.edge.edge import Edge
from lockgate.edge.network import GatewayPort
from lockgate.gateway import model as gateway
from lockgate.gateway.routing import filter_chain
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.loadbalancer.routing import certificate_for
from lockgate.trace import name_hops, network_hops, target_hops
from lockgate.trace.difference.load_balancer import (
    Arrival,
    certificate_names,
    host_conditions,
    host_holds,
)
from lockgate.trace.difference.outcomes import Answer, Aspects
from lockgate.trace.model import Request

_ADDRESSES = ("A", "AAAA", "CNAME", "HTTPS")


@dataclass(frozen=True, slots=True, eq=False)
class Entrance:
    """What one port of a host leads to. At most one of the two is given; without either, `aspects` says why."""

    aspects: Aspects
    balancer: LoadBalancer | None = None
    listener: Listener | None = None
    arrival: Arrival | None = None


class Entrances:
    """The entrances of one edge."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self._by_records: dict[object, LoadBalancer | NetworkLoadBalancer | None] = {}
        self._direct: dict[object, tuple[gateway.Listener, ...]] = {}
        self._conditions = {
            balancer.name: tuple(
                dict.fromkeys(each for listener in balancer.listeners for each in host_conditions(listener))
            )
            for balancer in edge.application_load_balancers
        }
        self._names = {
            id(listener): certificate_names(edge, listener)
            for balancer in edge.application_load_balancers
            for listener in balancer.listeners
        }

    def ports(self, host: str) -> Iterator[tuple[str, int]]:
        """The schemes and ports on which something listens for a host."""
        balancer = self._balancer(host)
        match balancer:
            case LoadBalancer():
                yield from ((each.protocol.lower(), each.port) for each in balancer.listeners)
            case NetworkLoadBalancer():
                for each in balancer.listeners:
                    yield from (("http", each.port), ("https", each.port))
            case _ if (service := self.edge.gateway_service(_address(self.edge, host))) is not None:
                for at, leads in sorted(self.edge.network.gateways.items(), key=lambda each: each[0]):
                    if (at.namespace, at.service) == (service.namespace, service.name):
                        yield from ((scheme, at.port) for scheme in self._schemes(leads))
            case _:
                pass

    def _schemes(self, leads: GatewayPort) -> Iterator[str]:
        """What a gateway speaks on a port: TLS where it ends or carries TLS, else plain HTTP."""
        workload = self.edge.gateways.get(leads.workload)
        for listener in workload.listeners if workload else ():
            if listener.port == leads.port:
                secure = {chain.tls is not None or chain.passthrough for chain in listener.filter_chains}
                yield from ("https" if each else "http" for each in sorted(secure))

    def signature(self, host: str) -> object:
        """Equal for hosts that enter in the same way and that no rule of the load balancer tells apart."""
        records = _records(self.edge.zones, f"{host}.")
        balancer = self._balancer(host)
        if isinstance(balancer, NetworkLoadBalancer):
            return records, balancer.name, host
        if balancer is None:
            return records, tuple(id(filter_chain(each, host)) for each in self._gateway_listeners(host))
        holds = tuple(host_holds(each, host) for each in self._conditions[balancer.name])
        presented = tuple(
            certificate_for(each, host, self._names[id(each)]) for each in balancer.listeners if each.certificates
        )
        return records, balancer.name, holds, presented

    def _gateway_listeners(self, host: str) -> tuple[gateway.Listener, ...]:
        """The listeners of a gateway that a host leads to without a load balancer."""
        key = _records(self.edge.zones, f"{host}.") or host
        if key not in self._direct:
            found = [self.at(host, "https", port).arrival for _, port in self.ports(host)]
            self._direct[key] = tuple(
                listener
                for arrival in found
                if arrival and (workload := self.edge.gateways.get(arrival.leads.workload))
                for listener in workload.listeners
                if listener.port == arrival.leads.port
            )
        return self._direct[key]

    def at(self, host: str, scheme: str, port: int) -> Entrance:
        balancer = self._balancer(host)
        named: Aspects = {"DNS": _answer(self.edge, host)}
        request = Request(scheme, host, port, "/")
        reached: object = balancer
        if balancer is None:
            _, reached = name_hops.resolve(self.edge, request)
        elif isinstance(balancer, NetworkLoadBalancer):
            _, reached = network_hops.through(self.edge, balancer, request)
        if isinstance(reached, target_hops.AtGateway):
            return Entrance(named, arrival=Arrival(reached.leads, reached.tls, reached.group, reached.sni))
        if not isinstance(reached, LoadBalancer):
            return Entrance({**named, "answer": Answer("", "no connection")})
        listener = next((each for each in reached.listeners if each.port == port), None)
        if listener is None:
            return Entrance({**named, "answer": Answer("", "no connection", flag=f"no listener on {port}")})
        if listener.protocol.lower() != scheme:
            return Entrance({**named, "answer": Answer("load balancer", 400 if scheme == "http" else "TLS fails")})
        return Entrance(named, reached, listener)

    def _balancer(self, host: str) -> LoadBalancer | NetworkLoadBalancer | None:
        key = _records(self.edge.zones, f"{host}.") or host
        if key not in self._by_records:
            _, found = name_hops.resolve(self.edge, Request("https", host, 443, "/"))
            self._by_records[key] = found if isinstance(found, LoadBalancer | NetworkLoadBalancer) else None
        return self._by_records[key]


def _records(zones: tuple[Zone, ...], name: str) -> object:
    """The records that answer for a name, without the name; None if no zone holds it."""
    zone = zone_of(zones, name)
    if zone is None:
        return None
    return zone.name, tuple((each.type, each.data, each.policy) for each in _found(zone, name))


def _found(zone: Zone, name: str) -> list[RecordSet]:
    """As `dns.answer` finds them: a wildcard only at the closest name that exists."""
    found = zone.by_name.get(name, ())
    if name not in zone.names:
        encloser = parent(name)
        while encloser not in zone.names:
            encloser = parent(encloser)
        found = zone.by_name.get(f"*.{encloser}", ())
    return [each for each in found if each.type in _ADDRESSES]


def _address(edge: Edge, host: str) -> str:
    """The first address of a host, itself if it has none."""
    found = answer(edge.zones, f"{host}.", "A", lambda _: ()).answer
    return next((each.value for each in found if each.type == "A"), host)


def _answer(edge: Edge, host: str) -> str:
    """The answer of DNS in words. A load balancer's DNS name is AWS's choice, so its own name stands for it."""
    name = f"{host}."
    if (own := edge.load_balancer(name)) is not None:
        return f"the load balancer {own.name}"
    zone = zone_of(edge.zones, name)
    parts = sorted({_said(edge, each) for each in _found(zone, name)}) if zone else []
    return ", ".join(parts) or "no record"


def _said(edge: Edge, record: RecordSet) -> str:
    policy = f" ({record.policy})" if record.set_identifier else ""
    match record.data:
        case Alias(dns_name):
            balancer = edge.load_balancer(dns_name)
            return f"alias of {balancer.name if balancer else dns_name.rstrip('.')}{policy}"
        case Records(ttl, values):
            return f"{record.type} {' '.join(values)} for {ttl} s{policy}"
