"""Rules of a load balancer that an earlier rule takes all requests from."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.loadbalancer.model import HostHeader, PathPattern, Rule
from lockgate.loadbalancer.shadowing import shadowed_rules
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault

CODES = (codes.NEVER_REACHED,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            for rule, earlier in shadowed_rules(listener.rules):
                if rule.origin is not None and earlier.origin is not None:
                    yield codes.NEVER_REACHED.at(rule.origin, earlier=_words(earlier), place=earlier.origin)


def _words(rule: Rule) -> str:
    values = [value for each in rule.conditions if isinstance(each, HostHeader | PathPattern) for value in each.values]
    return ", ".join(values) or "other conditions"
