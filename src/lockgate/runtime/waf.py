"""What of a web ACL is not evaluated on this machine: told, because requests pass such a rule as if it were not met."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import define
from lockgate.resources.finding import Finding, Severity

NOT_EVALUATED = define(
    "LG9005",
    Severity.WARNING,
    "A rule of a web ACL that is not evaluated",
    "Requests pass it as if it were not met: on AWS some may be counted, blocked or challenged.",
)


def not_evaluated(balancers: Iterable[LoadBalancer]) -> Iterator[Finding]:
    told = set()
    for balancer in balancers:
        if balancer.web_acl is None or balancer.web_acl.arn in told:
            continue
        from lockgate.loadbalancer.waf.evaluate import blind_spots

        told.add(balancer.web_acl.arn)
        for spot in blind_spots(balancer.web_acl):
            message = f"rule {spot.rule} of web ACL {balancer.web_acl.name} is not evaluated: {spot.why}"
            yield NOT_EVALUATED.finding(message, subject=balancer.web_acl.name)
