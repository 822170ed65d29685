"""The network load balancer in front of a group's own: itself, its listeners, and its target.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/frontend_nlb_target_synthesizer.go`, and for the rest the
synthesizers of all load balancers and listeners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer import balancers
from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Deployed, LookAgain, Site, set_tags
from lockgate.ingress import shapes
from lockgate.ingress.rule_changes import same_actions
from lockgate.ingress.stack import FRONTEND, Stack
from lockgate.loadbalancer.model import Forward, TargetGroup, WeightedTargetGroup
from lockgate.loadbalancer.network import NetworkLoadBalancer, TcpListener

REGISTERED_AGAIN_SECONDS = 15.0


async def release(site: Site, spare: Iterable[TargetGroup]) -> None:
    """Spare target groups let go of the load balancer: while it is a target, neither it nor its listener can go."""
    for group in spare:
        if group.target_type == "alb" and (target := await _target(site, group.reference)):
            targets = [{"Id": target["Id"], "Port": target["Port"]}]
            arn = group.reference
            await site.aws.call("elbv2", "deregister_targets", TargetGroupArn=arn, Targets=targets)


async def ensure(
    site: Site,
    stack: Stack,
    desired: NetworkLoadBalancer,
    security_groups: tuple[str, ...],
    arns: Mapping[str, str],
    existing: Existing,
) -> Deployed:
    """Itself and its listeners. Addresses are those of its creation, as upstream."""
    current = balancers.matching(desired, existing.networks, FRONTEND)
    places = {"SubnetMappings": shapes.subnet_mappings(desired.subnets)}
    if current is None:
        deployed = await balancers.create(site, stack, desired, security_groups, **places)
    else:
        stays = {each.subnet for each in desired.subnets} == {each.subnet for each in current.subnets}
        await balancers.mend(site, desired, current, security_groups, existing, **({} if stays else places))
        deployed = Deployed(current.arn, current.dns_name)
    await _ensure_listeners(site, desired, deployed.arn, current, arns, existing)
    return deployed


async def register(site: Site, stack: Stack, arns: Mapping[str, str], load_balancer: str) -> None:
    """The load balancer becomes the target of each target group; only whether it is, not at which port, is compared.

    Raises `LookAgain` where AWS is not ready for it.
    """
    for group in stack.frontend.target_groups.values() if stack.frontend else ():
        arn = arns[group.reference]
        target = await _target(site, arn)
        if target is not None and target["Id"] == load_balancer:
            continue
        targets = [{"Id": load_balancer, "Port": wanted.port} for wanted in group.targets]
        try:
            await site.aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=targets)
        except AwsError as error:
            raise LookAgain(f"cannot register {load_balancer} in {arn}: {error}", REGISTERED_AGAIN_SECONDS) from error


async def _target(site: Site, target_group: str) -> Mapping[str, Any] | None:
    answer = await site.aws.call("elbv2", "describe_target_health", TargetGroupArn=target_group)
    return next((item["Target"] for item in answer["TargetHealthDescriptions"]), None)


async def _ensure_listeners(
    site: Site,
    desired: NetworkLoadBalancer,
    arn: str,
    current: NetworkLoadBalancer | None,
    arns: Mapping[str, str],
    existing: Existing,
) -> None:
    """Every other port's listener is deleted, whoever made it."""
    found = {listener.port: listener for listener in (current.listeners if current else ())}
    for port in found.keys() - {listener.port for listener in desired.listeners}:
        await site.aws.call("elbv2", "delete_listener", ListenerArn=found[port].arn)
    for listener in desired.listeners:
        forward = _with_arns(listener.forward, arns)
        if (before := found.get(listener.port)) is None:
            await _create_listener(site, arn, listener, forward)
            continue
        await set_tags(site, before.arn, listener.tags, existing.tags[before.arn])
        if not same_actions((forward,), (before.forward,)):
            actions = shapes.actions((forward,), str)
            await site.aws.call("elbv2", "modify_listener", ListenerArn=before.arn, DefaultActions=actions)


async def _create_listener(site: Site, balancer: str, listener: TcpListener, forward: Forward) -> None:
    await site.aws.call(
        "elbv2",
        "create_listener",
        LoadBalancerArn=balancer,
        Port=listener.port,
        Protocol="TCP",
        DefaultActions=shapes.actions((forward,), str),
        Tags=shapes.tags(listener.tags),
    )


def _with_arns(forward: Forward, arns: Mapping[str, str]) -> Forward:
    groups = (WeightedTargetGroup(arns[group.target_group], group.weight) for group in forward.target_groups)
    return replace(forward, target_groups=tuple(groups))
