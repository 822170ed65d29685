"""ARNs of regions other than the load balancer's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.refusal import Refused
from lockgate.resources import networking
from lockgate.resources.codes import guide as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.REGIONS_DIFFER,)


def analyze(edge: Edge) -> Iterator[Fault]:
    named: list[tuple[Origin, str]] = []
    for balancer in edge.application_load_balancers:
        for ingress in members(edge, balancer):
            named += _regions(ingress)
    counted = Counter(region for _, region in named)
    if len(counted) < 2:
        return
    usual = counted.most_common(1)[0][0]
    for origin, region in named:
        if region != usual:
            yield codes.REGIONS_DIFFER.at(origin, region=region, others=usual)


def _regions(ingress: networking.Ingress) -> Iterator[tuple[Origin, str]]:
    for annotation in (a.CERTIFICATE_ARN, a.WAFV2_ACL_ARN):
        try:
            value = annotation.read(ingress) or ()
        except Refused:
            continue
        for arn in (value,) if isinstance(value, str) else value:
            parts = arn.split(":")
            if len(parts) >= 6 and parts[0] == "arn" and parts[3].replace("-", "").isalnum():
                yield Origin(ingress.key, annotation.path()), parts[3]
