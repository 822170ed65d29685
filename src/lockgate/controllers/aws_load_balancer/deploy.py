"""Making AWS and the cluster hold a stack: what is needed first, in an order that never breaks what serves.

Source: aws-load-balancer-controller `pkg/deploy/stack_deployer.go`. Making goes security groups, target groups, load
balancers, listeners, rules, bindings; then what is left over goes in the reverse order, and the load balancer becomes
the target of what is in front of it. The first error stops all.
"""

from __future__ import annotations

from collections.abc import Mapping

from lockgate.controllers.aws_load_balancer import (
    addons,
    balancers,
    bindings,
    certificates,
    frontends,
    listeners,
    security_groups,
    target_groups,
)
from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Deployed, Site
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, MANAGED_SECURITY_GROUP, Stack


async def deploy(site: Site, stack: Stack, existing: Existing) -> tuple[Deployed, ...]:
    """The load balancer as AWS has it now and what is in front of it, if anything; nothing for a group without one.

    Raises `AwsError`, `ApiError` and `LookAgain`.
    """
    ids: dict[str, str] = {}
    if stack.security_group is not None:
        ids[MANAGED_SECURITY_GROUP] = await security_groups.ensure_managed(
            site, stack.group, stack.security_group, existing
        )
    if stack.needs_backend_security_group:
        ids[BACKEND_SECURITY_GROUP] = await security_groups.ensure_backend(site)
    spare_groups = target_groups.spare(stack, existing)
    await frontends.release(site, spare_groups)
    issued, spare_certificates = await certificates.ensure(site, stack)
    arns = await target_groups.ensure(site, stack, existing)
    await balancers.delete_spare(site, stack, existing)
    deployed = await _load_balancers(site, stack, ids, arns, issued, existing)
    spare_bindings = await bindings.ensure(site, stack, arns, ids)
    for balancer in deployed[:1]:
        await addons.ensure_web_acl(site, stack, balancer.arn)
        await addons.ensure_protection(site, stack, balancer.arn)
    await bindings.delete(site, spare_bindings)
    for balancer in deployed[:1]:
        await addons.ensure_capacity(site, stack, balancer.arn)
    await target_groups.delete(site, stack, spare_groups)
    await certificates.delete(site, spare_certificates)
    for balancer in deployed[:1]:
        await frontends.register(site, stack, arns, balancer.arn)
    await security_groups.delete_spare(site, stack.group, stack.security_group, existing)
    return deployed


async def _load_balancers(
    site: Site,
    stack: Stack,
    ids: Mapping[str, str],
    arns: Mapping[str, str],
    issued: Mapping[str, str],
    existing: Existing,
) -> tuple[Deployed, ...]:
    """With their listeners. `ids` are the security groups' by their tokens."""
    desired, in_front = stack.load_balancer, stack.frontend
    if desired is None:
        return ()
    groups = tuple(ids.get(token, token) for token in desired.security_groups)
    deployed, found = await balancers.ensure(site, stack, desired, groups, existing)
    await listeners.ensure(site, desired, deployed.arn, found, {**arns, **issued}, existing)
    if in_front is None:
        return (deployed,)
    groups = tuple(ids.get(token, token) for token in in_front.security_groups)
    return (deployed, await frontends.ensure(site, stack, in_front, groups, arns, existing))
