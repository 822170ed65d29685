"""Redirects to https behind a load balancer that has ended TLS: the client comes back to the same redirect."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import Connection, connections
from lockgate.edge.edge import Edge
from lockgate.gateway.model import Redirect, Route, VirtualHost
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault, Origin, Remove

CODES = (codes.REDIRECT_LOOP, codes.REDIRECT_ROUTE_LOOP)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        if each.routes is None or not each.encrypted_for_clients:
            continue
        looping = [host for host in each.routes.virtual_hosts if _loops(each, host)]
        if looping and (place := _server(each)) is not None:
            named = [name for name in dict.fromkeys(map(_named, looping)) if name != "*"]
            hosts = ", ".join(named[:3]) or "any host"
            fault = codes.REDIRECT_LOOP.at(place, balancer=each.balancer.name, hosts=hosts)
            # Where clients also come with plain HTTP, somebody has to redirect them in another place.
            plain = any(entrance.protocol == "HTTP" for entrance in each.entrances)
            yield fault if plain else fault.fixed_by(Remove(place))
        loops = set(map(id, looping))
        returning = edge.remembered.each("returning", _returning, each.routes.virtual_hosts, each.routes.name)
        for host, routes in zip(each.routes.virtual_hosts, returning, strict=True):
            if routes and id(host) not in loops:
                for route in routes:
                    yield codes.REDIRECT_ROUTE_LOOP.at(route.origin, balancer=each.balancer.name, hosts=_named(host))


def _loops(each: Connection, host: VirtualHost) -> bool:
    """The gateway believes X-Forwarded-Proto only of proxies that it trusts; else its own connection counts."""
    trusted = each.gateway.http.trusted_proxies if each.gateway else 0
    return host.require_tls and not trusted and each.group.protocol == "HTTP"


def _server(each: Connection) -> Origin | None:
    chain = each.chain
    if chain is None or chain.origin is None:
        return None
    return chain.origin.under("tls", "httpsRedirect")


def _returning(host: VirtualHost, _routes: str) -> tuple[Route, ...]:
    return tuple(route for route in host.routes if _returns(route, host))


def _returns(route: Route, host: VirtualHost) -> bool:
    """Whether a redirect leads every request of an https client to its own URL."""
    action, match = route.action, route.match
    if not isinstance(action, Redirect) or match.headers or match.query:
        return False
    elsewhere = action.path or action.prefix or action.port not in (None, 443)
    return action.scheme == "https" and not elsewhere and action.host in ("", *host.domains)


def _named(host: VirtualHost) -> str:
    return host.domains[0].partition(":")[0]
