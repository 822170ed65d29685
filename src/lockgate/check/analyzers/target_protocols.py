"""Target groups whose protocol is not the one of the gateway's server: TLS to plain HTTP, and plain HTTP to TLS."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.check.target_settings import changed, written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault

CODES = (codes.TLS_TO_PLAIN, codes.PLAIN_TO_TLS)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        chains = each.listener.filter_chains if each.listener else ()
        if not chains or each.leads.port == (each.gateway.status_port if each.gateway else None):
            continue
        encrypted = [chain.tls is not None or chain.passthrough for chain in chains]
        if each.group.protocol == "HTTPS" and not any(encrypted):
            code, protocol = codes.TLS_TO_PLAIN, "HTTP"
        elif each.group.protocol == "HTTP" and all(encrypted):
            code, protocol = codes.PLAIN_TO_TLS, "HTTPS"
        else:
            continue
        place = written(edge, each.group, a.BACKEND_PROTOCOL)
        fault = code.at(place, balancer=each.balancer.name, service=each.service)
        edit = changed(edge, each.balancer, each.group, a.BACKEND_PROTOCOL, protocol)
        yield fault.fixed_by(edit) if edit else fault
