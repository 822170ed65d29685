"""Reads ELBv2's state through its API with concurrent calls: all of it, or the resources of given ARNs.

This is the only module that lists and describes; `loadbalancer.elbv2` converts the responses to values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from lockgate.controllers.aws import Aws, AwsError
from lockgate.loadbalancer.elbv2 import Answers, Json

Items = Sequence[Json]
CHUNK = 20  # maximum number of ARNs per describe call


async def read(aws: Aws, arns: Collection[str] | None = None, *, whole: bool = True) -> Answers:
    """Everything, or the load balancers and target groups with these ARNs and their parts.

    Attributes and target health need a call per resource: without `whole` they are omitted.

    Raises `AwsError`, except for deleted resources: those are missing, or empty if deleted meanwhile.
    """
    balancers, groups = await asyncio.gather(
        _described(aws, "describe_load_balancers", "LoadBalancer", arns),
        _described(aws, "describe_target_groups", "TargetGroup", arns),
    )
    balancer_arns = [each["LoadBalancerArn"] for each in balancers]
    with_settings = balancer_arns if whole else ()
    group_arns = [each["TargetGroupArn"] for each in groups] if whole else []
    listeners, balancer_attributes, group_attributes, health = await asyncio.gather(
        _each(aws, "describe_listeners", "Listeners", "LoadBalancerArn", balancer_arns),
        _each(aws, "describe_load_balancer_attributes", "Attributes", "LoadBalancerArn", with_settings),
        _each(aws, "describe_target_group_attributes", "Attributes", "TargetGroupArn", group_arns),
        _each(aws, "describe_target_health", "TargetHealthDescriptions", "TargetGroupArn", group_arns),
    )
    flat = [each for items in listeners.values() for each in items]
    arns = [each["ListenerArn"] for each in flat]
    secure = [each["ListenerArn"] for each in flat if each.get("Protocol") in ("HTTPS", "TLS")]
    rules, attributes, certificates = await asyncio.gather(
        _each(aws, "describe_rules", "Rules", "ListenerArn", arns),
        _each(aws, "describe_listener_attributes", "Attributes", "ListenerArn", arns if whole else ()),
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


async def listed(aws: Aws) -> list[str]:
    """The ARNs of all load balancers and target groups. Raises `AwsError`."""
    balancers, groups = await asyncio.gather(
        aws.list("elbv2", "describe_load_balancers", "LoadBalancers"),
        aws.list("elbv2", "describe_target_groups", "TargetGroups"),
    )
    return [each["LoadBalancerArn"] for each in balancers] + [each["TargetGroupArn"] for each in groups]


async def tags(aws: Aws, arns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Tags of load balancers, listeners, rules and target groups, by ARN. Raises `AwsError` if one has been deleted."""
    found: dict[str, dict[str, str]] = {arn: {} for arn in arns}
    for answer in await asyncio.gather(
        *(aws.call("elbv2", "describe_tags", ResourceArns=chunk) for chunk in chunks(arns))
    ):
        for item in answer["TagDescriptions"]:
            found[item["ResourceArn"]] = read_tags(item)
    return found


def read_tags(item: Json) -> dict[str, str]:
    """The tags of a response of any service that has them under ``Tags``."""
    return {tag["Key"]: tag.get("Value") or "" for tag in item.get("Tags", ())}


def chunks(arns: Sequence[str]) -> Iterable[list[str]]:
    """ARNs in groups that fit into one describe call."""
    return (list(arns[start : start + CHUNK]) for start in range(0, len(arns), CHUNK))


async def _described(aws: Aws, operation: str, what: str, arns: Collection[str] | None) -> Items:
    """Restricted to those of `arns` that are ARNs of `what`."""
    if arns is None:
        return await aws.list("elbv2", operation, f"{what}s")
    ours = sorted(arn for arn in arns if f":{what.lower()}/" in arn)
    answers = await asyncio.gather(*(_some(aws, operation, what, chunk) for chunk in chunks(ours)))
    return [item for items in answers for item in items]


async def _some(aws: Aws, operation: str, what: str, arns: list[str]) -> Items:
    """If one has been deleted, the call fails for all: then each is read separately."""
    found = await _one(aws, operation, f"{what}s", {f"{what}Arns": arns})
    if found or len(arns) == 1:
        return found
    answers = await asyncio.gather(*(_some(aws, operation, what, [arn]) for arn in arns))
    return [item for items in answers for item in items]


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
