"""A request that reaches a part of a manifest: a path of an Ingress, a route or host of a VirtualService, a server.

The request is made from the conditions of the rule or route, and then traced: an earlier rule or route may take it, and
whoever reads the trace sees so.

    >>> found = example(edge, Origin(key, ("spec", "http", 0)))
    >>> found.trace.request.url, found.reaches
    ('https://towpath.example/api/', True)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import islice

from lockgate.edge.edge import Edge
from lockgate.gateway.model import Exact, Gateway, Http, Present, Regex, Route, ValueMatch
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.resources import istio
from lockgate.resources.faults import Origin
from lockgate.trace.model import Request, Trace
from lockgate.trace.walk import trace

_CLIENT = "203.0.113.10"
_SOMEWHERE = "www.example.com"  # where any host will do
_DEPTH = 3  # of what decides where requests go: spec.http[0], spec.rules[0], spec.servers[0]
_MOST = 12  # requests that are tried


@dataclass(frozen=True, slots=True)
class Example:
    """`reaches` says whether the request meets the part of the manifest that it was made for."""

    trace: Trace
    reaches: bool


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What a rule, route or server at `origin` asks of a request. An empty `host` is any; without `ports`, those of the
    load balancers lead to it."""

    origin: Origin
    host: str = ""
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    source: str = _CLIENT
    ports: tuple[tuple[str, int], ...] = ()


def example(edge: Edge, place: Origin) -> Example | None:
    """None if nothing at `place` decides where requests go, or if no request is found that meets its conditions."""
    tried: list[Example] = []
    for conditions, request in islice(_requests(edge, place), _MOST):
        found = trace(edge, request)
        tried.append(Example(found, any(_is_at(hop.where, conditions.origin) for hop in found.hops)))
        if tried[-1].reaches:
            return tried[-1]
    return tried[0] if tried else None


def _is_at(where: Origin | None, origin: Origin) -> bool:
    return where is not None and where.key == origin.key and where.path[: len(origin.path)] == origin.path


def _requests(edge: Edge, place: Origin) -> Iterator[tuple[_Conditions, Request]]:
    """Over TLS first, and in the end as gRPC clients call."""
    found = [
        (scheme, port, each)
        for each in _nearest(edge, place)
        for scheme, port in each.ports or tuple(_ports(edge)) or (("https", 443), ("http", 80))
    ]
    found.sort(key=lambda one: one[0] != "https")
    for scheme, port, each in found:
        query = "&".join(f"{key}={value}" if key else value for key, value in each.query)
        target = each.path + (f"?{query}" if query else "")
        host = each.host or _any_host(edge)
        yield each, Request(scheme, host, port, target, each.method, each.headers, each.source)
    for scheme, port, each in found:
        if scheme == "https" and not each.query:
            host = each.host or _any_host(edge)
            headers = (*each.headers, ("content-type", "application/grpc"))
            yield each, Request(scheme, host, port, each.path, "POST", headers, each.source, "HTTP/2")


def _ports(edge: Edge) -> Iterator[tuple[str, int]]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            yield listener.protocol.lower(), listener.port


def _any_host(edge: Edge) -> str:
    """A name that leads to a load balancer."""
    records = (record for zone in edge.zones for record in zone.record_sets if record.type == "A")
    names = (record.name.rstrip(".") for record in records)
    return next((name for name in names if name[:1].isalnum()), _SOMEWHERE)


def _nearest(edge: Edge, place: Origin) -> list[_Conditions]:
    """At the place, or around it."""
    found = [*_of_object(edge, place)]
    if place.path[:2] == ("spec", "hosts"):
        host = _host_at(edge, place)
        return [each for each in found if each.host == host]
    depths = [_common(each.origin, place) for each in found]
    deepest = max(depths, default=0)
    if deepest < min(_DEPTH, max(len(place.path), 2)):
        return []
    return [each for each, depth in zip(found, depths, strict=True) if depth == deepest]


def _common(origin: Origin, place: Origin) -> int:
    pairs = enumerate(zip(origin.path, place.path, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(origin.path), len(place.path)))


def _host_at(edge: Edge, place: Origin) -> str:
    service = edge.objects.get(istio.VirtualService, place.key.namespace, place.key.name)
    index = place.path[2] if len(place.path) > 2 else 0
    hosts = service.spec.hosts if service else ()
    return _host(hosts[index]) if isinstance(index, int) and index < len(hosts) else ""


def _of_object(edge: Edge, place: Origin) -> Iterator[_Conditions]:
    for balancer in edge.load_balancers:
        if not isinstance(balancer, NetworkLoadBalancer):
            yield from _rules(balancer, place)
    for gateway in edge.gateways.values():
        yield from _routes(gateway, place)


