"""Through a Network Load Balancer: listener, TLS if it ends it, target group, and the connection to the target."""

from __future__ import annotations

from lockgate.edge.edge import Edge
from lockgate.edge.health import Health, health
from lockgate.edge.mutual_tls import refusing
from lockgate.edge.network import ServicePort
from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import (
    NetworkListener,
    NetworkLoadBalancer,
    preserves_client_address,
    sends_proxy_protocol,
)
from lockgate.loadbalancer.routing import certificate_for
from lockgate.trace.load_balancer_hops import alb_request, certificate_hop
from lockgate.trace.model import Ending, Fact, Hop, Request, Verdict, place
from lockgate.trace.target_hops import FIX, OWN_ADDRESS, AtGateway, backend, refused

BY = "network load balancer"

Reached = LoadBalancer | AtGateway | Ending


def through(edge: Edge, balancer: NetworkLoadBalancer, request: Request) -> tuple[tuple[Hop, ...], Reached]:
    """What a request on one of its ports leads to: an Application Load Balancer, a gateway, or an ending."""
    listener = next((each for each in balancer.listeners if each.port == request.port), None)
    if listener is None or listener.protocol == "UDP":
        return _no_listener(balancer, request, datagrams=listener is not None)
    hops = [Hop("listener", f"{listener.protocol} {listener.port} of {balancer.name}", where=place(listener, balancer))]
    secure = request.scheme == "https"
    if listener.protocol == "TLS":
        if not secure:
            cause = f"Port {listener.port} ends TLS, and the request comes in plain HTTP: the connection is closed."
            return tuple(hops), Ending(None, BY, cause=cause, fix="Use https:// for this port.", where=place(listener))
        arn = certificate_for(listener, request.host, edge.certificate_names())
        if arn is not None:
            hops.append(certificate_hop(edge, arn, request))
    shares = [each for each in listener.forward.target_groups if each.weight]
    largest = max(shares, key=lambda each: each.weight) if shares else None
    group = balancer.target_groups.get(largest.target_group) if largest else None
    if group is None:
        cause = f"{balancer.name} forwards port {request.port} to nothing that is known here."
        return tuple(hops), Ending(None, BY, cause=cause, where=place(listener, balancer))
    if group.target_type == "alb":
        behind = _application(edge, group)
        if behind is None:
            cause = f"The target of {group.name} is no load balancer that is known here."
            return tuple(hops), Ending(None, BY, cause=cause, where=place(listener, balancer))
        return (*hops, Hop("target group", f"the load balancer {behind.name}")), behind
    found, reached = _targets(edge, listener, group, request)
    return (*hops, *found), reached


def _targets(
    edge: Edge, listener: NetworkListener, group: TargetGroup, request: Request
) -> tuple[tuple[Hop, ...], Reached]:
    served = edge.network.served(group)
    checked = health(edge, group, group.targets[0] if group.targets else None) if served else None
    hops = [_group(group, served, checked)]
    if served is None:
        kind = "node port" if group.target_type == "instance" else "ready endpoint"
        cause = f"The target group {group.name} has no targets, as its Service has no {kind}: the connection is reset."
        return tuple(hops), Ending(None, BY, cause=cause, where=place(group))
    secure = request.scheme == "https" if listener.protocol != "TLS" else group.protocol == "TLS"
    sent = alb_request(request)
    leads = edge.network.gateways.get(served)
    if leads is None and (policy := refusing(edge, served)):
        hop, cause = refused(served, policy)
        return (*hops, hop), Ending(None, "backend", cause=cause, fix=FIX, where=hop.where)
    if leads is None:
        hops.append(backend(served, sent, group))
        return tuple(hops), Ending(None, "backend", backend=str(served))
    title = f"{'TLS' if secure else 'plain HTTP'} to {served}"
    ended = listener.protocol == "TLS"
    facts = (Fact("The load balancer sends no server name (SNI) and does not verify the certificate."),)
    unverified = facts if ended and secure else ()
    hops.append(Hop("tls", title, facts=unverified, data={} if secure else {"plain": True}))
    return tuple(hops), AtGateway(
        leads,
        sent,
        secure,
        None,
        None if ended or not secure else request.host,
        peer=request.source if preserves_client_address(group) else OWN_ADDRESS,
        proxied=sends_proxy_protocol(group),
        front=group,
    )


def _group(group: TargetGroup, behind: ServicePort | None, checked: Health | None) -> Hop:
    title = f"{group.name} · {group.protocol} · {group.target_type} · {behind or 'no target'}"
    keeps = preserves_client_address(group)
    seen = "the client's address" if keeps else "an address of the load balancer"
    facts = [Fact(f"targets see {seen} as the source of connections")]
    if sends_proxy_protocol(group):
        facts.append(Fact("PROXY protocol v2 goes before the client's bytes, with the client's address"))
    if checked is not None:
        state = {True: "passes", False: "fails", None: "is the backend's to answer"}[checked.passes]
        facts.append(Fact(f"health check {state}: {checked.why}"))
        if checked.passes is False:
            facts.append(Fact("no target is healthy, so the load balancer sends connections to all of them"))
    data = {
        "target_group": group.name,
        "backend": str(behind) if behind else None,
        "healthy": checked.passes if checked else None,
        "preserves_client_address": keeps,
    }
    verdict = Verdict.PASSES if behind else Verdict.FAILS
    return Hop("target group", title, verdict, group.origin, tuple(facts), data)


def _no_listener(balancer: NetworkLoadBalancer, request: Request, *, datagrams: bool) -> tuple[tuple[Hop, ...], Ending]:
    ports = ", ".join(f"{each.protocol} {each.port}" for each in balancer.listeners) or "no port"
    why = "only UDP" if datagrams else "no listener"
    title = f"{balancer.name} has {why} on {request.port}; it listens on {ports}"
    cause = f"The connection times out: {balancer.name} has {why} on port {request.port}."
    hop = Hop("listener", title, Verdict.FAILS, balancer.origin)
    return (hop,), Ending(None, BY, cause=cause, where=balancer.origin)


def _application(edge: Edge, group: TargetGroup) -> LoadBalancer | None:
    """The Application Load Balancer that is the target of a group of type alb, by ARN or by the group's stack."""
    if not group.targets:
        return None
    named = group.targets[0].id
    balancers = list(edge.application_load_balancers)
    found = next((each for each in balancers if each.arn and each.arn == named), None)
    return found or next((each for each in balancers if edge.fronts.get(group.reference) == each.name), None)
