"""The gateway's hops: listener and filter chain, virtual host, route, destination, and the request at the backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lockgate.edge.edge import Certificate, Edge, secret_reference
from lockgate.gateway import compare, routing
from lockgate.gateway.credentials import FILE_PAIR
from lockgate.gateway.model import Forward, Gateway, Route, RouteMatch, SetHeader
from lockgate.gateway.request import Request as GatewayRequest
from lockgate.ingress.annotations.services import PROXY_PROTOCOL
from lockgate.trace import limit_hops, policy_hops
from lockgate.trace.model import Ending, Fact, Hop, Verdict, Where, place
from lockgate.trace.target_hops import AtGateway

BY = "gateway"


def decide(edge: Edge, arrival: AtGateway, now: float | None = None) -> tuple[tuple[Hop, ...], Ending]:
    """What the gateway does with the request that it gets from a load balancer. `now` is Unix time, by which JWTs
    expire."""
    gateway = edge.gateways.get(arrival.leads.workload)
    if gateway is None:
        cause = f"No Pod of {arrival.leads.workload} runs."
        return (Hop("gateway", cause, Verdict.FAILS),), Ending(502, "load balancer", cause=cause)
    if arrival.leads.port == gateway.status_port:
        return _status_port(gateway, arrival)
    if gateway.http.proxy_protocol != arrival.proxied:
        return _proxy_protocol(gateway, arrival)
    request = gateway_request(arrival)
    decision = routing.decide(gateway, request, credentials=credentials_of(edge, gateway), now=now)
    hops = [_listener(edge, gateway, arrival, decision), *policy_hops.hops(decision), *policy_hops.patched(gateway)]
    hops += limit_hops.hops(decision)
    if (limited := limit_hops.ending(decision)) is not None:
        return tuple(hops), _told(decision, limited)
    refused = policy_hops.refusal(decision)
    if refused is not None and not isinstance(decision.outcome, routing.Closed):
        return tuple(hops), _told(decision, policy_hops.ending(refused))
    if decision.virtual_host is not None:
        name = decision.virtual_host.name
        hops.append(Hop("virtual host", name, data={"domains": list(decision.virtual_host.domains)}))
    elif decision.configuration is not None and refused is None:
        hops.append(_no_virtual_host(decision, request))
    if decision.route is not None:
        hops.append(_route(decision, decision.route))
    elif decision.passed:
        skipped = tuple(_skipped(decision))
        hops.append(Hop("route", "no route matches", Verdict.ANSWERS, facts=skipped))
    ending = _ending(edge, arrival, decision, request, hops)
    return tuple(hops), ending


def gateway_request(arrival: AtGateway) -> GatewayRequest:
    sent = arrival.request
    return GatewayRequest(
        port=arrival.leads.port,
        authority=sent.host,
        target=sent.target,
        tls=arrival.tls,
        sni=arrival.sni,
        method=sent.method,
        headers=sent.headers,
        peer=sent.source if arrival.proxied else arrival.peer,
    )


def credentials_of(edge: Edge, gateway: Gateway) -> frozenset[str]:
    return frozenset(name for name in gateway.credentials if secret_of(edge, gateway, name))


def secret_of(edge: Edge, gateway: Gateway, credential: str) -> Certificate | None:
    for name in gateway.credentials.get(credential, ()):
        if found := edge.certificates.get(secret_reference(gateway.namespace, name)):
            return found
    return None


def _status_port(gateway: Gateway, arrival: AtGateway) -> tuple[tuple[Hop, ...], Ending]:
    ready = arrival.request.path == "/healthz/ready"
    title = f"the status port {gateway.status_port} of {gateway.workload}"
    return (Hop("gateway", title),), Ending(200 if ready else 404, BY)


def _proxy_protocol(gateway: Gateway, arrival: AtGateway) -> tuple[tuple[Hop, ...], Ending]:
    """One side speaks the PROXY protocol and the other does not: the gateway closes the connection."""
    port = f"port {arrival.leads.port} of {gateway.workload.removesuffix('-0')}"
    if arrival.proxied:
        cause = f"The load balancer sends the PROXY protocol, and {port} does not expect it."
        fix = "Set `gatewayTopology.proxyProtocol` in meshConfig.defaultConfig, or remove the annotation."
    else:
        cause = f"{port[0].upper()}{port[1:]} expects the PROXY protocol, and the connection comes without."
        fix = f"Set `{PROXY_PROTOCOL.key}: '*'` on the gateway's Service."
        if arrival.group is not None:
            fix = "Remove `gatewayTopology.proxyProtocol`: an Application Load Balancer does not send it."
    return (Hop("gateway", cause.rstrip("."), Verdict.FAILS),), _bad_gateway(arrival, cause, fix, place(arrival.front))


# --- hops --------------------------------------------------------------------------------------------------------


def _listener(edge: Edge, gateway: Gateway, arrival: AtGateway, decision: routing.Decision) -> Hop:
    name = gateway.workload.removesuffix("-0")
    if decision.listener is None:
        ports = ", ".join(str(each.port) for each in gateway.listeners) or "no port"
        title = f"{name} does not listen on {arrival.leads.port}; it listens on {ports}"
        return Hop("gateway", title, Verdict.FAILS, data={"workload": gateway.workload})
    data = {"workload": gateway.workload, "listener": decision.listener.name}
    chain = decision.chain
    if chain is None:
        facts = tuple(
            Fact(f"a server for {', '.join(each.server_names)} needs a server name", each.origin, skipped=True)
            for each in decision.listener.filter_chains
        )
        title = f"{decision.listener.name} of {name}: no server takes a connection without a server name"
        return Hop("gateway", title, Verdict.FAILS, decision.listener.origin, facts, data)
    verdict = Verdict.FAILS if isinstance(decision.outcome, routing.Closed) else Verdict.PASSES
    facts = tuple(_presented(edge, gateway, chain.tls.credentials if chain.tls else ()))
    return Hop("gateway", f"{decision.listener.name} of {name}", verdict, chain.origin, facts, data)


def _presented(edge: Edge, gateway: Gateway, credentials: tuple[str, ...]) -> Iterator[Fact]:
    for each in credentials:
        secret = secret_of(edge, gateway, each)
        shown = next(iter(gateway.credentials.get(each, ())), each.removeprefix(FILE_PAIR))
        if secret is None:
            yield Fact(f"the certificate {shown} does not exist")
        else:
            yield Fact(f"presents Secret {shown}: {', '.join(secret.names[:3])} by {secret.issuer}")


def _no_virtual_host(decision: routing.Decision, request: GatewayRequest) -> Hop:
    assert decision.configuration is not None
    domains = [domain for each in decision.configuration.virtual_hosts for domain in each.domains][:6]
    facts = (Fact(f"hosts of this server: {', '.join(domains)}"),) if domains else ()
    title = f"no VirtualService of this server has the host {request.authority}"
    return Hop("virtual host", title, Verdict.ANSWERS, place(decision.listener), facts)


def _route(decision: routing.Decision, route: Route) -> Hop:
    facts = list(_skipped(decision))
    if route.delay:
        facts.append(Fact(f"{route.delay.percent:g} % of requests wait {route.delay.seconds:g} s"))
    if route.abort:
        facts.append(Fact(f"{route.abort.percent:g} % of requests are aborted"))
    if isinstance(route.action, Forward) and route.action.timeout is not None:
        facts.append(Fact(f"timeout {route.action.timeout:g} s"))
    name = f"{route.name}: " if route.name else ""
    return Hop(
        "route", f"{name}{match_text(route.match)}", where=route.origin, facts=tuple(facts), data={"name": route.name}
    )


def _skipped(decision: routing.Decision) -> Iterator[Fact]:
    for each in decision.passed:
        yield Fact(f"{match_text(each.route.match)}: {each.reason}", each.route.origin, skipped=True)


def match_text(match: RouteMatch) -> str:
    """A route's conditions in words."""
    parts = [f"path {compare.said(match.path)}"]
    parts += [
        f"header {each.name} {compare.denied(each.value) if each.invert else compare.said(each.value)}"
        for each in match.headers
    ]
    parts += [f"query parameter {each.name} {compare.said(each.value)}" for each in match.query]
    parts += [
        f"JWT claim {'.'.join(each.path)} {compare.denied(each.value) if each.invert else compare.said(each.value)}"
        for each in match.claims
    ]
    return " and ".join(parts)


