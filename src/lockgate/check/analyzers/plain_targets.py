"""Target groups of plain HTTP behind HTTPS listeners (Security Hub's ELB.22)."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import forwards
from lockgate.edge.edge import Edge
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault

CODES = (codes.PLAIN_TARGETS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        secure = [listener.port for listener in balancer.listeners if listener.protocol == "HTTPS"]
        actions = [action for port in secure for _, action in forwards(balancer, port)]
        references = {each.target_group for action in actions for each in action.target_groups}
        for group in balancer.target_groups.values():
            if group.reference in references and group.protocol == "HTTP" and group.target_type in ("instance", "ip"):
                service = edge.network.behind(group)
                yield codes.PLAIN_TARGETS.at(group.origin, balancer=balancer.name, service=service or group.name)
