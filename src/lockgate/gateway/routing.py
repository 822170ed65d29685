"""Predicts what a gateway does with a request, without a process.

It evaluates the same `Gateway` value that Envoy is programmed from, in Envoy's order: listener, filter chain by SNI,
filters, virtual host, routes. Tests compare its predictions with a real Envoy.

Source: Envoy's `source/common/router/config_impl.cc` and `source/common/http/conn_manager_utility.cc`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, assert_never

from lockgate.gateway import compare
from lockgate.gateway.forwarding import host_of, location, rewritten_target, sent_headers
from lockgate.gateway.model import (
    Cors,
    DirectResponse,
    DownstreamTls,
    Endpoint,
    Exact,
    FilterChain,
    Forward,
    Gateway,
    Http,
    Listener,
    Redirect,
    Route,
    RouteConfiguration,
    Tcp,
    VirtualHost,
    WeightedCluster,
)
from lockgate.gateway.paths import Moved, canonical
from lockgate.gateway.policies.filtering import AnyRuling, filtered, filtered_bytes
from lockgate.gateway.rate_limits import GlobalLimit, Limit, Met, Place, Reached, met
from lockgate.gateway.request import Received, Request, received

# --- outcomes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """No listener has this port."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is closed without a response; `flag` is Envoy's response flag."""

    flag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The gateway generates the response. `flag` is empty if the configuration defines the response.

    A gRPC client gets a `local` reply as 200 instead of `status`, with `grpc_status`, and the body as its message. The
    answer to a preflight is none: the CORS filter writes it itself.
    """

    status: int
    flag: str = ""
    location: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    grpc_status: int | None = None
    local: bool = True


@dataclass(frozen=True, slots=True)
class Upstream:
    """One cluster that may get the request, and the request as its backend receives it."""

    cluster: str
    weight: int
    endpoints: tuple[Endpoint, ...]
    authority: str
    target: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Forwarded. With several upstreams, their weights decide."""

    upstreams: tuple[Upstream, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """Forwarded as bytes, without parsing HTTP."""

    clusters: tuple[WeightedCluster, ...]


TLS_ON_PLAIN = "TLS on a port that speaks plain HTTP"

Outcome: TypeAlias = NotAccepted | Closed | Answered | Forwarded | Carried


@dataclass(frozen=True, slots=True)
class Passed:
    """A route that did not match, and the condition that failed."""

    route: Route
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The path of a request through the gateway. Steps that it does not reach are None."""

    outcome: Outcome
    listener: Listener | None = None
    chain: FilterChain | None = None
    configuration: RouteConfiguration | None = None
    virtual_host: VirtualHost | None = None
    route: Route | None = None
    passed: tuple[Passed, ...] = field(default=())
    rulings: tuple[AnyRuling, ...] = field(default=())
    limits: tuple[Limit, ...] = field(default=())


def decide(
    gateway: Gateway, request: Request, *, credentials: Collection[str] | None = None, now: float | None = None
) -> Decision:
    """The outcome of a request, and why. Random choices (weights, fault percentages) stay open in the outcome, and so
    does what the `limits` of rates refuse, which depends on other requests or on a service.

    `credentials` are the SDS names that have material; if None, all have material. `now` is Unix time, by which JWTs
    expire; if None, times are not checked.
    """
    decision = _decide(gateway, request, credentials, now)
    outcome = decision.outcome
    if isinstance(outcome, Answered) and outcome.local and outcome.grpc_status is None and _is_grpc(request):
        return replace(decision, outcome=replace(outcome, grpc_status=GRPC_STATUS.get(outcome.status, UNKNOWN)))
    return decision


# Source: Envoy's `source/common/grpc/status.cc` (httpToGrpcStatus) and `common.cc` (hasGrpcContentType).
UNKNOWN: Final = 2
GRPC_STATUS: Final[Mapping[int, int]] = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def _is_grpc(request: Request) -> bool:
    content = request.header("content-type") or ""
    return content == "application/grpc" or content.startswith("application/grpc+")


def _decide(gateway: Gateway, request: Request, credentials: Collection[str] | None, now: float | None) -> Decision:
    listener = next((one for one in gateway.listeners if one.port == request.port), None)
    if listener is None:
        return Decision(NotAccepted())
    chain = filter_chain(listener, request.sni if request.tls else None)
    if chain is None:
        reason = "no server of this port has a host for that SNI" if request.sni else "the client sent no SNI"
        return Decision(Closed("NR", reason), listener)
    if chain.tls and not request.tls:
        return Decision(Closed("", "plain text on a port that speaks TLS"), listener, chain)
    if request.tls and chain.tls is None and isinstance(chain.filter, Http):
        return Decision(Closed("", TLS_ON_PLAIN), listener, chain)
    if (
        chain.tls
        and credentials is not None
        and any(name not in credentials for name in required_credentials(chain.tls))
    ):
        missing = ", ".join(name for name in required_credentials(chain.tls) if name not in credentials)
        return Decision(Closed("", f"the certificate {missing} does not exist yet"), listener, chain)
    match chain.filter:
        case Tcp(clusters):
            return _tcp(gateway, request, listener, chain, clusters)
        case Http(name):
            return _http(gateway, request, listener, chain, gateway.routes[name], now)
        case _:
            assert_never(chain.filter)


def required_credentials(tls: DownstreamTls) -> tuple[str, ...]:
    """The SDS names without which a TLS chain cannot complete a handshake."""
    return (*tls.credentials, *((tls.validation.credential,) if tls.validation else ()))


def filter_chain(listener: Listener, sni: str | None) -> FilterChain | None:
    """The chain with the most specific server name: exact, then the longest wildcard, then a chain without any."""
    by_name = {name: chain for chain in listener.filter_chains for name in chain.server_names}
    if sni:
        name = sni.lower()
        if name in by_name:
            return by_name[name]
        labels = name.split(".")
        for start in range(1, len(labels)):
            if chain := by_name.get("*." + ".".join(labels[start:])):
                return chain
    return next((chain for chain in listener.filter_chains if not chain.server_names), None)


def virtual_host(configuration: RouteConfiguration, authority: str) -> VirtualHost | None:
    """The virtual host for a Host header without its port: exact, then the longest suffix, then ``*``."""
    by_domain = {domain: host for host in configuration.virtual_hosts for domain in host.domains}
    name = host_of(authority).lower()
    if name in by_domain:
        return by_domain[name]
    suffixes = [domain for domain in by_domain if domain.startswith("*") and domain != "*"]
    fitting = [d for d in suffixes if name.endswith(d[1:]) and len(name) > len(d) - 1]
    return by_domain[max(fitting, key=len)] if fitting else by_domain.get("*")


def _tcp(
    gateway: Gateway, request: Request, listener: Listener, chain: FilterChain, clusters: tuple[WeightedCluster, ...]
) -> Decision:
    rulings = filtered_bytes(gateway, request)
    if rulings and not rulings[-1].allowed:
        closed = Closed("", "a policy refuses the connection")
        return Decision(closed, listener, chain, rulings=rulings)
    return Decision(_carried(gateway, clusters), listener, chain, rulings=rulings)


def _carried(gateway: Gateway, clusters: tuple[WeightedCluster, ...]) -> Outcome:
    if all(part.cluster not in gateway.clusters for part in clusters):
        return Closed("NC", "the cluster of the route does not exist")
    return Carried(clusters)


def _http(
    gateway: Gateway,
    request: Request,
    listener: Listener,
    chain: FilterChain,
    configuration: RouteConfiguration,
    now: float | None,
) -> Decision:
    target = canonical(request.target, gateway.http)
    if target is None or (gateway.http.underscores == "REJECT_REQUEST" and _underscored(request)):
        return Decision(Answered(400), listener, chain, configuration)
    if isinstance(target, Moved):
        return Decision(Answered(307, location=target.target), listener, chain, configuration)
    if gateway.http.underscores == "DROP_HEADER" and _underscored(request):
        request = replace(request, headers=tuple(pair for pair in request.headers if "_" not in pair[0]))
    came = received(gateway.http.trusted_proxies, request, target)
    passed_on = filtered(gateway, came, now, routed=_has_route(gateway, came, configuration))
    decision = _routed(gateway, passed_on.received, configuration, passed_on.payload)
    decision = replace(decision, listener=listener, chain=chain, configuration=configuration, rulings=passed_on.rulings)
    limits = _limits(gateway, passed_on.received, decision) if gateway.patches else ()
    if passed_on.refusal is not None:
        headers = (("www-authenticate", passed_on.refusal.challenge),) if passed_on.refusal.challenge else ()
        refused = Answered(passed_on.refusal.status, body=passed_on.refusal.body, headers=headers)
        first = tuple(each for each in limits if each.place is Place.FIRST)
        return _limited(Decision(refused, listener, chain, configuration, rulings=passed_on.rulings), first)
    return _limited(decision, limits)


def _limits(gateway: Gateway, received: Received, decision: Decision) -> tuple[Met, ...]:
    assert decision.listener and decision.chain and decision.configuration, "a request over HTTP has reached them"
    route = decision.route
    reached = Reached(decision.listener, decision.chain, decision.configuration, decision.virtual_host, route)
    answered = route is not None and _before_router(received, route) is not None
    last = Place.MIDDLE if answered else Place.LAST
    return tuple(each for each in met(gateway, reached, received) if each.place <= last)


def _limited(decision: Decision, limits: tuple[Met, ...]) -> Decision:
    """A service of limits that cannot answer ends a request if it may not pass then."""
    found: list[Limit] = []
    for each in limits:
        found.append(each.limit)
        if isinstance(each.limit, GlobalLimit) and each.limit.refuses:
            failed = Answered(each.limit.on_failure or 500, "RLSE")
            return replace(decision, outcome=failed, limits=tuple(found))
    return replace(decision, limits=tuple(found))


def _routed(
    gateway: Gateway,
    received: Received,
    configuration: RouteConfiguration,
    payload: Mapping[str, Any] | None,
) -> Decision:
    request, target = received.request, received.target
    host = virtual_host(configuration, request.authority)
    if host is None or not received.forwarded:  # Envoy routes nothing whose X-Forwarded-Proto is empty
        return Decision(Answered(404, "NR"))
    if host.require_tls and received.forwarded != "https":
        return Decision(Answered(301, location=f"https://{request.authority}{target}"), virtual_host=host)
    passed: list[Passed] = []
    for route in host.routes:
        reason = compare.mismatch(
            route.match, request.method, request.authority, received.scheme, target, request.header, payload
        )
        if reason is None:
            outcome = _outcome(gateway, received, route)
            return Decision(outcome, virtual_host=host, route=route, passed=tuple(passed))
        passed.append(Passed(route, reason))
    return Decision(Answered(404, "NR"), virtual_host=host, passed=tuple(passed))


def _has_route(gateway: Gateway, received: Received, configuration: RouteConfiguration) -> bool:
    """Whether Envoy has a route before filters: a redirect to https counts. Asked only where a filter depends on it."""
    if not gateway.filters or not gateway.filters.servers:
        return True
    outcome = _routed(gateway, received, configuration, None).outcome
    return not (isinstance(outcome, Answered) and outcome.flag == "NR")


def _underscored(request: Request) -> bool:
    return any("_" in name for name, _ in request.headers)


def _outcome(gateway: Gateway, received: Received, route: Route) -> Outcome:
    if (answered := _before_router(received, route)) is not None:
        return answered
    match route.action:
        case Forward():
            return _forwarded(gateway, received, route, route.action)
        case Redirect():
            return Answered(route.action.status, location=location(route.action, route, received))
        case DirectResponse(status, body):
            return Answered(status, body=body)
        case _:
            assert_never(route.action)


def _before_router(received: Received, route: Route) -> Answered | None:
    """The answer of the filters behind the policies: faults, then preflights."""
    abort, body = route.abort, b"fault filter abort"
    if abort and abort.percent >= 100 and abort.http_status:
        return Answered(abort.http_status, "FI", body=body)
    if abort and abort.percent >= 100 and abort.grpc_status is not None:
        return Answered(200, "FI", body=body, grpc_status=abort.grpc_status if _is_grpc(received.request) else None)
    return _preflight(received.request, route.cors) if route.cors and isinstance(route.action, Forward) else None


def _preflight(request: Request, cors: Cors) -> Answered | None:
    """Source: Envoy's `source/extensions/filters/http/cors/cors_filter.cc`."""
    origin, method = request.header("origin"), request.header("access-control-request-method")
    if request.method != "OPTIONS" or not origin or not method:
        return None
    allowed = _allows(cors, origin)
    if not allowed and not cors.answer_all:
        return None
    asked = request.header("access-control-request-headers") or ""
    headers = {
        "access-control-allow-origin": origin if allowed else "",
        "access-control-allow-credentials": "true" if cors.allow_credentials else "",
        "access-control-allow-methods": method if cors.allow_methods == "*" else cors.allow_methods,
        "access-control-allow-headers": asked if cors.allow_headers == "*" else cors.allow_headers,
        "access-control-max-age": cors.max_age,
    }
    return Answered(200, headers=tuple((name, value) for name, value in headers.items() if value), local=False)


def _allows(cors: Cors, origin: str) -> bool:
    return any(each == Exact("*") or compare.holds(each, origin) for each in cors.allow_origins)


def _cors_headers(request: Request, cors: Cors | None) -> tuple[tuple[str, str], ...]:
    """What the filter adds to answers of backends, and of the router."""
    origin = request.header("origin")
    if cors is None or not origin or not _allows(cors, origin):
        return ()
    headers = {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true" if cors.allow_credentials else "",
        "access-control-expose-headers": cors.expose_headers,
    }
    return tuple((name, value) for name, value in headers.items() if value)


def _forwarded(gateway: Gateway, received: Received, route: Route, action: Forward) -> Outcome:
    known = [part for part in action.clusters if part.cluster in gateway.clusters]
    headers = _cors_headers(received.request, route.cors)
    if not known:
        return Answered(503, "NC", headers=headers)
    upstreams = tuple(_upstream(gateway, received, route, action, part) for part in known)
    if any(_control(one.target) for one in upstreams):  # the removal of a token's parameter decodes the others
        return Answered(503, body=b"invalid header value for: :path", headers=headers)
    if all(_without_endpoints(gateway, one) for one in upstreams):
        return Answered(503, "UH", headers=headers)
    return Forwarded(upstreams)


def _control(target: str) -> bool:
    return any((char < " " and char != "\t") or char == "\x7f" for char in target)


def _without_endpoints(gateway: Gateway, upstream: Upstream) -> bool:
    discovery = gateway.clusters[upstream.cluster].discovery
    return discovery == "ORIGINAL_DST" or (discovery == "EDS" and not upstream.endpoints)


def _upstream(gateway: Gateway, received: Received, route: Route, action: Forward, part: WeightedCluster) -> Upstream:
    several = len(action.clusters) > 1
    return Upstream(
        cluster=part.cluster,
        weight=part.weight,
        endpoints=gateway.endpoints.get(part.cluster) or gateway.clusters[part.cluster].dns_endpoints,
        authority=action.host_rewrite or (part.host_rewrite if several else "") or received.request.authority,
        target=rewritten_target(action, route, received.target),
        headers=sent_headers(action, route, part, received),
    )
