"""The last discovered ELBv2 state, and how the next read changes it.

Unchanged load balancers keep their identity, so readers can detect "nothing changed" with ``is``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lockgate.loadbalancer.elbv2 import Answers, UnknownShape, is_application, load_balancer, referred, target_group
from lockgate.loadbalancer.elbv2_network import forwarded, is_network, network_load_balancer
from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer

Balancer = TypeVar("Balancer", LoadBalancer, NetworkLoadBalancer)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Discovered:
    """All by ARN; Application and Network Load Balancers are separate. `references` holds the target groups that a load
    balancer's actions name, whether or not they exist."""

    load_balancers: Mapping[str, LoadBalancer] = field(default_factory=dict)
    target_groups: Mapping[str, TargetGroup] = field(default_factory=dict)
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    network_load_balancers: Mapping[str, NetworkLoadBalancer] = field(default_factory=dict)

    @property
    def all(self) -> tuple[AnyLoadBalancer, ...]:
        return (*self.load_balancers.values(), *self.network_load_balancers.values())

    @property
    def used(self) -> frozenset[str]:
        """Target groups that some load balancer may forward to."""
        return frozenset(reference for each in self.all for reference in each.target_groups)

    @property
    def missing(self) -> frozenset[str]:
        """Target groups that are referenced but not discovered yet, usually because they were created during the
        read."""
        named = {reference for references in self.references.values() for reference in references}
        return frozenset(named - self.target_groups.keys())

    def after(
        self, answers: Answers, arns: Collection[str] | None, faulty: Callable[[str, UnknownShape], None]
    ) -> Discovered:
        """The state after reading `answers` for the load balancers and target groups in `arns`, or for all if None.

        One of `arns` without an answer has been deleted. `faulty` is called for a load balancer that cannot be read;
        its previous state is kept.
        """
        groups = _others(self.target_groups, arns)
        for item in answers.target_groups:
            group = target_group(item, answers)
            groups[group.reference] = _same(self.target_groups.get(group.reference), group)
        references = _others(self.references, arns)
        application, network = _others(self.load_balancers, arns), _others(self.network_load_balancers, arns)
        for item in answers.load_balancers:
            arn = item["LoadBalancerArn"]
            try:
                if is_application(item):
                    application[arn] = load_balancer(item, groups, answers)
                    references[arn] = referred(application[arn].listeners)
                elif is_network(item):
                    network[arn] = network_load_balancer(item, groups, answers)
                    references[arn] = forwarded(network[arn].listeners)
            except UnknownShape as fault:
                faulty(arn, fault)
                _keep(arn, self.load_balancers, application)
                _keep(arn, self.network_load_balancers, network)
                _keep(arn, self.references, references)
        return Discovered(
            _settled(self.load_balancers, application, references, groups),
            groups,
            references,
            _settled(self.network_load_balancers, network, references, groups),
        )


def _others(values: Mapping[str, Value], arns: Collection[str] | None) -> dict[str, Value]:
    return {} if arns is None else {arn: value for arn, value in values.items() if arn not in arns}


def _keep(arn: str, before: Mapping[str, Value], now: dict[str, Value]) -> None:
    if arn in before:
        now[arn] = before[arn]


def _settled(
    before: Mapping[str, Balancer],
    now: Mapping[str, Balancer],
    references: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, TargetGroup],
) -> dict[str, Balancer]:
    return {arn: _same(before.get(arn), _with_groups(now[arn], references[arn], groups)) for arn in sorted(now)}


def _same(before: Value | None, now: Value) -> Value:
    return before if before is not None and before == now else now


def _with_groups(balancer: Balancer, references: tuple[str, ...], groups: Mapping[str, TargetGroup]) -> Balancer:
    named = {reference: groups[reference] for reference in references if reference in groups}
    return balancer if named == balancer.target_groups else replace(balancer, target_groups=named)
