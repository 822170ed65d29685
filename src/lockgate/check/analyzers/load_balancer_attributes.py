"""Load balancer attributes that Security Hub's controls ask for (ELB.4, ELB.5, ELB.6, ELB.12)."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault

_EXPECTED = {
    "routing.http.drop_invalid_header_fields.enabled": codes.INVALID_HEADERS,
    "access_logs.s3.enabled": codes.NO_ACCESS_LOG,
    "deletion_protection.enabled": codes.NO_DELETION_PROTECTION,
}
CODES = (*_EXPECTED.values(), codes.DESYNC_MONITOR)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        origin = written(edge, balancer, a.LOAD_BALANCER_ATTRIBUTES)
        for attribute, code in _EXPECTED.items():
            if balancer.attributes.get(attribute) != "true":
                yield code.at(origin, balancer=balancer.name)
        if balancer.attributes.get("routing.http.desync_mitigation_mode") == "monitor":
            yield codes.DESYNC_MONITOR.at(origin, balancer=balancer.name)
