"""Reads the existing state for the comparison with a stack, in addition to what `Inventory` reads in every pass.

Only what the stack manages is read: its attributes, the web ACL if an annotation names one, and so on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer import certificates, security_groups
from lockgate.controllers.aws_load_balancer.site import Site
from lockgate.ingress.changes import addons, load_balancers
from lockgate.ingress.changes.compared import compared_attributes
from lockgate.ingress.changes.tags import AttributeChange
from lockgate.ingress.existing import Existing, Protection
from lockgate.ingress.stack import LOAD_BALANCER, ServiceId, Stack
from lockgate.loadbalancer.elbv2 import attributes_of
from lockgate.loadbalancer.model import Target
from lockgate.loadbalancer.network import AnyLoadBalancer

log = logging.getLogger("lockgate.controllers.aws_load_balancer")

Read = TypeVar("Read")


async def observe(site: Site, stack: Stack, existing: Existing) -> Existing:
    """`existing`, completed except for the add-ons. Raises `AwsError`."""
    attributes, backend, owned, targets = await asyncio.gather(
        _attributes(site, stack, existing),
        security_groups.find_backend(site) if stack.needs_backend_security_group else _nothing(""),
        certificates.owned(site, stack),
        _frontend_targets(site, existing),
    )
    labels = stack.id.labels.items()
    return replace(
        existing,
        attributes=attributes,
        backend_security_group=backend,
        certificates=owned,
        frontend_targets=targets,
        bindings=tuple(
            binding
            for binding in site.cluster.bindings.values()
            if labels <= binding.metadata.labels.items() and not binding.metadata.deletion_timestamp
        ),
    )


async def observe_addons(site: Site, stack: Stack, existing: Existing) -> tuple[Stack, Existing, AwsError | None]:
    """`existing`, completed with the add-ons that the stack manages.

    The account may not permit the controller to read one of them. Then the first such error is returned, and that
    add-on is not changed, but the load balancer is still deployed.
    """
    arn, refused = _balancer(stack, existing), None
    if addons.manages_web_acl(stack, site.settings) and arn:
        try:
            existing = replace(existing, web_acl=await _web_acl(site, arn))
        except AwsError as error:
            stack, refused = replace(stack, web_acl=None), refused or error
    if addons.manages_protection(stack, site.settings):
        try:
            if not (subscribed := await _subscribed(site)):
                log.info(
                    "%s: Shield protection is unchanged: the account has no Shield Advanced subscription", stack.id
                )
            protection = await _protection(site, arn) if subscribed and arn else None
            existing = replace(existing, shield_subscribed=subscribed, protection=protection)
        except AwsError as error:
            stack, refused = replace(stack, shield=None), refused or error
    if addons.manages_capacity(stack, site.settings) and arn:
        try:
            existing = replace(existing, capacity_units=await _capacity(site, arn))
        except AwsError as error:
            stack, refused = replace(stack, capacity_units=None), refused or error
    return stack, existing, refused


def _balancer(stack: Stack, existing: Existing) -> str:
    network = isinstance(stack.id, ServiceId)
    found: AnyLoadBalancer | None = (
        load_balancers.matching(stack.network, existing.networks, LOAD_BALANCER)
        if network
        else load_balancers.matching(stack.load_balancer, existing.balancers, LOAD_BALANCER)
    )
    return found.arn if found is not None else ""


async def _nothing(value: Read) -> Read:
    return value


async def _attributes(site: Site, stack: Stack, existing: Existing) -> dict[str, Mapping[str, str]]:
    compared = compared_attributes(stack, existing)
    answers: list[Awaitable[Any]] = [_attributes_of(site, kind, arn) for kind, arn in compared]
    return dict(zip((arn for _, arn in compared), await asyncio.gather(*answers), strict=True))


async def _attributes_of(site: Site, kind: type[AttributeChange], arn: str) -> dict[str, str]:
    operation = kind.operation.replace("modify", "describe")
    return attributes_of(await site.aws.list("elbv2", operation, "Attributes", **{kind.parameter: arn}))


async def _frontend_targets(site: Site, existing: Existing) -> dict[str, Target]:
    arns = [group.reference for _, group in existing.target_groups if group.target_type == "alb"]
    answers = await asyncio.gather(
        *(site.aws.call("elbv2", "describe_target_health", TargetGroupArn=arn) for arn in arns)
    )
    found = {}
    for arn, answer in zip(arns, answers, strict=True):
        for item in answer["TargetHealthDescriptions"][:1]:
            found[arn] = Target(item["Target"]["Id"], item["Target"]["Port"])
    return found


async def _web_acl(site: Site, arn: str) -> str:
    answer = await site.aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=arn)
    return (answer.get("WebACL") or {}).get("ARN") or ""


async def _subscribed(site: Site) -> bool:
    state = (await site.aws.call("shield", "get_subscription_state"))["SubscriptionState"]
    return bool(state == "ACTIVE")


async def _protection(site: Site, arn: str) -> Protection | None:
    try:
        found = (await site.aws.call("shield", "describe_protection", ResourceArn=arn))["Protection"]
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    return Protection(found["Id"], found.get("Name", ""))


async def _capacity(site: Site, arn: str) -> int:
    answer = await site.aws.call("elbv2", "describe_capacity_reservation", LoadBalancerArn=arn)
    return int((answer.get("MinimumLoadBalancerCapacity") or {}).get("CapacityUnits") or 0)