# --- endings -----------------------------------------------------------------------------------------------------


def _ending(
    edge: Edge, arrival: AtGateway, decision: routing.Decision, request: GatewayRequest, hops: list[Hop]
) -> Ending:
    where = place(decision.route, decision.chain)
    match decision.outcome:
        case routing.NotAccepted():
            cause = f"The gateway does not listen on port {arrival.leads.port}: no Gateway has a server for it."
            fix = "Add a server for this port to the Gateway"
            fix += ", or lead the Ingress to one." if arrival.group is not None else "."
            return _bad_gateway(arrival, cause, fix, where)
        case routing.Closed(_, reason):
            return _closed(arrival, decision, reason)
        case routing.Answered(status, flag, location):
            cause, fix = _answered(edge, decision, request, status, flag)
            return _told(decision, Ending(status, BY, location, cause=cause, fix=fix, where=where))
        case routing.Forwarded(upstreams):
            return _forwarded(decision, upstreams, hops, where)
        case routing.Carried(clusters):
            names = ", ".join(each.cluster for each in clusters)
            hops.append(Hop("destination", f"bytes are carried on to {names}", where=where))
            return Ending(None, "backend", backend=names, where=where)


def _told(decision: routing.Decision, ending: Ending) -> Ending:
    """The gateway's own answer as its client gets it: with its headers, and to gRPC in gRPC's way."""
    answered = decision.outcome
    if not isinstance(answered, routing.Answered):
        return ending
    ending = replace(ending, headers=answered.headers)
    if answered.grpc_status is None:
        return ending
    told = f"A gRPC client gets 200 with grpc-status {answered.grpc_status} instead of {answered.status}."
    return replace(ending, status=200, cause=f"{ending.cause} {told}".strip())


