"""What else a load balancer has, when it serves already: a web ACL, Shield's protection, reserved capacity.

Where no annotation says anything, whatever is there stays. Source: aws-load-balancer-controller `pkg/deploy/wafv2/`,
`pkg/deploy/shield/`, `pkg/deploy/elbv2/load_balancer_capacity_reservation_reconciler.go`.
"""

from __future__ import annotations

import logging
from typing import Final

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.site import Site, failing
from lockgate.ingress.stack import Stack

log = logging.getLogger("lockgate.controllers.aws_load_balancer")

PROTECTION: Final = "managed by aws-load-balancer-controller"
_OURS: Final = frozenset({PROTECTION, "managed by aws-alb-ingress-controller"})


async def ensure_web_acl(site: Site, stack: Stack, arn: str) -> None:
    if stack.web_acl is None or not site.settings.enable_wafv2:
        return
    answer = await site.aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=arn)
    current = (answer.get("WebACL") or {}).get("ARN", "")
    if current == stack.web_acl.arn:
        return
    step = "delete" if not stack.web_acl.arn else "update" if current else "create"
    with failing(f"failed to {step} WAFv2 webACL association on LoadBalancer"):
        if stack.web_acl.arn:
            await site.aws.call("wafv2", "associate_web_acl", WebACLArn=stack.web_acl.arn, ResourceArn=arn)
        else:
            await site.aws.call("wafv2", "disassociate_web_acl", ResourceArn=arn)


async def ensure_protection(site: Site, stack: Stack, arn: str) -> None:
    """Without a subscription to Shield Advanced nothing is done, as upstream. Protections of others are left alone."""
    if stack.shield is None or not site.settings.enable_shield:
        return
    state = (await site.aws.call("shield", "get_subscription_state"))["SubscriptionState"]
    if state != "ACTIVE":
        log.info("the account has no subscription to Shield Advanced: the protection of %s is left as it is", arn)
        return
    current = await _protection(site, arn)
    if stack.shield and current is None:
        with failing("failed to create shield protection on LoadBalancer"):
            await site.aws.call("shield", "create_protection", Name=PROTECTION, ResourceArn=arn)
    elif not stack.shield and current is not None and current[0] in _OURS:
        with failing("failed to delete shield protection on LoadBalancer"):
            await site.aws.call("shield", "delete_protection", ProtectionId=current[1])


async def ensure_capacity(site: Site, stack: Stack, arn: str) -> None:
    """0 units take the reservation back."""
    if stack.capacity_units is None or "LBCapacityReservation" not in site.settings.gates:
        return
    answer = await site.aws.call("elbv2", "describe_capacity_reservation", LoadBalancerArn=arn)
    current = (answer.get("MinimumLoadBalancerCapacity") or {}).get("CapacityUnits") or 0
    if current == stack.capacity_units:
        return
    if stack.capacity_units == 0:
        await site.aws.call("elbv2", "modify_capacity_reservation", LoadBalancerArn=arn, ResetCapacityReservation=True)
    else:
        units = {"CapacityUnits": stack.capacity_units}
        await site.aws.call(
            "elbv2", "modify_capacity_reservation", LoadBalancerArn=arn, MinimumLoadBalancerCapacity=units
        )


async def _protection(site: Site, arn: str) -> tuple[str, str] | None:
    """Its name and id."""
    try:
        found = (await site.aws.call("shield", "describe_protection", ResourceArn=arn))["Protection"]
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    return found.get("Name", ""), found["Id"]
