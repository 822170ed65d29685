"""The quotas of ELBv2 that an edge comes close to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.ingress.stack import Stack
from lockgate.loadbalancer import quotas
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import NetworkLoadBalancer

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
    there = frozenset(existing)
    made = [stack for stack in stacks if stack.inner is not None]
    new = [each for stack in made for each in (stack.load_balancer, stack.network) if each and each.name not in there]
    totals = {
        quotas.LOAD_BALANCERS: sum(isinstance(each, LoadBalancer) for each in new),
        quotas.NETWORK_LOAD_BALANCERS: sum(isinstance(each, NetworkLoadBalancer) for each in new),
        quotas.TARGET_GROUPS: sum(len(each.target_groups) for each in new),
    }
    totals = {name: counts.get(name, 0) + number for name, number in totals.items()}
    for stack in made:
        for name, number in _of_one(stack):
            totals[name] = max(totals.get(name, 0), number)
    for name, number in totals.items():
        if limit := limits.get(name):
            yield Quota(name, number, limit)


def _of_one(stack: Stack) -> Iterator[tuple[str, int]]:
    if (network := stack.network) is not None:
        yield quotas.NETWORK_LISTENERS, len(network.listeners)
    if (balancer := stack.load_balancer) is not None:
        yield quotas.LISTENERS, len(balancer.listeners)
        yield quotas.RULES, sum(len(listener.rules) for listener in balancer.listeners)
        yield quotas.TARGET_GROUPS_OF_LOAD_BALANCER, len(stack.target_groups)
        yield quotas.CERTIFICATES, len({arn for one in balancer.listeners for arn in one.certificates[1:]})
