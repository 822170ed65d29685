"""The load balancer of a stack itself, and what goes of load balancers.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/load_balancer_synthesizer.go`, `load_balancer_manager.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Deployed, Site, ensure_attributes, set_tags
from lockgate.ingress import shapes
from lockgate.ingress.stack import FRONTEND, LOAD_BALANCER, Stack
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer

Balancer = TypeVar("Balancer", LoadBalancer, NetworkLoadBalancer)


async def delete_spare(site: Site, stack: Stack, existing: Existing) -> None:
    """Load balancers that the group has no more go at once, what is in front of another one first."""
    there: list[AnyLoadBalancer] = [balancer for _, balancer in existing.networks]
    there += [balancer for _, balancer in existing.balancers]
    kept = (
        matching(stack.frontend, existing.networks, FRONTEND),
        matching(stack.load_balancer, existing.balancers, LOAD_BALANCER),
    )
    for balancer in there:
        if any(balancer is each for each in kept):
            continue
        try:
            await site.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=balancer.arn)
        except AwsError as error:
            if error.code != "OperationNotPermitted" or "deletion protection" not in error.message:
                raise
            await ensure_attributes(site, "load_balancer", balancer.arn, {"deletion_protection.enabled": "false"})
            await site.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=balancer.arn)
        site.inventory.gone(balancer.arn, stack.group)


async def ensure(
    site: Site, stack: Stack, desired: LoadBalancer, security_groups: tuple[str, ...], existing: Existing
) -> tuple[Deployed, LoadBalancer | None]:
    """The load balancer, and what of it there was. Its name is never compared: a rename changes nothing."""
    current = matching(desired, existing.balancers, LOAD_BALANCER)
    if current is None:
        return await create(site, stack, desired, security_groups, Subnets=list(desired.subnets), **_pools(stack)), None
    arn = current.arn
    pool = existing.ipam_pools.get(arn, "")
    if pool and not stack.ipam_pool:
        await site.aws.call("elbv2", "modify_ip_pools", LoadBalancerArn=arn, RemoveIpamPools=["ipv4"])
    moved = bool(desired.subnets) and set(desired.subnets) != set(current.subnets)
    places = {"Subnets": list(desired.subnets)} if moved else {}
    await mend(site, desired, current, security_groups, existing, **places)
    if stack.ipam_pool and stack.ipam_pool != pool:
        pools = {"Ipv4IpamPoolId": stack.ipam_pool}
        await site.aws.call("elbv2", "modify_ip_pools", LoadBalancerArn=arn, IpamPools=pools)
    return Deployed(arn, current.dns_name), current


def matching(desired: Balancer | None, there: Iterable[tuple[str, Balancer]], resource: str) -> Balancer | None:
    """What a load balancer is already; another scheme means another load balancer."""
    for name, balancer in there:
        if desired is not None and name == resource and balancer.scheme == desired.scheme:
            return balancer
    return None


async def create(
    site: Site, stack: Stack, desired: AnyLoadBalancer, security_groups: tuple[str, ...], **places: Any
) -> Deployed:
    """`places` are its subnets and pools, as the API takes them."""
    answer = await site.aws.call(
        "elbv2",
        "create_load_balancer",
        Name=desired.name,
        Type="network" if isinstance(desired, NetworkLoadBalancer) else "application",
        Scheme=desired.scheme,
        IpAddressType=desired.ip_address_type,
        SecurityGroups=list(security_groups),
        Tags=shapes.tags(desired.tags),
        **places,
    )
    made = answer["LoadBalancers"][0]
    arn: str = made["LoadBalancerArn"]
    site.inventory.made(arn, stack.group)
    await ensure_attributes(site, "load_balancer", arn, desired.attributes)
    return Deployed(arn, made["DNSName"])


async def mend(
    site: Site,
    desired: Balancer,
    current: Balancer,
    security_groups: tuple[str, ...],
    existing: Existing,
    **places: Any,
) -> None:
    """`places` are its subnets, as the API takes them, if they change."""
    arn = current.arn
    await set_tags(site, arn, desired.tags, existing.tags[arn])
    if set(security_groups) != set(current.security_groups):
        await site.aws.call("elbv2", "set_security_groups", LoadBalancerArn=arn, SecurityGroups=list(security_groups))
    if places:
        await site.aws.call("elbv2", "set_subnets", LoadBalancerArn=arn, **places)
    if desired.ip_address_type != current.ip_address_type:
        await site.aws.call("elbv2", "set_ip_address_type", LoadBalancerArn=arn, IpAddressType=desired.ip_address_type)
    await ensure_attributes(site, "load_balancer", arn, desired.attributes)


def _pools(stack: Stack) -> dict[str, Any]:
    pools: dict[str, Any] = {}
    if stack.coip_pool:
        pools["CustomerOwnedIpv4Pool"] = stack.coip_pool
    if stack.ipam_pool:
        pools["IpamPools"] = {"Ipv4IpamPoolId": stack.ipam_pool}
    return pools
