"""Reports the rules of web ACLs that are not evaluated on this machine, because they never match here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault


def not_evaluated(balancers: Iterable[LoadBalancer]) -> Iterator[Fault]:
    seen = set()
    for balancer in balancers:
        acl = balancer.web_acl
        if acl is None or acl.arn in seen:
            continue
        from lockgate.loadbalancer.waf.evaluate import blind_spots

        seen.add(acl.arn)
        for spot in blind_spots(acl):
            yield codes.NOT_EVALUATED.at(None, rule=spot.rule, web_acl=acl.name, reason=spot.why)
