"""The quotas of ELBv2 that an edge comes close to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.ingress.stack import Stack
from lockgate.loadbalancer import quotas

_NEAR: Final = 0.8


@dataclass(frozen=True, slots=True)
class Quota:
    """`used` counts what there will be."""

    name: str
    used: int
    limit: int

    @property
    def near(self) -> bool:
        return self.used >= _NEAR * self.limit

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit


def used(
    stacks: Iterable[Stack], existing: Iterable[str], counts: Mapping[str, int], limits: Mapping[str, int]
) -> Iterator[Quota]:
    """`existing` are the names of the account's load balancers, `counts` how much of the region's quotas is used."""
    made = [stack for stack in stacks if stack.load_balancer is not None]
    there = frozenset(existing)
    new = [stack for stack in made if stack.load_balancer and stack.load_balancer.name not in there]
    groups = sum(len(stack.target_groups) for stack in new)
    totals = {
        quotas.LOAD_BALANCERS: counts.get(quotas.LOAD_BALANCERS, 0) + len(new),
        quotas.TARGET_GROUPS: counts.get(quotas.TARGET_GROUPS, 0) + groups,
    }
    for stack in made:
        balancer = stack.load_balancer
        assert balancer is not None
        each = {
            quotas.LISTENERS: len(balancer.listeners),
            quotas.RULES: sum(len(listener.rules) for listener in balancer.listeners),
            quotas.TARGET_GROUPS_OF_LOAD_BALANCER: len(stack.target_groups),
            quotas.CERTIFICATES: len({arn for one in balancer.listeners for arn in one.certificates[1:]}),
        }
        for name, number in each.items():
            totals[name] = max(totals.get(name, 0), number)
    for name, number in totals.items():
        if limit := limits.get(name):
            yield Quota(name, number, limit)
