"""A reading of ELBv2's state through its API, calls side by side: of everything, or of what somebody touched."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Collection, Sequence
from typing import Any

from lockgate.controllers.aws import Aws, AwsError
from lockgate.loadbalancer.elbv2 import Answers, Json

log = logging.getLogger("lockgate.elastic_load_balancing")

Items = Sequence[Json]
CHUNK = 20  # ARNs of one describing call, at most


async def read(aws: Aws, arns: Collection[str] | None = None) -> Answers:
    """Everything, or the load balancers and target groups with these ARNs and what belongs to them.

    Raises `AwsError`, except for what is gone: that is missing, or read as empty where it was deleted meanwhile.
    """
    balancers, groups = await asyncio.gather(
        _described(aws, "describe_load_balancers", "LoadBalancer", arns),
        _described(aws, "describe_target_groups", "TargetGroup", arns),
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


async def listed(aws: Aws) -> list[str]:
    """The ARNs of all load balancers and target groups. Raises `AwsError`."""
    balancers, groups = await asyncio.gather(
        aws.list("elbv2", "describe_load_balancers", "LoadBalancers"),
        aws.list("elbv2", "describe_target_groups", "TargetGroups"),
    )
    return [each["LoadBalancerArn"] for each in balancers] + [each["TargetGroupArn"] for each in groups]


async def _described(aws: Aws, operation: str, what: str, arns: Collection[str] | None) -> Items:
    """Of `arns` those that are ARNs of `what`."""
    if arns is None:
        return await aws.list("elbv2", operation, f"{what}s")
    ours = sorted(arn for arn in arns if f":{what.lower()}/" in arn)
    chunks = [ours[start : start + CHUNK] for start in range(0, len(ours), CHUNK)]
    answers = await asyncio.gather(*(_some(aws, operation, what, chunk) for chunk in chunks))
    return [item for items in answers for item in items]


async def _some(aws: Aws, operation: str, what: str, arns: list[str]) -> Items:
    """One that is gone fails the call for all: then each is asked for alone."""
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


async def trust_store(aws: Aws, arn: str) -> tuple[str, str] | None:
    """A trust store's authorities and revocations as PEM; None where it cannot be read."""
    try:
        answer = await aws.call("elbv2", "get_trust_store_ca_certificates_bundle", TrustStoreArn=arn)
        authorities = await _fetch(answer["Location"])
        lists = await aws.list("elbv2", "describe_trust_store_revocations", "TrustStoreRevocations", TrustStoreArn=arn)
        revocations = []
        for each in lists:
            answer = await aws.call(
                "elbv2",
                "get_trust_store_revocation_content",
                TrustStoreArn=arn,
                RevocationId=each["RevocationId"],
            )
            revocations.append(_crl_as_pem(await _fetch(answer["Location"])))
    except (AwsError, OSError) as error:
        log.warning("cannot read trust store %s: %s", arn, error)
        return None
    return authorities.decode(), "".join(revocations)


async def _fetch(url: str) -> bytes:
    """What the API points to, such as an object in S3. Raises `OSError`."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.get(url)
            return answer.raise_for_status().content
    except httpx.HTTPError as error:
        raise OSError(f"{url}: {error}") from error


def _crl_as_pem(content: bytes) -> str:
    if content.lstrip().startswith(b"-----"):
        return content.decode()
    body = b64encode(content).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n"
