"""Internet-facing load balancers that no web ACL protects (Security Hub's ELB.16)."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members, written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault

CODES = (codes.NO_WEB_ACL,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        if balancer.scheme != "internet-facing" or balancer.web_acl is not None or balancer.name in edge.unseen:
            continue
        named = (a.WAFV2_ACL_NAME, a.WAFV2_ACL_ARN, a.WAF_ACL_ID, a.WEB_ACL_ID)
        if not any(each.metadata.annotations.get(by.key) for each in members(edge, balancer) for by in named):
            yield codes.NO_WEB_ACL.at(written(edge, balancer, a.WAFV2_ACL_ARN), balancer=balancer.name)
