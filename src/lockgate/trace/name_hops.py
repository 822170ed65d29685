"""The first hop: DNS, from a URL's host to the load balancer."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.dns.answer import answer, zone_of
from lockgate.edge.edge import Edge
from lockgate.edge.network import ServicePort
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources import core
from lockgate.resources.faults import Origin
from lockgate.trace.load_balancer_hops import alb_request
from lockgate.trace.model import Ending, Fact, Hop, Request, Verdict
from lockgate.trace.target_hops import AtGateway


def resolve(edge: Edge, request: Request) -> tuple[tuple[Hop, ...], AnyLoadBalancer | AtGateway | Ending]:
    """What the host of a request leads to: a load balancer, or a gateway at an address of its own."""
    name = f"{request.host.lower().rstrip('.')}."
    if (balancer := edge.load_balancer(name)) is not None:
        return (Hop("dns", f"{request.host} is the load balancer's own name", where=balancer.origin),), balancer
    zone = zone_of(edge.zones, name)
    found = answer(edge.zones, name, "A", lambda each: _addresses(edge, each))
    names = [record.value for record in found.answer if record.type == "A"]
    if names and (balancer := edge.load_balancer(names[0])) is not None:
        facts = tuple(Fact(f"{record.name} {record.type} {record.value}") for record in found.answer)
        held = f"zone {zone.name.rstrip('.')} ({zone.id})" if zone else ""
        title = f"{request.host} is an alias of {balancer.name}"
        data = {"load_balancer": balancer.name, "zone": zone.id if zone else None}
        return (Hop("dns", f"{title} · {held}" if held else title, facts=facts, data=data),), balancer
    if (service := edge.gateway_service(names[0] if names else request.host)) is not None:
        return _at_gateway(edge, request, service, names)
    why, fix = _missing(edge, request, bool(zone), bool(names))
    ending = Ending(None, "dns", cause=why, fix=fix)
    return (Hop("dns", why, Verdict.FAILS, data={"rcode": found.rcode}),), ending


def _at_gateway(
    edge: Edge, request: Request, service: core.Service, names: Sequence[str]
) -> tuple[tuple[Hop, ...], AtGateway | Ending]:
    """The client connects to the gateway itself, so its TLS has the server name that the client sends."""
    at = ServicePort(service.namespace, service.name, request.port)
    leads = edge.network.gateways.get(at)
    if leads is None:
        ports = ", ".join(str(port.port) for port in service.spec.ports)
        title = f"{request.host} does not listen on {request.port}"
        cause = f"The connection is refused: {service.key} has no port {request.port}. It has {ports}."
        return (Hop("dns", title, Verdict.FAILS),), Ending(None, "gateway", cause=cause)
    title = f"{request.host} is the address of {service.key}"
    hop = Hop("dns", title, where=Origin(service.key), data={"service": f"{service.namespace}/{service.name}"})
    tls = request.scheme == "https"
    name = request.host if tls and names else None  # clients send no server name for an address
    return (hop,), AtGateway(leads, alb_request(request), tls, None, name, peer=request.source)


def _addresses(edge: Edge, dns_name: str) -> Sequence[str]:
    """A load balancer represents its own addresses here: AWS chooses those, and no decision depends on them."""
    balancer = edge.load_balancer(dns_name)
    return (balancer.dns_name.lower(),) if balancer else ()


def _missing(edge: Edge, request: Request, has_zone: bool, has_address: bool) -> tuple[str, str]:
    host = request.host
    if has_address:
        return f"{host} leads to an address that is not a load balancer of this edge.", "Check the record in Route 53."
    if not has_zone:
        return f"No hosted zone holds {host}.", "Check the host name, or create the zone in Route 53."
    if not edge.load_balancers:
        return (
            f"{host} has no record: no Ingress or Service makes a load balancer.",
            "Add an Ingress of class `alb` that leads to the gateway.",
        )
    return (
        f"{host} has no record: no Ingress, Gateway or VirtualService behind a load balancer has this host.",
        "Add the host to the VirtualService or the Ingress.",
    )