# --- rules of a load balancer ------------------------------------------------------------------------------------


def _rules(balancer: alb.LoadBalancer, place: Origin) -> Iterator[_Conditions]:
    for listener in balancer.listeners:
        for rule in listener.rules:
            if rule.origin is not None and rule.origin.key == place.key:
                yield from _of_rule(rule, rule.origin, listener)


def _of_rule(rule: alb.Rule, origin: Origin, listener: alb.Listener) -> Iterator[_Conditions]:
    host, path, method, source = "", "/", "GET", _CLIENT
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    for condition in rule.conditions:
        match condition:
            case alb.HostHeader(values=(first, *_)):
                host = _filled(first, "any")
            case alb.PathPattern(values=(first, *_)):
                path = _filled(first, "")
            case alb.HttpHeader(name=name, values=(first, *_)):
                headers.append((name, _filled(first, "any")))
            case alb.HttpRequestMethod(values=(first, *_)):
                method = first
            case alb.QueryString(values=(pair, *_)):
                query.append((_filled(pair.key or "", "any"), _filled(pair.value, "any")))
            case alb.SourceIp(values=(first, *_)):
                source = str(ip_network(first, strict=False)[0])
            case alb.HostHeader(regex_values=(first, *_)):
                host = _shortest(first, anywhere=True) or ""
            case alb.PathPattern(regex_values=(first, *_)):
                path = _shortest(first, path=True, anywhere=True) or "/"
            case alb.HttpHeader(name=name, regex_values=(first, *_)):
                headers.append((name, _shortest(first, anywhere=True) or ""))
            case _:
                return
    ports = ((listener.protocol.lower(), listener.port),)
    yield _Conditions(origin, host, path or "/", method, tuple(headers), tuple(query), source, ports)


def _filled(glob: str, text: str) -> str:
    """A text that a pattern with wildcards matches."""
    return glob.replace("*", text).replace("?", "x")


# --- routes and servers of a gateway -----------------------------------------------------------------------------


def _routes(gateway: Gateway, place: Origin) -> Iterator[_Conditions]:
    for listener in gateway.listeners:
        for chain in listener.filter_chains:
            if not isinstance(chain.filter, Http):
                continue
            for virtual_host in gateway.routes[chain.filter.routes].virtual_hosts:
                domains = tuple(dict.fromkeys(_host(each.partition(":")[0]) for each in virtual_host.domains))
                if chain.origin is not None and chain.origin.key == place.key:
                    yield from (_Conditions(chain.origin, domain) for domain in domains)
                for route in virtual_host.routes:
                    if route.origin is not None and route.origin.key == place.key:
                        yield from (_of_route(route, route.origin, domain) for domain in domains if _is_simple(route))


def _host(domain: str) -> str:
    return "" if domain == "*" else domain.replace("*", "any")


def _is_simple(route: Route) -> bool:
    """Whether a text is known for each of its conditions."""
    match = route.match
    values = [each.value for each in match.headers if not each.invert] + [each.value for each in match.query]
    return _text(match.path, path=True) is not None and all(_text(each) is not None for each in values)


def _of_route(route: Route, origin: Origin, domain: str) -> _Conditions:
    # What must not match is left out: an absent header counts as empty.
    headers = {each.name: _text(each.value) or "" for each in route.match.headers if not each.invert}
    query = tuple((each.name, _text(each.value) or "") for each in route.match.query)
    method, host = headers.pop(":method", "GET"), headers.pop(":authority", domain)
    scheme = headers.pop(":scheme", "")
    ports = ((scheme, 443 if scheme == "https" else 80),) if scheme else ()
    path = _text(route.match.path, path=True) or "/"
    return _Conditions(origin, host, path, method, tuple(headers.items()), query, ports=ports)


def _text(match: ValueMatch, *, path: bool = False) -> str | None:
    """A text that matches; None if none is found."""
    match match:
        case Present():
            return "any"
        case Regex(pattern):
            return _shortest(pattern, path=path)
        case Exact(value):
            return value
        case _:
            return match.value


def _shortest(pattern: str, *, path: bool = False, anywhere: bool = False) -> str | None:
    """The shortest text that a regular expression matches, as a whole or anywhere in it. Paths begin with a slash."""
    from lockgate.resources.languages import TooLarge, Unsupported, classes, containing, matching, prefix

    try:
        language = containing(pattern) if anywhere else matching(pattern)
        found = classes([language], within=prefix("/") if path else None)
    except (TooLarge, Unsupported):
        return None
    return next((each.texts[0] for each in found if each.members), None)
