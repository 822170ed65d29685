"""Requests of a cell, and whether both edges really decide about them as predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lockgate.edge.edge import Edge
from lockgate.gateway import model as gateway
from lockgate.gateway import routing as gateway_routing
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer import routing
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.trace import gateway_hops, load_balancer_hops, name_hops, network_hops, target_hops
from lockgate.trace.difference.choices import Example
from lockgate.trace.difference.conditions import Alone, Assumption, Header, Method, Part, Path, Query, SomeQuery, Source
from lockgate.trace.difference.space import Cell, Space
from lockgate.trace.model import Request, Trace

MOST_TRIED = 24


@dataclass(frozen=True, slots=True)
class Way:
    """The rule and the route that a request takes, in one edge. None is the default rule, or no route."""

    rule: alb.Rule | None = None
    route: gateway.Route | None = None


def requests(
    space: Space,
    cell: Cell,
    scheme: str,
    host: str,
    port: int,
    instead: Sequence[Mapping[Part, Example]] = (),
) -> Iterator[Request]:
    """Requests of a cell, the simplest first. If it needs an assumption to hold, the simplest with each of `instead`,
    which may or may not be requests of the cell."""
    possible = [
        (part, [(choice, example) for choice in choices for example in choice.examples])
        for part, choices in space.possible(cell)
    ]
    simplest = {part: examples[0][1] for part, examples in possible if examples}
    if len(simplest) < len(possible):
        yield from (_request({**simplest, **each}, scheme, host, port) for each in instead)
        return
    yield _request(simplest, scheme, host, port)
    for part, examples in possible:
        for _, example in examples[1:MOST_TRIED]:
            yield _request({**simplest, part: example}, scheme, host, port)


def _request(given: Mapping[Part, Example], scheme: str, host: str, port: int) -> Request:
    alone = {part.part: example for part, example in given.items() if isinstance(part, Alone) and example}
    values = {**given, **alone}
    path, method, source = "/", "GET", "203.0.113.10"
    headers: list[tuple[str, str]] = []
    query: list[str] = []
    for part, example in values.items():
        match part:
            case Path():
                path = example[0]
            case Method():
                method = example[0]
            case Source():
                source = example[0] if example else source
            case Header(name):
                headers += ((name, value) for value in example)
            case Query(name):
                query += (f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for value in example)
            case SomeQuery():
                query += (f"{quote(example[0], safe=_PLAIN)}={quote(example[1], safe=_PLAIN)}" for _ in example[:1])
            case Assumption() | Alone():
                pass
    target = path + (f"?{'&'.join(query)}" if query else "")
    return Request(scheme, host, port, target, method, tuple(headers), source)


_PLAIN = "!$'()*,;:@/?[]|"


def way(edge: Edge, request: Request) -> Way | None:
    """What `trace` decides for a request; None if it ends before a rule is looked at."""
    _, at = name_hops.resolve(edge, request)
    if isinstance(at, NetworkLoadBalancer):
        _, at = network_hops.through(edge, at, request)
    rule: alb.Rule | None = None
    if isinstance(at, LoadBalancer):
        decision = routing.decide(at, load_balancer_hops.alb_request(request), names=edge.certificate_names())
        if decision.action is None:
            return None
        rule = decision.rule
        if not isinstance(decision.outcome, routing.Forwarded):
            return Way(rule)
        _, at = target_hops.arrive(
            edge, load_balancer_hops.ToTargets(at, decision.outcome.shares, decision.outcome.request)
        )
    if not isinstance(at, target_hops.AtGateway) or (workload := edge.gateways.get(at.leads.workload)) is None:
        return Way(rule)
    return Way(rule, gateway_routing.decide(workload, gateway_hops.gateway_request(at)).route)


def visible(trace: Trace) -> object:
    """What a client and a backend can see of a request's end."""
    ending = trace.ending
    seen: list[object] = [ending.status, ending.by, ending.location, ending.backend, ending.headers]
    for hop in trace.hops:
        if hop.name == "backend":
            seen.append({name: value for name, value in hop.data.items() if name != "backend"} or hop.title)
        elif hop.name in ("destination", "target group"):
            seen.append(hop.data.get("shares") if hop.name == "destination" else None)
        elif hop.name == "certificate":
            seen.append(hop.data.get("names"))
    return seen
