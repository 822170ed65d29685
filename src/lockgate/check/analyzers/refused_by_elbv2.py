"""Rules and target groups that the controller builds, and ELBv2 refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.check.ingresses import written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.model import HostHeader, HttpHeader, PathPattern, Rule
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault

CODES = (codes.GRPC_CODES, codes.TOO_MANY_VALUES)

MOST_VALUES = 5  # "Quotas for your Application Load Balancers": condition values per rule


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for group in balancer.target_groups.values():
            codes_ = group.health_check.matcher
            if group.protocol_version == "GRPC" and any(int(code) > 99 for code in re.findall(r"\d{1,9}", codes_)):
                yield codes.GRPC_CODES.at(written(edge, balancer, a.SUCCESS_CODES), codes=codes_)
        for listener in balancer.listeners:
            for rule in listener.rules:
                if (count := _values(rule)) > MOST_VALUES:
                    yield codes.TOO_MANY_VALUES.at(rule.origin, count=count, most=MOST_VALUES)


def _values(rule: Rule) -> int:
    return sum(
        len(each.values) + (len(each.regex_values) if isinstance(each, HostHeader | HttpHeader | PathPattern) else 0)
        for each in rule.conditions
    )
