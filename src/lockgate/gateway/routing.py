"""Predicts what a gateway does with a request, without a process.

It evaluates the same `Gateway` value that Envoy is programmed from, in Envoy's order: listener, filter chain by SNI,
filters, virtual host, routes. Tests compare its predictions with a real Envoy.

Source: Envoy's `source/common/router/config_impl.cc` and `source/common/http/conn_manager_utility.cc`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TypeAlias, assert_never

from lockgate.gateway import compare
from lockgate.gateway.model import (
    AddHeader,
    DirectResponse,
    DownstreamTls,
    Endpoint,
    FilterChain,
    Forward,
    Gateway,
    HeaderChanges,
    Http,
    Listener,
    Redirect,
    RegexRewrite,
    Route,
    RouteConfiguration,
    SetHeader,
    Tcp,
    VirtualHost,
    WeightedCluster,
)
from lockgate.gateway.paths import Moved, canonical
from lockgate.gateway.policies.evaluate import Ruling, Seen, rule_on
from lockgate.gateway.regex import rewritten


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the gateway receives it.

    `port` is the listener's as Istio sees it (8443); `target` is path and query; header names may be in any case. `sni`
    None is a TLS connection without SNI; `peer` is the peer's address.
    """

    port: int
    authority: str
    target: str = "/"
    tls: bool = False
    sni: str | None = None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    peer: str = "127.0.0.1"

    def header(self, name: str) -> str | None:
        """The header's value. Repeated headers are joined with commas, as Envoy compares them."""
        values = [value for own, value in self.headers if own.lower() == name]
        return ",".join(values) if values else None


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
    """The gateway generates the response. `flag` is empty if the configuration defines the response."""

    status: int
    flag: str = ""
    location: str = ""
    body: bytes = b""


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
    rulings: tuple[Ruling, ...] = field(default=())


def decide(gateway: Gateway, request: Request, *, credentials: Collection[str] | None = None) -> Decision:
    """The outcome of a request, and why. Random choices (weights, fault percentages) stay open in the outcome.

    `credentials` are the SDS names that have material; if None, all have material.
    """
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
            return _http(gateway, request, listener, chain, gateway.routes[name])
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


def host_of(authority: str) -> str:
    """A Host header without its port."""
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdigit() and not authority.endswith("]") else authority


def client_address(gateway: Gateway, request: Request) -> str:
    """The address of the client. With trusted proxies it is the address that the outermost of them added to
    X-Forwarded-For. Source: Envoy's `source/common/http/utility.cc`, getLastAddressFromXFF."""
    entries = (request.header("x-forwarded-for") or "").split(",")
    trusted = gateway.http.trusted_proxies
    if not trusted or len(entries) < trusted:
        return request.peer
    try:
        return str(ip_address(entries[-trusted].strip(" \t")))
    except ValueError:
        return request.peer


def _tcp(
    gateway: Gateway, request: Request, listener: Listener, chain: FilterChain, clusters: tuple[WeightedCluster, ...]
) -> Decision:
    seen = Seen(request.peer, request.peer, request.port, server_name=request.sni or "")
    rulings: list[Ruling] = []
    for each in gateway.filters.network if gateway.filters else ():
        rulings.append(rule_on(each, seen))
        if not rulings[-1].allowed:
            closed = Closed("", "an AuthorizationPolicy refuses the connection")
            return Decision(closed, listener, chain, rulings=tuple(rulings))
    return Decision(_carried(gateway, clusters), listener, chain, rulings=tuple(rulings))


def _carried(gateway: Gateway, clusters: tuple[WeightedCluster, ...]) -> Outcome:
    if all(part.cluster not in gateway.clusters for part in clusters):
        return Closed("NC", "the cluster of the route does not exist")
    return Carried(clusters)


@dataclass(frozen=True, slots=True)
class _Received:
    """A request as Envoy's connection manager passes it to the router. `forwarded` is X-Forwarded-Proto."""

    request: Request
    target: str
    scheme: str
    forwarded: str


def _received(gateway: Gateway, request: Request, target: str) -> _Received:
    """X-Forwarded-Proto is the connection's scheme, unless proxies before the gateway are trusted: then the header is
    kept, and if valid, it is the scheme."""
    connection = "https" if request.tls else "http"
    named = request.header("x-forwarded-proto") if gateway.http.trusted_proxies else None
    scheme = named if named in ("http", "https") else connection
    return _Received(request, target, scheme, connection if named is None else named)


def _http(
    gateway: Gateway,
    request: Request,
    listener: Listener,
    chain: FilterChain,
    configuration: RouteConfiguration,
) -> Decision:
    target = canonical(request.target, gateway.http)
    if target is None or (gateway.http.underscores == "REJECT_REQUEST" and _underscored(request)):
        return Decision(Answered(400), listener, chain, configuration)
    if isinstance(target, Moved):
        return Decision(Answered(307, location=target.target), listener, chain, configuration)
    if gateway.http.underscores == "DROP_HEADER" and _underscored(request):
        request = replace(request, headers=tuple(pair for pair in request.headers if "_" not in pair[0]))
    received = _received(gateway, request, target)
    rulings = _filtered(gateway, received)
    if rulings and not rulings[-1].allowed:
        refused = Answered(403, body=b"RBAC: access denied")
        return Decision(refused, listener, chain, configuration, rulings=rulings)
    decision = _routed(gateway, received, configuration)
    return replace(decision, listener=listener, chain=chain, configuration=configuration, rulings=rulings)


