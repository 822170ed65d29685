"""Gateway servers that a load balancer cannot select, because it connects to its targets without SNI.

Source: AWS's guide to Application Load Balancers, "Target groups": the load balancer does not use SNI with targets.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.resources.codes import across as codes
from lockgate.resources.faults import Fault

CODES = (codes.NO_SERVER_WITHOUT_SNI,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        if each.group.protocol != "HTTPS" or each.listener is None:
            continue
        chains = each.listener.filter_chains
        if any(not chain.server_names for chain in chains):
            continue
        for chain in chains:
            if chain.origin is not None:
                yield codes.NO_SERVER_WITHOUT_SNI.at(
                    chain.origin.under("hosts"), balancer=each.balancer.name, service=each.service
                )
