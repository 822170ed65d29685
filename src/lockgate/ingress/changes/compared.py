"""The resources whose attributes are compared. Observers of an account read only these."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.ingress.changes.load_balancers import matching, spare_balancers
from lockgate.ingress.changes.tags import (
    AttributeChange,
    ModifyListenerAttributes,
    ModifyLoadBalancerAttributes,
    ModifyTargetGroupAttributes,
)
from lockgate.ingress.changes.target_groups import kept_groups
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import LOAD_BALANCER, Stack
from lockgate.loadbalancer.network import AnyLoadBalancer


def compared_attributes(stack: Stack, existing: Existing) -> tuple[tuple[type[AttributeChange], str], ...]:
    """The class of the change that sets the attributes, and the ARN of their resource."""
    return tuple(_compared(stack, existing))


def _compared(stack: Stack, existing: Existing) -> Iterator[tuple[type[AttributeChange], str]]:
    for balancer in spare_balancers(stack, existing):  # deletion protection
        yield ModifyLoadBalancerAttributes, balancer.arn
    for reference, group in kept_groups(stack, existing).items():
        if stack.target_groups[reference].attributes:
            yield ModifyTargetGroupAttributes, group.reference
    network = matching(stack.network, existing.networks, stack.network_resource)
    yield from _of_balancer(stack.network, network)
    yield from _of_balancer(stack.load_balancer, matching(stack.load_balancer, existing.balancers, LOAD_BALANCER))


def _of_balancer(
    desired: AnyLoadBalancer | None, current: AnyLoadBalancer | None
) -> Iterator[tuple[type[AttributeChange], str]]:
    if current is None or desired is None:
        return
    if desired.attributes:
        yield ModifyLoadBalancerAttributes, current.arn
    arns = {listener.port: listener.arn for listener in current.listeners}
    for listener in desired.listeners:
        if listener.attributes and listener.port in arns:
            yield ModifyListenerAttributes, arns[listener.port]
