"""Reads the evidence: what the AWS account knows of the host and of the load balancer that it leads to.

Each part that the credentials do not allow is left out, and named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from lockgate.controllers import elbv2
from lockgate.controllers.aws import Aws, AwsError
from lockgate.errors import CommandError
from lockgate.loadbalancer.elbv2 import Answers
from lockgate.probe.evidence import AcmCertificate, Balancer, Group, Json, Record, TargetState

_MOST_CERTIFICATES = 25


async def records(aws: Aws, host: str) -> tuple[Record, ...]:
    """The record sets at a name, in every hosted zone that could hold it. Raises `AwsError`."""
    name = host.rstrip(".").lower() + "."
    zones = await aws.list("route53", "list_hosted_zones", "HostedZones")
    holding = [zone for zone in zones if name == zone["Name"] or name.endswith(f".{zone['Name']}")]
    found = await asyncio.gather(
        *(
            aws.call(
                "route53", "list_resource_record_sets", HostedZoneId=zone["Id"], StartRecordName=name, MaxItems="20"
            )
            for zone in holding
        )
    )
    return tuple(
        _record(each, zone)
        for zone, answer in zip(holding, found, strict=True)
        for each in answer["ResourceRecordSets"]
        if each["Name"].lower() == name
    )


def _record(answer: Json, zone: Json) -> Record:
    return Record(
        answer["Name"],
        answer["Type"],
        zone["Id"].rpartition("/")[2],
        (answer.get("AliasTarget") or {}).get("DNSName", ""),
        tuple(each["Value"] for each in answer.get("ResourceRecords", ())),
        answer.get("SetIdentifier", ""),
        bool((zone.get("Config") or {}).get("PrivateZone")),
    )


async def balancers(aws: Aws) -> tuple[Balancer, ...]:
    """Every load balancer with its listeners, rules, attributes, and targets' health. Raises `AwsError`."""
    return tuple(_balancers(await elbv2.read(aws)))


def _balancers(answers: Answers) -> Iterator[Balancer]:
    groups = [_group(each, answers) for each in answers.target_groups]
    for each in answers.load_balancers:
        arn = each["LoadBalancerArn"]
        behind = {group["TargetGroupArn"] for group in answers.target_groups if arn in group["LoadBalancerArns"]}
        listeners = tuple(answers.listeners.get(arn, ()))
        state = each.get("State") or {}
        yield Balancer(
            name=each["LoadBalancerName"],
            arn=arn,
            dns_name=each["DNSName"],
            state=state.get("Code", ""),
            reason=state.get("Reason", ""),
            scheme=each.get("Scheme", ""),
            ip_address_type=each.get("IpAddressType", ""),
            listeners=listeners,
            rules={one["ListenerArn"]: tuple(answers.rules.get(one["ListenerArn"], ())) for one in listeners},
            attributes={item["Key"]: item["Value"] for item in answers.load_balancer_attributes.get(arn, ())},
            groups=tuple(group for group in groups if group.arn in behind),
        )


def _group(answer: Json, answers: Answers) -> Group:
    arn = answer["TargetGroupArn"]
    return Group(
        name=answer["TargetGroupName"],
        arn=arn,
        protocol=answer.get("Protocol", ""),
        protocol_version=answer.get("ProtocolVersion", ""),
        port=int(answer.get("Port") or 0),
        target_type=answer.get("TargetType", ""),
        check={
            "Protocol": answer.get("HealthCheckProtocol", ""),
            "Port": answer.get("HealthCheckPort", ""),
            "Path": answer.get("HealthCheckPath", ""),
        },
        targets=tuple(_target(answer["TargetGroupName"], each) for each in answers.target_health.get(arn, ())),
    )


def _target(group: str, answer: Json) -> TargetState:
    target, health = answer["Target"], answer.get("TargetHealth") or {}
    return TargetState(
        group,
        f"{target['Id']}:{target['Port']}" if target.get("Port") else target["Id"],
        health.get("State", ""),
        health.get("Reason", ""),
        health.get("Description", ""),
    )


class NoSuchLoadBalancer(CommandError):
    """The account has no load balancer of this name."""

    hint = "`aws elbv2 describe-load-balancers` lists them; --region says where"


async def dns_name_of(aws: Aws, name: str) -> str:
    """The DNS name of a load balancer. Raises `NoSuchLoadBalancer`."""
    try:
        (found,) = await aws.list("elbv2", "describe_load_balancers", "LoadBalancers", Names=[name])
    except AwsError as error:
        if error.code.startswith("LoadBalancerNotFound"):
            raise NoSuchLoadBalancer(f"{aws.region} has no load balancer {name}") from None
        raise NoSuchLoadBalancer(denied(error, "elasticloadbalancing:DescribeLoadBalancers")) from None
    return str(found["DNSName"])


async def certificates(aws: Aws, balancer: Balancer, port: int) -> tuple[AcmCertificate, ...]:
    """What ACM says of the certificates of a listener. Raises `AwsError`."""
    listener = balancer.listener(port)
    arns = [each["CertificateArn"] for each in (listener or {}).get("Certificates") or ()][:_MOST_CERTIFICATES]
    found = await asyncio.gather(*(aws.call("acm", "describe_certificate", CertificateArn=arn) for arn in arns))
    return tuple(_acm(each["Certificate"]) for each in found)


def _acm(answer: Json) -> AcmCertificate:
    renewal: dict[str, Any] = answer.get("RenewalSummary") or {}
    return AcmCertificate(
        answer["CertificateArn"],
        answer.get("Type", ""),
        answer.get("Status", ""),
        renewal.get("RenewalStatus", ""),
        answer.get("RenewalEligibility") == "ELIGIBLE",
    )


def denied(error: AwsError, action: str) -> str:
    """One line for a part that could not be read. `action` is the IAM action that is missing."""
    if error.code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
        return f"{action} is not allowed"
    return f"{action}: {error.code}: {error.message}"