def _closed(arrival: AtGateway, decision: routing.Decision, reason: str) -> Ending:
    where = place(decision.listener)
    if refused := policy_hops.refusal(decision):
        return _bad_gateway(arrival, *policy_hops.why_closed(refused), place(decision.chain))
    if arrival.group is None:
        return _closed_to_client(arrival, decision, reason)
    if decision.chain is None:
        cause = (
            "The load balancer sends no server name (SNI) to its targets, and every server of the gateway on this port "
            "is for named hosts: the gateway closes the connection."
        )
        return _bad_gateway(arrival, cause, 'Set `hosts: ["*"]` on the server of the Gateway.', where)
    if not arrival.tls:
        cause = "The target group speaks HTTP, and the gateway's port speaks TLS."
        fix = "Set `alb.ingress.kubernetes.io/backend-protocol: HTTPS`, or lead the Ingress to the gateway's HTTP port."
        return _bad_gateway(arrival, cause, fix, place(arrival.group))
    if decision.chain.tls is None:
        cause = "The target group speaks TLS, and the gateway's port speaks plain HTTP."
        fix = "Set `alb.ingress.kubernetes.io/backend-protocol: HTTP`, or lead the Ingress to the gateway's HTTPS port."
        return _bad_gateway(arrival, cause, fix, place(arrival.group))
    fix = "Create the Secret in the gateway's namespace, or a Certificate that makes it."
    return _bad_gateway(arrival, f"The gateway closes the connection: {reason}.", fix, decision.chain.origin)


