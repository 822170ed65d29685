"""The changes that make an account and a cluster match a `Stack`, as values in the order of execution.

    changes(stack, existing, settings, vpc_id="vpc-1")
    -> (CreateSecurityGroup(…), CreateTargetGroup(…), CreateLoadBalancer(…), CreateListener(…), CreateRule(…), …)

Dependencies come first: security groups, certificates, target groups, load balancers, listeners, rules, bindings.
Obsolete resources are deleted in the reverse order, so that traffic is never interrupted. () means no changes.

A controller performs the changes. A plan prints them: `str` is one readable line, `as_json` the whole call, `origin`
the part of the manifests that asks for it.

Source: aws-load-balancer-controller `pkg/deploy/stack_deployer.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.ingress.changes import (
    addons,
    bindings,
    certificates,
    listeners,
    load_balancers,
    security_groups,
    target_groups,
)
from lockgate.ingress.changes.change import Change, Comparison, at
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, LOAD_BALANCER, MANAGED_SECURITY_GROUP, Stack
from lockgate.ingress.world import Settings


def changes(stack: Stack, existing: Existing, settings: Settings, *, vpc_id: str) -> tuple[Change, ...]:
    """`existing` are the group's resources in the account and the cluster; `vpc_id` is the cluster's VPC."""
    return tuple(_changes(Comparison(stack, existing, settings, _ids(stack, existing)), vpc_id))


def _changes(both: Comparison, vpc_id: str) -> Iterator[Change]:
    balancer = both.stack.inner
    yield from at(balancer.origin if balancer else None, _in_order(both, vpc_id))


def _in_order(both: Comparison, vpc_id: str) -> Iterator[Change]:
    balancer, network = both.stack.load_balancer, both.stack.network
    yield from security_groups.security_group_changes(both, vpc_id)
    yield from target_groups.releases(both)
    yield from certificates.certificate_changes(both)
    yield from target_groups.group_changes(both)
    yield from load_balancers.deletions(both)
    if balancer is not None:
        yield from load_balancers.balancer_changes(both, balancer)
        yield from listeners.listener_changes(both, balancer)
    if network is not None:
        yield from at(network.origin, load_balancers.network_changes(both, network))
        yield from at(network.origin, listeners.network_listener_changes(both, network))
    yield from bindings.binding_changes(both)
    if balancer is not None:
        yield from addons.web_acl_changes(both)
    if both.stack.inner is not None:
        yield from addons.protection_changes(both)
    yield from bindings.binding_deletions(both)
    if both.stack.inner is not None:
        yield from addons.capacity_changes(both)
    yield from target_groups.group_deletions(both)
    yield from certificates.certificate_deletions(both)
    if balancer is not None:
        yield from target_groups.registrations(both)
    yield from security_groups.security_group_deletions(both)


def _ids(stack: Stack, existing: Existing) -> dict[str, str]:
    """The IDs of existing resources that the stack references, by reference."""
    groups, certified = target_groups.kept_groups(stack, existing), certificates.kept_certificates(stack, existing)
    found = {reference: group.reference for reference, group in groups.items()}
    found |= {reference: certificate.arn for reference, certificate in certified.items()}
    if (managed := security_groups.managed_group(existing)) is not None:
        found[MANAGED_SECURITY_GROUP] = managed.id
    if existing.backend_security_group:
        found[BACKEND_SECURITY_GROUP] = existing.backend_security_group
    if (balancer := load_balancers.matching(stack.load_balancer, existing.balancers, LOAD_BALANCER)) is not None:
        found[LOAD_BALANCER] = balancer.arn
    resource = stack.network_resource
    if (network := load_balancers.matching(stack.network, existing.networks, resource)) is not None:
        found[resource] = network.arn
    return found
