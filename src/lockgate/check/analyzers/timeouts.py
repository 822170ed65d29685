"""Timeouts and retries that the load balancer, or the route itself, leaves no time for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.gateway.model import Forward, Gateway, VirtualHost
from lockgate.resources.codes import operations as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.IDLE_TIMEOUT, codes.NO_TIME_TO_RETRY)

_IDLE = "idle_timeout.timeout_seconds"
_DEFAULT_IDLE = "60"


def analyze(edge: Edge) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for each in connections(edge):
        if each.gateway is None or (each.balancer.name, each.gateway.workload) in seen:
            continue
        seen.add((each.balancer.name, each.gateway.workload))
        written = each.balancer.attributes.get(_IDLE, _DEFAULT_IDLE)
        idle = float(written) if written.isdecimal() else float(_DEFAULT_IDLE)
        for origin, action in _timed(edge, each.gateway):
            if action.timeout is not None and action.timeout > idle:
                origin = origin.under("timeout") if origin else None
                yield codes.IDLE_TIMEOUT.at(
                    origin, timeout=f"{action.timeout:g}", balancer=each.balancer.name, idle=f"{idle:g}"
                )
    for gateway in edge.gateways.values():
        for origin, action in _timed(edge, gateway):
            once = action.retry.per_try_timeout if action.retry else None
            if once is not None and action.timeout is not None and once >= action.timeout > 0:
                origin = origin.under("retries", "perTryTimeout") if origin else None
                yield codes.NO_TIME_TO_RETRY.at(origin, each=f"{once:g}", timeout=f"{action.timeout:g}")


Timed: TypeAlias = tuple[Origin | None, Forward]


def _timed(edge: Edge, gateway: Gateway) -> Iterator[Timed]:
    """The routes with a timeout, for a request or for each try."""
    for name, routes in gateway.routes.items():
        found = edge.remembered.each("timeouts", _timed_of, routes.virtual_hosts, gateway.workload, name)
        yield from chain.from_iterable(filter(None, found))


def _timed_of(host: VirtualHost, _gateway: str, _routes: str) -> tuple[Timed, ...]:
    return tuple(
        (_of_route(route.origin), route.action)
        for route in host.routes
        if isinstance(route.action, Forward) and route.action.timeout is not None
    )


def _of_route(origin: Origin | None) -> Origin | None:
    """The origin of the whole HTTP route, from that of one of its matches."""
    if origin is None or origin.path[:2] != ("spec", "http"):
        return None
    return Origin(origin.key, origin.path[:3])
