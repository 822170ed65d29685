"""Walks a request through the edge: one hop after another, until one ends the request.

Each step returns hops and either what the next one needs, or an `Ending`. The decisions are those of the rooms below:
`dns.answer`, `loadbalancer.routing`, `gateway.routing`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, TypeVar
from urllib.parse import urljoin

from lockgate.edge.edge import Edge
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.trace import gateway_hops, load_balancer_hops, name_hops, network_hops, target_hops
from lockgate.trace.model import BadUrl, Ending, Hop, Request, Trace

Result = TypeVar("Result")
Reached: TypeAlias = LoadBalancer | NetworkLoadBalancer | load_balancer_hops.ToTargets | target_hops.AtGateway | Ending

MOST_REDIRECTS = 20  # what browsers follow


def trace(edge: Edge, request: Request, *, follow: bool = False) -> Trace:
    """What the edge does with a request and, with `follow`, with the requests that redirects cause."""
    found = _walk(edge, request)
    if not follow or not found.ending.location:
        return found
    seen = [request.url]
    chain = [found]
    while location := chain[-1].ending.location:
        target = _redirected(chain[-1].request, location)
        if target is None:
            break
        if target.url in seen or len(seen) > MOST_REDIRECTS:
            chain[-1] = replace(chain[-1], ending=_loop(chain, target, seen))
            break
        seen.append(target.url)
        chain.append(_walk(edge, target))
    last = chain.pop()
    while chain:
        last = replace(chain.pop(), followed=last)
    return last


def _walk(edge: Edge, request: Request) -> Trace:
    hops: list[Hop] = []
    ending = _ending(edge, request, hops)
    return Trace(request, tuple(hops), ending)


def _ending(edge: Edge, request: Request, hops: list[Hop]) -> Ending:
    """Walks until something ends the request, and appends every hop to `hops`."""
    entrance: Reached = _taken(hops, name_hops.resolve(edge, request))
    if isinstance(entrance, NetworkLoadBalancer):
        entrance = _taken(hops, network_hops.through(edge, entrance, request))
    if isinstance(entrance, LoadBalancer):
        entrance = _taken(hops, load_balancer_hops.decide(edge, entrance, request))
    if isinstance(entrance, load_balancer_hops.ToTargets):
        entrance = _taken(hops, target_hops.arrive(edge, entrance))
    if isinstance(entrance, target_hops.AtGateway):
        entrance = _taken(hops, gateway_hops.decide(edge, entrance, request.now))
    assert isinstance(entrance, Ending)
    return entrance


def _taken(hops: list[Hop], step: tuple[tuple[Hop, ...], Result]) -> Result:
    found, result = step
    hops += found
    return result


def _redirected(request: Request, location: str) -> Request | None:
    """The request that a client sends next; None for a location that is not HTTP."""
    try:
        url = urljoin(request.url, location)
        host = tuple(pair for pair in request.headers if pair[0].lower() != "host")
        made = Request.of(url, method=request.method, headers=host, source=request.source)
    except (BadUrl, ValueError):
        return None
    return replace(made, protocol=request.protocol, now=request.now)


def _loop(chain: list[Trace], target: Request, seen: list[str]) -> Ending:
    last = chain[-1].ending
    if target.url not in seen:
        cause = f"The client gives up after {MOST_REDIRECTS} redirects."
    else:
        cause = f"The redirect leads back to {target.url}, which redirects again: the client never gets an answer."
    fix = "Remove one of the redirects."
    if last.by == "gateway":
        fix = (
            "The load balancer already ends TLS: remove `httpsRedirect` or the redirect route from the gateway, "
            "or set `numTrustedProxies` so that the gateway reads X-Forwarded-Proto."
        )
    return replace(last, cause=cause, fix=fix)
