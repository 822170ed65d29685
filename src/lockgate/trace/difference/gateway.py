"""The gateway's part of an outcome: the routes of a host as branches, and what each of them does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from lockgate.edge.edge import Edge
from lockgate.gateway import compare, routing
from lockgate.gateway.model import (
    Cluster,
    DirectResponse,
    FilterChain,
    Forward,
    Gateway,
    Http,
    Listener,
    Redirect,
    Route,
    RouteConfiguration,
    Tcp,
    ValueMatch,
    VirtualHost,
)
from lockgate.gateway.rate_limits import is_limit
from lockgate.gateway.request import Request as GatewayRequest
from lockgate.trace.difference.conditions import (
    FALSE,
    TRUE,
)
from lockgate.trace.difference.load_balancer import Arrival
from lockgate.trace.difference.outcomes import Answer, Aspects, fields_of, said, shares
from lockgate.trace.difference.requests import Known, route_formula
from lockgate.trace.difference.tree import Branch
from lockgate.trace.gateway_hops import backend_name, credentials_of, secret_of
from lockgate.trace.model import Where, place

BY = "gateway"
REFUSED = {403: Answer(BY, 403, flag="RBAC: access denied"), 401: Answer(BY, 401, flag="invalid token")}
"""What policies answer, by the status."""


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """The part of a gateway that takes a connection. `aspects` hold for every request on it."""

    gateway: Gateway | None
    aspects: Aspects
    listener: Listener | None = None
    chain: FilterChain | None = None
    configuration: RouteConfiguration | None = None

    @property
    def where(self) -> Where:
        return place(self.chain, self.listener)


@dataclass(frozen=True, slots=True, eq=False)
class TakenRoute:
    """What a route does; without one, what the gateway does."""

    aspects: Aspects
    route: Route | None = None
    where: Where = None
    refused: bool = False  # by a policy


# --- connections -------------------------------------------------------------------------------------------------


def reached(edge: Edge, arrival: Arrival) -> Reached:
    """What `gateway.routing.decide` says of any request on a connection, up to its route configuration."""
    gateway = edge.gateways.get(arrival.leads.workload)
    if gateway is None:
        return Reached(None, {"answer": Answer("load balancer", 502, flag="no Pod of the gateway runs")})
    if arrival.leads.port == gateway.status_port:
        return Reached(gateway, {"answer": Answer(BY, "status port")})
    probe = GatewayRequest(arrival.leads.port, "", tls=arrival.tls, sni=arrival.server_name)
    decision = routing.decide(gateway, probe, credentials=credentials_of(edge, gateway))
    listener, chain = decision.listener, decision.chain
    if isinstance(decision.outcome, routing.NotAccepted):
        return Reached(gateway, _closed("the gateway does not listen on the port"))
    if chain is None or (isinstance(decision.outcome, routing.Closed) and isinstance(chain.filter, Http)):
        why = decision.outcome.reason if isinstance(decision.outcome, routing.Closed) else ""
        return Reached(gateway, _closed(why), listener, chain)
    aspects = dict(_connection(edge, gateway, chain))
    if isinstance(chain.filter, Tcp):
        if isinstance(decision.outcome, routing.Closed):
            aspects |= _closed(decision.outcome.reason)
        aspects["backend"] = shares([(each.weight, backend_name(each.cluster)) for each in chain.filter.clusters])
        aspects["policies of connections"] = gateway.filters.network if gateway.filters else None
        aspects |= dict(fields_of(chain.filter, ("clusters",)))
    return Reached(gateway, aspects, listener, chain, decision.configuration)


def _closed(why: str) -> Aspects:
    return {"answer": Answer(BY, "connection closed", flag=why)}


def _connection(edge: Edge, gateway: Gateway, chain: FilterChain) -> Iterator[tuple[str, object]]:
    if chain.tls:
        presented = [secret_of(edge, gateway, each) for each in chain.tls.credentials]
        yield "gateway certificate", tuple(", ".join(each.names) for each in presented if each)
        yield from ((f"gateway TLS {name}", value) for name, value in fields_of(chain.tls, ("credentials",)))
    for name, value in fields_of(chain, ("filter", "server_names", "tls", "stat_prefix", "origin")):
        yield f"gateway {name}", value
    if isinstance(chain.filter, Http):
        yield from ((f"gateway {name}", value) for name, value in fields_of(chain.filter, ("routes",)))
        yield from ((f"gateway {name}", value) for name, value in fields_of(gateway.http))


def patched(old: Gateway, new: Gateway) -> Iterator[str]:
    """What is not compared of EnvoyFilters that differ."""
    limits, others = [], []
    for one in (old, new):
        limits.append([each for each in one.patches if is_limit(each)])
        others.append([each for each in one.patches if not is_limit(each)])
    if limits[0] != limits[1]:
        yield "rate limits differ: which requests they refuse depends on other requests, or on a service"
    if others[0] != others[1]:
        yield "EnvoyFilters differ: what their patches change is not compared"


def unknown_settings(old: Gateway, new: Gateway) -> Iterator[str]:
    """Fields of a gateway that differ and that nothing here compares."""
    for each in fields(Gateway):
        if each.name not in _KNOWN and getattr(old, each.name) != getattr(new, each.name):
            yield each.name.replace("_", " ")


_KNOWN = frozenset(
    (
        "workload",
        "namespace",
        "listeners",
        "filters",
        "patches",
        "routes",
        "clusters",
        "endpoints",
        "credentials",
        "http",
        "status_port",
        "telemetry",  # moves no request
    )
)


# --- virtual hosts -----------------------------------------------------------------------------------------------


class Hosts:
    """Finds virtual hosts as `gateway.routing.virtual_host` does, for thousands of names."""

    def __init__(self, configuration: RouteConfiguration) -> None:
        self._exact = {domain: host for host in configuration.virtual_hosts for domain in host.domains}
        self._suffixes = {d[1:]: host for d, host in self._exact.items() if d.startswith("*") and d != "*"}
        self._lengths = sorted({len(each) for each in self._suffixes}, reverse=True)

    def find(self, name: str) -> VirtualHost | None:
        if (found := self._exact.get(name)) is not None:
            return found
        for length in self._lengths:
            if len(name) > length and (found := self._suffixes.get(name[-length:])) is not None:
                return found
        return self._exact.get("*")


@dataclass(slots=True)
class Same:
    """Whether virtual hosts of two gateways treat all requests equally, by their values alone."""

    old: Gateway
    new: Gateway
    _clusters: frozenset[str] = field(init=False)
    _known: dict[tuple[int, int], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clusters = frozenset(_changed_clusters(self.old, self.new))

    def __call__(self, old: VirtualHost | None, new: VirtualHost | None) -> bool:
        if old is None or new is None:
            return old is new
        key = id(old), id(new)
        if key not in self._known:
            self._known[key] = self._same(old, new)
        return self._known[key]

    def _same(self, old: VirtualHost, new: VirtualHost) -> bool:
        if old is not new and (old.require_tls != new.require_tls or old.routes != new.routes):
            return False
        return not self._clusters or self._clusters.isdisjoint(_clusters(new))


def _clusters(host: VirtualHost) -> Iterator[str]:
    for route in host.routes:
        if isinstance(route.action, Forward):
            yield from (each.cluster for each in route.action.clusters)
            yield from (each.cluster for each in route.action.mirrors)


def _changed_clusters(old: Gateway, new: Gateway) -> Iterator[str]:
    for name in {*old.clusters, *new.clusters}:
        before, after = old.clusters.get(name), new.clusters.get(name)
        if (before is not after and before != after) or bool(old.endpoints.get(name)) != bool(new.endpoints.get(name)):
            yield name


def asks_for_authority(host: VirtualHost | None) -> tuple[ValueMatch, ...]:
    """What routes ask of the Host header: hosts with the same virtual host may differ by it."""
    routes = host.routes if host is not None else ()
    return tuple(each.value for route in routes for each in route.match.headers if each.name == ":authority")


def asks_for_scheme(host: VirtualHost | None) -> bool:
    """Whether it matters for a host's requests if they come as http or https."""
    return host is not None and (host.require_tls or any(map(_asks_for_scheme, host.routes)))


