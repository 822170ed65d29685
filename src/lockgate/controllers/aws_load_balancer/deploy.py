"""Making AWS and the cluster hold a stack: what is needed first, in an order that never breaks what serves.

Source: aws-load-balancer-controller `pkg/deploy/stack_deployer.go`. Making goes security groups, target groups, load
balancer, listeners, rules, bindings; then what is left over goes in the reverse order. The first error stops all.
"""

from __future__ import annotations

from lockgate.controllers.aws_load_balancer import (
    addons,
    balancers,
    bindings,
    certificates,
    listeners,
    security_groups,
    target_groups,
)
from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Deployed, Site
from lockgate.loadbalancer.stack import BACKEND_SECURITY_GROUP, MANAGED_SECURITY_GROUP, Stack


async def deploy(site: Site, stack: Stack, existing: Existing) -> Deployed | None:
    """The load balancer as AWS has it now, None for a group without one. Raises `AwsError` and `ApiError`."""
    desired = stack.load_balancer
    ids: dict[str, str] = {}
    if stack.security_group is not None:
        ids[MANAGED_SECURITY_GROUP] = await security_groups.ensure_managed(site, stack.security_group, existing)
    if stack.needs_backend_security_group:
        ids[BACKEND_SECURITY_GROUP] = await security_groups.ensure_backend(site)
    issued, spare_certificates = await certificates.ensure(site, stack)
    arns, spare_groups = await target_groups.ensure(site, stack, existing)
    deployed: Deployed | None = None
    await balancers.delete_spare(site, stack, existing)
    if desired is not None:
        groups = tuple(ids.get(token, token) for token in desired.security_groups)
        deployed, found = await balancers.ensure(site, stack, desired, groups, existing)
        await listeners.ensure(site, desired, deployed.arn, found, arns | issued, existing)
    spare_bindings = await bindings.ensure(site, stack, arns, ids)
    if desired is not None and deployed is not None:
        await addons.ensure_web_acl(site, stack, deployed.arn)
        await addons.ensure_protection(site, stack, deployed.arn)
    await bindings.delete(site, spare_bindings)
    if deployed is not None:
        await addons.ensure_capacity(site, stack, deployed.arn)
    await target_groups.delete(site, stack, spare_groups)
    await certificates.delete(site, spare_certificates)
    await security_groups.delete_spare(site, stack.security_group, existing)
    return deployed
