"""What a load balancer has of what the default quotas of ELBv2 allow.

Source: "Quotas for your Application Load Balancers".
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import operations as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.NEAR_QUOTA, codes.OVER_QUOTA)

_NEAR = 0.8


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for what, count, quota in _used(balancer):
            if count >= quota * _NEAR:
                code = codes.OVER_QUOTA if count > quota else codes.NEAR_QUOTA
                first = next(iter(members(edge, balancer)), None)
                origin = Origin(first.key) if first else None
                yield code.at(origin, balancer=balancer.name, count=count, what=what, quota=quota)


def _used(balancer: LoadBalancer) -> Iterator[tuple[str, int, int]]:
    """Default rules and default certificates do not count."""
    listeners = balancer.listeners
    yield "listeners", len(listeners), 50
    yield "rules", sum(len(listener.rules) for listener in listeners), 100
    yield "target groups", len(balancer.target_groups), 100
    yield "certificates", sum(max(len(listener.certificates) - 1, 0) for listener in listeners), 25
    targets = sum(len(group.targets) for group in balancer.target_groups.values())
    yield "targets", targets, 1000
