"""The route table of an edge: every rule and route in order of evaluation, with its destination."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.gateway.model import DirectResponse, Forward, Gateway, Http, Redirect, Route, Tcp
from lockgate.gateway.shadowing import shadowed_routes
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.loadbalancer.shadowing import shadowed_rules
from lockgate.trace.gateway_hops import backend_name, match_text
from lockgate.trace.load_balancer_hops import conditions_text
from lockgate.trace.model import Where, place


@dataclass(frozen=True, slots=True)
class Row:
    """`match` describes the requests, `leads` the action. `taken_by` names the earlier row that matches every request
    of this row, which is therefore unreachable."""

    match: str
    leads: str
    where: Where = None
    taken_by: str = ""
    taken_at: Where = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one listener of a load balancer, or of one virtual host of a gateway."""

    title: str
    rows: tuple[Row, ...]
    where: Where = None


def tables(edge: Edge) -> Iterator[Table]:
    for balancer in edge.load_balancers:
        if isinstance(balancer, NetworkLoadBalancer):
            rows = tuple(
                Row(f"{each.protocol} {each.port}", _groups(edge, balancer, each.forward), each.origin)
                for each in balancer.listeners
            )
            yield Table(f"network load balancer {balancer.name}", rows, balancer.origin)
            continue
        for listener in balancer.listeners:
            title = f"{listener.protocol} {listener.port} of {balancer.name}"
            yield Table(title, tuple(_rules(edge, balancer, listener)), listener.origin)
    for gateway in edge.gateways.values():
        yield from _gateway(gateway)


def _rules(edge: Edge, balancer: alb.LoadBalancer, listener: alb.Listener) -> Iterator[Row]:
    taken = {id(rule): taker for rule, taker in shadowed_rules(listener.rules)}
    for rule in listener.rules:
        taker = taken.get(id(rule))
        yield Row(
            f"rule {rule.priority}: {conditions_text(rule) or 'every request'}",
            _actions(edge, balancer, rule.actions),
            rule.origin,
            f"rule {taker.priority}" if taker else "",
            taker.origin if taker else None,
        )
    yield Row("default rule", _actions(edge, balancer, listener.default_actions), place(listener, balancer))


def _actions(edge: Edge, balancer: alb.LoadBalancer, actions: tuple[alb.Action, ...]) -> str:
    return ", then ".join(action_text(edge, balancer, action) for action in actions)


def action_text(edge: Edge, balancer: alb.LoadBalancer, action: alb.Action) -> str:
    match action:
        case alb.Forward():
            return _groups(edge, balancer, action)
        case alb.Redirect(status_code, protocol, host, port, path, query):
            target = f"{protocol.lower()}://{host}:{port}{path}" + (f"?{query}" if query else "")
            return f"{status_code.removeprefix('HTTP_')} to {target}"
        case alb.FixedResponse(status_code):
            return f"answers {status_code}"
        case alb.AuthenticateOidc() | alb.AuthenticateCognito():
            return "login"
        case alb.JwtValidation():
            return "JWT validation"


def _groups(edge: Edge, balancer: alb.LoadBalancer | NetworkLoadBalancer, action: alb.Forward) -> str:
    total = sum(each.weight for each in action.target_groups) or 1
    parts = []
    for each in action.target_groups:
        group = balancer.target_groups.get(each.target_group)
        behind = edge.network.behind(group, group.targets[0] if group.targets else None) if group else None
        name = str(behind) if behind else group.name if group else each.target_group
        parts.append(f"{100 * each.weight / total:.0f} % {name}" if len(action.target_groups) > 1 else name)
    return ", ".join(parts)


def _gateway(gateway: Gateway) -> Iterator[Table]:
    name = gateway.workload.removesuffix("-0")
    for listener in gateway.listeners:
        for chain in listener.filter_chains:
            hosts = ", ".join(chain.server_names)
            match chain.filter:
                case Http(routes):
                    configuration = gateway.routes[routes]
                    for host in configuration.virtual_hosts:
                        title = f"{', '.join(_without_port(host.domains))} on {listener.port} of {name}"
                        yield Table(title, tuple(_routes(host.routes, host.require_tls)), chain.origin)
                case Tcp(clusters):
                    leads = ", ".join(backend_name(each.cluster) for each in clusters)
                    row = Row(f"TLS for {hosts}" if hosts else "every connection", leads, chain.origin)
                    yield Table(f"TCP {listener.port} of {name}", (row,), chain.origin)


def _without_port(domains: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(domain.partition(":")[0] for domain in domains))


def _routes(routes: tuple[Route, ...], require_tls: bool) -> Iterator[Row]:
    if require_tls:
        yield Row("plain HTTP", "301 to https")
    taken = {id(route): taker for route, taker in shadowed_routes(routes)}
    for route in routes:
        taker = taken.get(id(route))
        yield Row(
            match_text(route.match),
            route_leads(route),
            route.origin,
            match_text(taker.match) if taker else "",
            taker.origin if taker else None,
        )


def route_leads(route: Route) -> str:
    match route.action:
        case Forward(clusters):
            total = sum(each.weight for each in clusters) or 1
            names = [
                f"{100 * each.weight / total:.0f} % {backend_name(each.cluster)}"
                if len(clusters) > 1
                else backend_name(each.cluster)
                for each in clusters
            ]
            return ", ".join(names)
        case Redirect(status):
            return f"{status} redirect"
        case DirectResponse(status):
            return f"answers {status}"
