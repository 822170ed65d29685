"""Sticky sessions that a weighted choice undoes: between target groups, or at the gateway behind them."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.check.ingresses import forwards
from lockgate.edge.edge import Edge
from lockgate.gateway.model import Forward, Gateway
from lockgate.loadbalancer.model import TargetGroup
from lockgate.resources.codes import operations, rules
from lockgate.resources.faults import Fault, Origin

CODES = (rules.STICKY_WITHOUT_GROUP, operations.STICKY_GATEWAY)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            for rule, action in forwards(balancer, listener.port):
                groups = [balancer.target_groups.get(each.target_group) for each in action.target_groups]
                if len(groups) > 1 and action.stickiness_seconds is None and any(map(_sticky, groups)):
                    origin = rule.origin if rule else listener.origin
                    yield rules.STICKY_WITHOUT_GROUP.at(origin, count=len(groups))
    for each in connections(edge):
        if _sticky(each.group) and each.gateway is not None:
            yield from map(operations.STICKY_GATEWAY.at, _weighted(each.gateway))


def _sticky(group: TargetGroup | None) -> bool:
    return group is not None and group.attributes.get("stickiness.enabled") == "true"


def _weighted(gateway: Gateway) -> Iterator[Origin | None]:
    """The routes with several destinations. Envoy chooses between them by chance, with a hash policy too."""
    for routes in gateway.routes.values():
        for host in routes.virtual_hosts:
            for route in host.routes:
                if isinstance(route.action, Forward) and len(route.action.clusters) > 1:
                    yield route.origin
