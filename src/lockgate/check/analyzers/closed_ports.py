"""Ports of gateways to which a load balancer connects, and on which nothing listens."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault

CODES = (codes.NO_LISTENER,)


def analyze(edge: Edge) -> Iterator[Fault]:
    if not edge.objects.among(istio.Gateway):
        return  # they are in other files
    for each in connections(edge):
        if each.gateway is not None and each.listener is None:
            yield codes.NO_LISTENER.at(
                each.group.origin, balancer=each.balancer.name, service=each.service, workload=each.leads.workload
            )