def _closed_to_client(arrival: AtGateway, decision: routing.Decision, reason: str) -> Ending:
    if arrival.front is not None and arrival.tls is False and arrival.request.server_name is not None:
        cause = "The load balancer ends TLS, and the gateway's port speaks TLS."
        fix = (
            "Set `service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl`, or lead the port to plain HTTP."
        )
        return _bad_gateway(arrival, cause, fix, place(arrival.front))
    if not arrival.tls:
        cause, fix = "The client speaks HTTP, and the gateway's port speaks TLS.", "Use https."
        return _bad_gateway(arrival, cause, fix, place(decision.chain, decision.listener))
    if decision.chain is not None and decision.chain.tls is None:
        cause = "The client speaks TLS, and the gateway's port speaks plain HTTP."
        return _bad_gateway(arrival, cause, "Use http.", place(decision.chain, decision.listener))
    if decision.chain is None:
        cause = "Every server of the gateway on this port is for other server names: it closes the connection."
        return _bad_gateway(arrival, cause, "Add the host to a server of the Gateway.", place(decision.listener))
    fix = "Create the Secret in the gateway's namespace, or a Certificate that makes it."
    return _bad_gateway(arrival, f"The gateway closes the connection: {reason}.", fix, decision.chain.origin)


def _bad_gateway(arrival: AtGateway, cause: str, fix: str, where: Where) -> Ending:
    if arrival.group is None:
        return Ending(None, BY, cause=cause, fix=fix, where=where)
    return Ending(502, "load balancer", cause=f"The load balancer answers 502. {cause}", fix=fix, where=where)


def _answered(
    edge: Edge, decision: routing.Decision, request: GatewayRequest, status: int, flag: str
) -> tuple[str, str]:
    if status < 400:
        return "", ""
    match flag:
        case "NR" if decision.virtual_host is None:
            cause = f"The gateway answers 404: no VirtualService of this server has the host {request.authority}."
            return cause, "Add the host to a VirtualService that names this Gateway, and to the server's hosts."
        case "NR":
            return (
                f"The gateway answers 404: no route of {request.authority} matches.",
                "Add a route that matches, or a last route without conditions.",
            )
        case "NC":
            return (
                "The gateway answers 503 (NC): the route's destination does not exist.",
                "Check the host, the port and the subset of the destination.",
            )
        case "UH":
            return (
                "The gateway answers 503 (UH): the destination has no ready endpoints.",
                "Check the Service's selector and that its Pods are ready.",
            )
        case "FI":
            return f"The route aborts requests with {status}, as `fault.abort` says.", "Remove the fault."
        case _:
            return f"The gateway answers {status} by itself.", ""


def _forwarded(
    decision: routing.Decision, upstreams: tuple[routing.Upstream, ...], hops: list[Hop], where: Where
) -> Ending:
    total = sum(each.weight for each in upstreams)
    heaviest = max(upstreams, key=lambda each: each.weight)
    facts = tuple(
        Fact(f"{100 * each.weight / total:.0f} % go to {backend_name(each.cluster)}")
        for each in upstreams
        if len(upstreams) > 1
    )
    shares = {backend_name(each.cluster): each.weight for each in upstreams}
    hops.append(Hop("destination", backend_name(heaviest.cluster), where=where, facts=facts, data={"shares": shares}))
    seen = (Fact(f"host: {heaviest.authority}"), *(Fact(f"{name}: {value}") for name, value in heaviest.headers))
    data = {"method": "", "target": heaviest.target, "authority": heaviest.authority, "headers": list(heaviest.headers)}
    hops.append(Hop("backend", f"{heaviest.target} at {backend_name(heaviest.cluster)}", facts=seen, data=data))
    put = decision.route.response_headers.put if decision.route else ()
    headers = tuple((change.name, change.value) for change in put if isinstance(change, SetHeader))
    return Ending(None, "backend", backend=backend_name(heaviest.cluster), headers=headers, where=where)


def backend_name(cluster: str) -> str:
    """``outbound|8080||api.shop.svc.cluster.local`` as ``shop/api:8080``, with its subset where it has one."""
    parts = cluster.split("|")
    if len(parts) != 4:
        return cluster
    _, port, subset, host = parts
    labels = host.split(".")
    name = f"{labels[1]}/{labels[0]}" if labels[2:3] == ["svc"] else host
    return f"{name}:{port}" + (f" subset {subset}" if subset else "")
