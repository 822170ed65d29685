"""Reading AWS for the controller: what a build chooses from, and what a group has already."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lockgate.controllers.aws import Aws
from lockgate.loadbalancer.elbv2 import Answers, load_balancers, target_group
from lockgate.loadbalancer.ingress.wants import Want
from lockgate.loadbalancer.ingress.world import Account, Certificate, ExistingLoadBalancer
from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.loadbalancer.stack import CLUSTER_TAG, RESOURCE_TAG, STACK_TAG, GroupId
from lockgate.loadbalancer.subnets import Subnet

Json: TypeAlias = Mapping[str, Any]
Tags: TypeAlias = dict[str, str]


class Unexpected(Exception):
    """AWS has something with our tags that we cannot have made; the text is the controller's."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What carries a group's tags. Mappings go by resource id; tags by ARN.

    `balancers` are more than one only where somebody copied tags. `listener_certificates` holds those besides the
    default one, by listener.
    """

    balancers: tuple[tuple[str, LoadBalancer], ...] = ()
    target_groups: tuple[tuple[str, TargetGroup], ...] = ()
    security_groups: tuple[tuple[str, Json], ...] = ()
    tags: Mapping[str, Tags] = field(default_factory=dict)
    listener_certificates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def summary(self) -> ExistingLoadBalancer | None:
        for resource, balancer in self.balancers:
            if resource == "LoadBalancer":
                return ExistingLoadBalancer(balancer.scheme, balancer.subnets)
        return None


class AccountReader:
    """Remembers to whom an ARN belongs, as upstream caches tags: ownership is written once, at creation."""

    def __init__(self, aws: Aws, *, cluster_name: str, vpc_id: str) -> None:
        self._aws = aws
        self._cluster_name = cluster_name
        self._vpc_id = vpc_id
        self._owner: dict[str, str | None] = {}

    async def choices(self, wanted: frozenset[Want], existing: Existing) -> Account:
        """What the build may choose from; what it does not want stays None."""
        reads = {
            Want.SUBNETS: self._subnets() if Want.SUBNETS in wanted else None,
            Want.CERTIFICATES: self._certificates() if Want.CERTIFICATES in wanted else None,
            Want.SECURITY_GROUPS: self._security_groups() if Want.SECURITY_GROUPS in wanted else None,
            Want.TRUST_STORES: self._trust_stores() if Want.TRUST_STORES in wanted else None,
            Want.TARGET_GROUPS: self._target_groups() if Want.TARGET_GROUPS in wanted else None,
            Want.WEB_ACLS: self._web_acls() if Want.WEB_ACLS in wanted else None,
        }
        asked = [want for want, read in reads.items() if read is not None]
        answers = dict(zip(asked, await asyncio.gather(*(read for read in reads.values() if read)), strict=True))
        return Account(
            vpc_id=self._vpc_id,
            subnets=answers.get(Want.SUBNETS, ()),  # type: ignore[arg-type]  # one dict for six types
            certificates=answers.get(Want.CERTIFICATES),  # type: ignore[arg-type]
            security_groups=answers.get(Want.SECURITY_GROUPS),  # type: ignore[arg-type]
            trust_stores=answers.get(Want.TRUST_STORES),  # type: ignore[arg-type]
            target_groups=answers.get(Want.TARGET_GROUPS),  # type: ignore[arg-type]
            web_acls=answers.get(Want.WEB_ACLS),  # type: ignore[arg-type]
            existing=existing.summary,
        )

    async def existing(self, group: GroupId) -> Existing:
        """Everything that the group has. Raises `Unexpected` and `AwsError`."""
        aws = self._aws
        balancers, target_groups, security_groups = await asyncio.gather(
            aws.list("elbv2", "describe_load_balancers", "LoadBalancers"),
            aws.list("elbv2", "describe_target_groups", "TargetGroups"),
            aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=self._tag_filters(group)),
        )
        await self._learn_owners(
            [item["LoadBalancerArn"] for item in balancers] + [item["TargetGroupArn"] for item in target_groups]
        )
        mine = str(group)
        balancers = [item for item in balancers if self._owner[item["LoadBalancerArn"]] == mine]
        target_groups = [item for item in target_groups if self._owner[item["TargetGroupArn"]] == mine]
        answers = await self._answers(balancers, target_groups)
        read = load_balancers(answers)
        groups = tuple(target_group(item, answers) for item in target_groups)
        arns = [balancer.arn for balancer in read] + [item.reference for item in groups]
        for balancer in read:
            for listener in balancer.listeners:
                arns += [listener.arn, *(rule.arn for rule in listener.rules)]
        tags = await self.tags(arns)
        return Existing(
            balancers=tuple((_resource(tags[item.arn], "loadBalancer", item.arn), item) for item in read),
            target_groups=tuple(
                (_resource(tags[item.reference], "targetGroup", item.reference), item) for item in groups
            ),
            security_groups=tuple(
                (_resource(read_tags(item), "securityGroup", item["GroupId"]), item) for item in security_groups
            ),
            tags=tags,
            listener_certificates={
                arn: tuple(item["CertificateArn"] for item in items if not item.get("IsDefault"))
                for arn, items in answers.listener_certificates.items()
            },
        )

    async def tags(self, arns: Sequence[str]) -> dict[str, Tags]:
        """Of load balancers, listeners, rules and target groups: twenty to a call, as the API allows."""
        chunks = [arns[start : start + 20] for start in range(0, len(arns), 20)]
        found: dict[str, Tags] = {arn: {} for arn in arns}
        for answer in await asyncio.gather(
            *(self._aws.call("elbv2", "describe_tags", ResourceArns=list(chunk)) for chunk in chunks)
        ):
            for item in answer["TagDescriptions"]:
                found[item["ResourceArn"]] = read_tags(item)
        return found

    def made(self, arn: str, group: GroupId) -> None:
        """Remember whose a thing is that was just made."""
        self._owner[arn] = str(group)

    async def _learn_owners(self, arns: Iterable[str]) -> None:
        arns = list(arns)
        for gone in self._owner.keys() - set(arns):
            del self._owner[gone]
        for arn, tags in (await self.tags([arn for arn in arns if arn not in self._owner])).items():
            ours = tags.get(CLUSTER_TAG) == self._cluster_name
            self._owner[arn] = tags.get(STACK_TAG) if ours else None

    async def _answers(self, balancers: Sequence[Json], target_groups: Sequence[Json]) -> Answers:
        """Rules and attributes of what the group has; targets are the bindings' business."""
        aws = self._aws
        balancer_arns = [item["LoadBalancerArn"] for item in balancers]
        group_arns = [item["TargetGroupArn"] for item in target_groups]
        listeners, balancer_attributes, group_attributes = await asyncio.gather(
            _each(aws, "describe_listeners", "Listeners", "LoadBalancerArn", balancer_arns),
            _each(aws, "describe_load_balancer_attributes", "Attributes", "LoadBalancerArn", balancer_arns),
            _each(aws, "describe_target_group_attributes", "Attributes", "TargetGroupArn", group_arns),
        )
        all_listeners = [item for items in listeners.values() for item in items]
        arns = [item["ListenerArn"] for item in all_listeners]
        secure = [item["ListenerArn"] for item in all_listeners if item["Protocol"] == "HTTPS"]
        rules, certificates, attributes = await asyncio.gather(
            _each(aws, "describe_rules", "Rules", "ListenerArn", arns),
            _each(aws, "describe_listener_certificates", "Certificates", "ListenerArn", secure),
            _each(aws, "describe_listener_attributes", "Attributes", "ListenerArn", arns),
        )
        return Answers(
            load_balancers=balancers,
            load_balancer_attributes=balancer_attributes,
            listeners=listeners,
            listener_attributes=attributes,
            listener_certificates=certificates,
            rules=rules,
            target_groups=target_groups,
            target_group_attributes=group_attributes,
        )

    def _tag_filters(self, group: GroupId) -> list[Json]:
        return [
            {"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster_name]},
            {"Name": f"tag:{STACK_TAG}", "Values": [str(group)]},
        ]

    async def _subnets(self) -> tuple[Subnet, ...]:
        in_vpc = [{"Name": "vpc-id", "Values": [self._vpc_id]}]
        subnets, tables = await asyncio.gather(
            self._aws.list("ec2", "describe_subnets", "Subnets", Filters=in_vpc),
            self._aws.list("ec2", "describe_route_tables", "RouteTables", Filters=in_vpc),
        )
        public: dict[str, bool] = {}
        main = False
        for table in tables:
            leads_out = any(str(route.get("GatewayId", "")).startswith("igw") for route in table.get("Routes", ()))
            for association in table.get("Associations", ()):
                if association.get("Main"):
                    main = leads_out
                elif "SubnetId" in association:
                    public[association["SubnetId"]] = leads_out
        return tuple(
            Subnet(
                id=item["SubnetId"],
                zone=item["AvailabilityZone"],
                tags=read_tags(item),
                free_addresses=item.get("AvailableIpAddressCount", 0),
                has_ipv6=bool(item.get("Ipv6CidrBlockAssociationSet")),
                locale="outpost" if item.get("OutpostArn") else "availability-zone",
                public=public.get(item["SubnetId"], main),
            )
            for item in subnets
        )

    async def _certificates(self) -> tuple[Certificate, ...]:
        listed = await self._aws.list(
            "acm", "list_certificates", "CertificateSummaryList", CertificateStatuses=["ISSUED"]
        )
        described = await asyncio.gather(
            *(self._aws.call("acm", "describe_certificate", CertificateArn=item["CertificateArn"]) for item in listed)
        )
        return tuple(
            Certificate(
                item["Certificate"]["CertificateArn"], tuple(item["Certificate"].get("SubjectAlternativeNames", ()))
            )
            for item in described
        )

    async def _security_groups(self) -> dict[str, tuple[str, ...]]:
        in_vpc = [{"Name": "vpc-id", "Values": [self._vpc_id]}]
        found: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
        for item in await self._aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=in_vpc):
            found[item["GroupId"]] += (item["GroupId"],)
            if name := read_tags(item).get("Name"):
                found[name] += (item["GroupId"],)
        return dict(found)

    async def _trust_stores(self) -> dict[str, str]:
        stores = await self._aws.list("elbv2", "describe_trust_stores", "TrustStores")
        return {item["Name"]: item["TrustStoreArn"] for item in stores}

    async def _target_groups(self) -> dict[str, str]:
        groups = await self._aws.list("elbv2", "describe_target_groups", "TargetGroups")
        return {item["TargetGroupName"]: item["TargetGroupArn"] for item in groups}

    async def _web_acls(self) -> dict[str, str]:
        answer = await self._aws.call("wafv2", "list_web_acls", Scope="REGIONAL")
        return {item["Name"]: item["ARN"] for item in answer["WebACLs"]}


def read_tags(item: Json) -> Tags:
    return {tag["Key"]: tag.get("Value") or "" for tag in item.get("Tags", ())}


def _resource(tags: Tags, what: str, arn: str) -> str:
    if RESOURCE_TAG not in tags:
        raise Unexpected(f"unexpected {what} with no resourceID: {arn}")
    return tags[RESOURCE_TAG]


async def _each(aws: Aws, operation: str, items: str, parameter: str, arns: Sequence[str]) -> dict[str, list[Json]]:
    answers = await asyncio.gather(*(aws.list("elbv2", operation, items, **{parameter: arn}) for arn in arns))
    return dict(zip(arns, answers, strict=True))
