"""One reading of ELBv2's state through its API, calls side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lockgate.controllers.aws import Aws, AwsError
from lockgate.loadbalancer.elbv2 import Answers, Json

Items = Sequence[Json]


async def read(aws: Aws) -> Answers:
    """Raises `AwsError`, except for what is deleted meanwhile: that is read as empty."""
    balancers, groups = await asyncio.gather(
        aws.list("elbv2", "describe_load_balancers", "LoadBalancers"),
        aws.list("elbv2", "describe_target_groups", "TargetGroups"),
    )
    balancer_arns = [each["LoadBalancerArn"] for each in balancers]
    group_arns = [each["TargetGroupArn"] for each in groups]
    listeners, balancer_attributes, group_attributes, health = await asyncio.gather(
        _each(aws, "describe_listeners", "Listeners", "LoadBalancerArn", balancer_arns),
        _each(aws, "describe_load_balancer_attributes", "Attributes", "LoadBalancerArn", balancer_arns),
        _each(aws, "describe_target_group_attributes", "Attributes", "TargetGroupArn", group_arns),
        _each(aws, "describe_target_health", "TargetHealthDescriptions", "TargetGroupArn", group_arns),
    )
    flat = [each for items in listeners.values() for each in items]
    arns = [each["ListenerArn"] for each in flat]
    secure = [each["ListenerArn"] for each in flat if each.get("Protocol") == "HTTPS"]
    rules, attributes, certificates = await asyncio.gather(
        _each(aws, "describe_rules", "Rules", "ListenerArn", arns),
        _each(aws, "describe_listener_attributes", "Attributes", "ListenerArn", arns),
        _each(aws, "describe_listener_certificates", "Certificates", "ListenerArn", secure),
    )
    return Answers(
        load_balancers=balancers,
        load_balancer_attributes=balancer_attributes,
        listeners=listeners,
        listener_attributes=attributes,
        listener_certificates=certificates,
        rules=rules,
        target_groups=groups,
        target_group_attributes=group_attributes,
        target_health=health,
    )


async def _each(aws: Aws, operation: str, key: str, parameter: str, arns: Sequence[str]) -> dict[str, Items]:
    answers = await asyncio.gather(*(_one(aws, operation, key, {parameter: arn}) for arn in arns))
    return dict(zip(arns, answers, strict=True))


async def _one(aws: Aws, operation: str, key: str, parameters: dict[str, Any]) -> Items:
    try:
        return await aws.list("elbv2", operation, key, **parameters)
    except AwsError as error:
        if error.code.endswith("NotFound"):
            return ()
        raise