def _asks_for_scheme(route: Route) -> bool:
    named = any(each.name in (":scheme", "x-forwarded-proto") for each in route.match.headers)
    return named or isinstance(route.action, Redirect)


def branches(
    edge: Edge, at: Reached, arrival: Arrival, host: VirtualHost | None, authority: str, scheme: str
) -> Iterator[Branch[TakenRoute]]:
    """The routes of a host, as they are evaluated. `scheme` is the request's at the load balancer."""
    assert at.gateway is not None
    known = Known.of(at.gateway, arrival, authority, scheme)
    if host is None:
        yield Branch(TRUE, TakenRoute({"answer": Answer(BY, 404, flag="no host")}, where=at.where))
        return
    if host.require_tls and known.scheme != "https":
        moved = Answer(BY, 301, "https (same host, path and query)")
        yield Branch(TRUE, TakenRoute({"answer": moved}, where=at.where))
        return
    for route in host.routes:
        condition = route_formula(route.match, known)
        if condition != FALSE:
            yield Branch(condition, _taken(at.gateway, route, known.scheme))
    yield Branch(TRUE, TakenRoute({"answer": Answer(BY, 404, flag="no route")}, where=at.where))


# --- what a route does -------------------------------------------------------------------------------------------


def _taken(gateway: Gateway, route: Route, forwarded: str) -> TakenRoute:
    aspects: dict[str, object] = {}
    if route.abort and route.abort.percent >= 100 and route.abort.http_status:
        aspects["answer"] = Answer(BY, route.abort.http_status, flag="fault injection")
        return TakenRoute(aspects, route, route.origin)
    match route.action:
        case Redirect() as action:
            aspects["answer"] = _redirect(action, route, forwarded)
        case DirectResponse(status, body):
            aspects["answer"] = Answer(BY, status, body=body.decode(errors="replace"))
        case Forward() as action:
            aspects |= _forwarded(gateway, route, action)
    rest = dict(fields_of(route, ("match", "action", "name", "stat_prefix", "origin")))
    return TakenRoute(aspects | rest, route, route.origin)