def _filtered(gateway: Gateway, received: _Received) -> tuple[Ruling, ...]:
    """What the filters decide, up to the first that refuses the request."""
    request = received.request
    pseudo = {":method": request.method, ":authority": request.authority, ":scheme": received.scheme}
    known = {**pseudo, ":path": received.target, "x-forwarded-proto": received.forwarded}
    seen = Seen(
        peer=request.peer,
        client=client_address(gateway, request),
        port=request.port,
        server_name=request.sni or "",
        path=received.target,
        header=lambda name: known[name] if name in known else request.header(name),
    )
    rulings: list[Ruling] = []
    for each in gateway.filters.http if gateway.filters else ():
        rulings.append(rule_on(each, seen))
        if not rulings[-1].allowed:
            break
    return tuple(rulings)


def _routed(gateway: Gateway, received: _Received, configuration: RouteConfiguration) -> Decision:
    request, target = received.request, received.target
    host = virtual_host(configuration, request.authority)
    if host is None or not received.forwarded:  # Envoy routes nothing whose X-Forwarded-Proto is empty
        return Decision(Answered(404, "NR"))
    if host.require_tls and received.forwarded != "https":
        return Decision(Answered(301, location=f"https://{request.authority}{target}"), virtual_host=host)
    passed: list[Passed] = []
    for route in host.routes:
        reason = compare.mismatch(
            route.match, request.method, request.authority, received.scheme, target, request.header
        )
        if reason is None:
            outcome = _outcome(gateway, received, route)
            return Decision(outcome, virtual_host=host, route=route, passed=tuple(passed))
        passed.append(Passed(route, reason))
    return Decision(Answered(404, "NR"), virtual_host=host, passed=tuple(passed))


def _underscored(request: Request) -> bool:
    return any("_" in name for name, _ in request.headers)


def _outcome(gateway: Gateway, received: _Received, route: Route) -> Outcome:
    if route.abort and route.abort.percent >= 100 and route.abort.http_status:
        return Answered(route.abort.http_status, "FI")
    match route.action:
        case Forward():
            return _forwarded(gateway, received, route, route.action)
        case Redirect():
            return Answered(route.action.status, location=_location(route.action, route, received))
        case DirectResponse(status, body):
            return Answered(status, body=body)
        case _:
            assert_never(route.action)


def _forwarded(gateway: Gateway, received: _Received, route: Route, action: Forward) -> Outcome:
    known = [part for part in action.clusters if part.cluster in gateway.clusters]
    if not known:
        return Answered(503, "NC")
    upstreams = tuple(_upstream(gateway, received, route, action, part) for part in known)
    if all(_without_endpoints(gateway, one) for one in upstreams):
        return Answered(503, "UH")
    return Forwarded(upstreams)


def _without_endpoints(gateway: Gateway, upstream: Upstream) -> bool:
    discovery = gateway.clusters[upstream.cluster].discovery
    return discovery == "ORIGINAL_DST" or (discovery == "EDS" and not upstream.endpoints)


def _upstream(gateway: Gateway, received: _Received, route: Route, action: Forward, part: WeightedCluster) -> Upstream:
    request = received.request
    rewritten = _rewritten(action, route, received.target)
    headers = [(name.lower(), value) for name, value in request.headers]
    headers = [(name, value) for name, value in headers if name != "x-forwarded-proto"]
    headers.append(("x-forwarded-proto", received.forwarded))
    _append(headers, "x-forwarded-for", request.peer)
    if action.rewrite is not None:
        headers.append(("x-envoy-original-path", received.target))
    several = len(action.clusters) > 1
    if several:
        _change(headers, part.request_headers)
    _change(headers, route.request_headers)
    return Upstream(
        cluster=part.cluster,
        weight=part.weight,
        endpoints=gateway.endpoints.get(part.cluster) or gateway.clusters[part.cluster].dns_endpoints,
        authority=action.host_rewrite or (part.host_rewrite if several else "") or request.authority,
        target=rewritten,
        headers=tuple(headers),
    )


def _rewritten(action: Forward, route: Route, target: str) -> str:
    path, mark, query = target.partition("?")
    match action.rewrite:
        case None:
            return target
        case RegexRewrite(pattern, substitution):
            return rewritten(pattern, substitution, path) + mark + query
        case prefix:
            return prefix + path[compare.consumed(route.match.path, path) :] + mark + query


def _location(action: Redirect, route: Route, received: _Received) -> str:
    final = action.scheme or received.scheme
    port = f":{action.port}" if action.port is not None else ""
    host = action.host or _redirect_host(received, final, bool(port))
    path, mark, query = received.target.partition("?")
    if action.prefix:
        path = action.prefix + path[compare.consumed(route.match.path, path) :]
    elif action.path:
        path = action.path
        if "?" in path:
            mark = query = ""
    return f"{final}://{host}{port}{path}{mark}{query}"


def _redirect_host(received: _Received, final: str, other_port: bool) -> str:
    """The requested Host, without a port that would be wrong for the new scheme."""
    authority = received.request.authority
    host = host_of(authority)
    default = (received.forwarded, authority[len(host) + 1 :]) in (("http", "80"), ("https", "443"))
    return host if other_port or (final != received.forwarded and default) else authority


def _change(headers: list[tuple[str, str]], changes: HeaderChanges) -> None:
    for name in changes.remove:
        headers[:] = [pair for pair in headers if pair[0] != name]
    for change in changes.put:
        match change:
            case SetHeader(name, value):
                headers[:] = [pair for pair in headers if pair[0] != name]
                headers.append((name, value))
            case AddHeader(name, value):
                _append(headers, name, value)
            case _:
                assert_never(change)


def _append(headers: list[tuple[str, str]], name: str, value: str) -> None:
    for index, (own, earlier) in enumerate(headers):
        if own == name:
            headers[index] = (own, f"{earlier},{value}")
            return
    headers.append((name, value))
