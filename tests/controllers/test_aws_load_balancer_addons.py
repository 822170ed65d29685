"""Shield's protection, reserved capacity, address pools and control ports of load balancers, as AWS then has them."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_load_balancer_lab import Lab, ingress, lab, service

from lockgate.controllers.aws import AwsError
from lockgate.resources import networking

PREFIX = "alb.ingress.kubernetes.io/"


async def annotate(there: Lab, **settings: str | None) -> None:
    """Change annotations of the Ingress `web`, and wait until AWS has what they say."""
    changed = {PREFIX + key.replace("__", ".").replace("_", "-"): value for key, value in settings.items()}
    await there.quiet()
    there.writes.clear()
    await there.store.patch(networking.Ingress, "web", "default", {"metadata": {"annotations": changed}})
    await there.quiet()


async def balancer(there: Lab) -> dict[str, Any]:
    [found] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
    return dict(found)


async def protection(there: Lab) -> str | None:
    arn = (await balancer(there))["LoadBalancerArn"]
    try:
        return str((await there.aws.call("shield", "describe_protection", ResourceArn=arn))["Protection"]["Name"])
    except AwsError as error:
        assert error.code == "ResourceNotFoundException"
        return None


def test_shield_protects_where_the_account_has_subscribed() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), shield_advanced_protection="true")
        async with lab(service("web", 80), web) as there:
            await there.served("web")
            await there.quiet()
            assert await protection(there) is None
            await there.aws.call("shield", "create_subscription")
            await there.another_pass("web")
            assert await protection(there) == "managed by aws-load-balancer-controller"
            await annotate(there, shield_advanced_protection=None)
            assert there.writes == []
            assert await protection(there) == "managed by aws-load-balancer-controller"
            await annotate(there, shield_advanced_protection="false")
            assert await protection(there) is None
            arn = (await balancer(there))["LoadBalancerArn"]
            await there.aws.call("shield", "create_protection", Name="ours", ResourceArn=arn)
            await there.another_pass("web")
            assert await protection(there) == "ours"

    asyncio.run(run())


def test_capacity_and_address_pools_follow_the_annotations() -> None:
    async def run() -> None:
        settings = {"scheme": "internet-facing", "minimum_load_balancer_capacity": "CapacityUnits=200"}
        web = ingress("web", ("/", "web", 80), ipam_ipv4_pool_id="ipam-pool-1", **settings)
        async with lab(service("web", 80), web) as there:
            await there.served("web")
            await there.quiet()
            arn = (await balancer(there))["LoadBalancerArn"]

            async def reserved() -> int | None:
                answer = await there.aws.call("elbv2", "describe_capacity_reservation", LoadBalancerArn=arn)
                units: int | None = answer.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits")
                return units

            assert (await reserved(), (await balancer(there))["IpamPools"]["Ipv4IpamPoolId"]) == (200, "ipam-pool-1")
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []
            await annotate(there, ipam_ipv4_pool_id="ipam-pool-2", minimum_load_balancer_capacity="CapacityUnits=300")
            assert [operation for operation, _ in there.writes] == ["modify_ip_pools", "modify_capacity_reservation"]
            assert (await reserved(), (await balancer(there))["IpamPools"]["Ipv4IpamPoolId"]) == (300, "ipam-pool-2")
            await annotate(there, ipam_ipv4_pool_id=None, minimum_load_balancer_capacity="CapacityUnits=0")
            assert (await reserved(), (await balancer(there)).get("IpamPools")) == (None, None)
            await annotate(there, minimum_load_balancer_capacity="CapacityUnits=9")
            await there.event("FailedDeployModel", "ValidationError: Capacity units '9' must be greater than or equal")

    asyncio.run(run())


def test_another_control_port_is_another_target_group() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), target_type="ip", target_control_port__web__80="3000")
        async with lab(service("web", 80), web) as there:
            await there.served("web")
            await there.quiet()
            [before] = await there.target_groups()
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []
            await annotate(there, target_control_port__web__80="3001")
            [after] = await there.target_groups()
            assert (before["TargetControlPort"], after["TargetControlPort"]) == (3000, 3001)
            assert before["TargetGroupName"] != after["TargetGroupName"]

    asyncio.run(run())