def _redirect(action: Redirect, route: Route, forwarded: str) -> Answer:
    port = f":{action.port}" if action.port is not None else ""
    path = "(same path)"
    if action.prefix:
        path = f"{action.prefix} instead of {_consumed(route)}"
    elif action.path:
        path = action.path
    return Answer(BY, action.status, f"{action.scheme or forwarded}://{action.host or '(same host)'}{port}{path}")


def _consumed(route: Route) -> str:
    path = route.match.path
    length = compare.consumed(path, "")
    return f"the first {length} characters" if length else "the whole path"


def _forwarded(gateway: Gateway, route: Route, action: Forward) -> Aspects:
    known = [each for each in action.clusters if each.cluster in gateway.clusters]
    if not known:
        return {"answer": Answer(BY, 503, flag="the destination does not exist")}
    clusters = [gateway.clusters[each.cluster] for each in known]
    if all(_is_empty(gateway, each) for each in clusters):
        return {"answer": Answer(BY, 503, flag="the destination has no endpoints")}
    aspects: dict[str, object] = {"backend": shares([(each.weight, backend_name(each.cluster)) for each in known])}
    if isinstance(action.rewrite, str):
        aspects["path at the backend"] = f"{action.rewrite} instead of {_consumed(route)}"
    elif action.rewrite is not None:
        aspects["path at the backend"] = action.rewrite
    aspects |= dict(fields_of(action, ("clusters", "rewrite")))
    if len(action.clusters) > 1:
        for each in known:
            own = said(dict(fields_of(each, ("cluster", "weight"))))
            if own != "none":
                aspects[f"changes for {backend_name(each.cluster)}"] = own
    for cluster in clusters:
        aspects[f"connection to {backend_name(cluster.name)}"] = dict(_settings(cluster)) or None
    return aspects


def _is_empty(gateway: Gateway, cluster: Cluster) -> bool:
    if cluster.discovery == "ORIGINAL_DST":
        return True
    return cluster.discovery == "EDS" and not gateway.endpoints.get(cluster.name)


def _settings(cluster: Cluster) -> Iterator[tuple[str, object]]:
    return fields_of(cluster, ("name", "origin", "dns_endpoints", "destination_rule"))
