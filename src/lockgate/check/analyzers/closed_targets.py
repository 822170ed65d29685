"""Load balancers whose security groups nobody lets through to the targets."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.CLOSED_TARGETS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        having = [each for each in members(edge, balancer) if each.metadata.annotations.get(a.SECURITY_GROUPS.key)]
        opened = BACKEND_SECURITY_GROUP in balancer.security_groups or any(
            each.metadata.annotations.get(a.MANAGE_BACKEND_SECURITY_GROUP_RULES.key) == "true" for each in having
        )
        if having and not opened:
            origin = Origin(having[0].key, a.SECURITY_GROUPS.path())
            yield codes.CLOSED_TARGETS.at(origin, balancer=balancer.name)
