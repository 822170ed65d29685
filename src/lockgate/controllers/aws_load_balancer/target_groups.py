"""Target groups of a stack: made, mended, and deleted once nothing forwards to them.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/target_group_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Site, ensure_attributes, failing, retrying, set_tags
from lockgate.ingress import shapes
from lockgate.ingress.stack import Stack
from lockgate.loadbalancer.model import TargetGroup


def spare(stack: Stack, existing: Existing) -> tuple[TargetGroup, ...]:
    """Those that the stack has no more, or has in another way: to be deleted when the rules have changed."""
    kept = {group.reference for group in _kept(stack, existing).values()}
    return tuple(group for _, group in existing.target_groups if group.reference not in kept)


async def ensure(site: Site, stack: Stack, existing: Existing) -> dict[str, str]:
    """ARNs by reference."""
    kept = _kept(stack, existing)
    arns = {}
    for reference, desired in stack.target_groups.items():
        if (current := kept.get(reference)) is not None:
            await _mend(site, desired, current, existing)
            arns[reference] = current.reference
        else:
            arns[reference] = await _create(site, stack, desired)
    return arns


def _kept(stack: Stack, existing: Existing) -> dict[str, TargetGroup]:
    found: dict[str, TargetGroup] = {}
    for resource, group in existing.target_groups:
        desired = stack.target_groups.get(resource)
        if desired is not None and resource not in found and not _needs_replacement(desired, group):
            found[resource] = group
    return found


async def delete(site: Site, stack: Stack, groups: Iterable[TargetGroup]) -> None:
    for arn in (group.reference for group in groups):
        with failing("failed to delete targetGroup"):
            await retrying(
                lambda arn=arn: site.aws.call("elbv2", "delete_target_group", TargetGroupArn=arn),  # type: ignore[misc]
                "ResourceInUse",
                every=2,
                within=20,
            )
        site.inventory.gone(arn, stack.group)


def _needs_replacement(desired: TargetGroup, current: TargetGroup) -> bool:
    """Name, port, address type and VPC are not compared, as upstream: a new node port keeps the old group."""
    return (desired.target_type, desired.protocol, desired.protocol_version, desired.control_port) != (
        current.target_type,
        current.protocol,
        current.protocol_version,
        current.control_port,
    )


async def _create(site: Site, stack: Stack, desired: TargetGroup) -> str:
    answer = await site.aws.call(
        "elbv2", "create_target_group", **shapes.target_group(desired), Tags=shapes.tags(desired.tags)
    )
    arn: str = answer["TargetGroups"][0]["TargetGroupArn"]
    site.inventory.made(arn, stack.group)
    await ensure_attributes(site, "target_group", arn, desired.attributes)
    return arn


async def _mend(site: Site, desired: TargetGroup, current: TargetGroup, existing: Existing) -> None:
    arn = current.reference
    await set_tags(site, arn, desired.tags, existing.tags[arn])
    if desired.health_check != current.health_check:
        check = shapes.health_check(desired.health_check, grpc=desired.protocol_version == "GRPC")
        await site.aws.call("elbv2", "modify_target_group", TargetGroupArn=arn, **check)
    await ensure_attributes(site, "target_group", arn, desired.attributes)
