"""Load balancers of single Ingresses that one IngressGroup would replace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lockgate.check.ingresses import members, written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import operations as codes
from lockgate.resources.faults import Fault

CODES = (codes.SEPARATE_BALANCERS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    alike: defaultdict[tuple[str, str], list[LoadBalancer]] = defaultdict(list)
    for balancer in edge.application_load_balancers:
        of = members(edge, balancer)
        if len(of) == 1 and a.GROUP_NAME.key not in of[0].metadata.annotations:
            alike[balancer.scheme, of[0].spec.ingress_class_name or ""].append(balancer)
    for (scheme, _), balancers in alike.items():
        if len(balancers) > 1:
            origin = written(edge, balancers[0], a.GROUP_NAME)
            yield codes.SEPARATE_BALANCERS.at(origin, count=len(balancers), scheme=scheme)
