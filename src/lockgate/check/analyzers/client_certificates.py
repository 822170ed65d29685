"""Gateway servers that require a client certificate of a load balancer, which has none."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.resources.codes import across as codes
from lockgate.resources.faults import Fault

CODES = (codes.CLIENT_CERTIFICATE,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        for chain in each.listener.filter_chains if each.listener and each.group.protocol == "HTTPS" else ():
            requires = chain.tls is not None and chain.tls.validation is not None and chain.tls.validation.required
            if requires and not chain.server_names and chain.origin is not None:
                yield codes.CLIENT_CERTIFICATE.at(
                    chain.origin.under("tls", "mode"), balancer=each.balancer.name, service=each.service
                )
