"""What a group has in AWS already: everything that carries its tags."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from lockgate.controllers.aws import Aws, AwsError
from lockgate.ingress.existing import Existing, ExistingSecurityGroup, permissions
from lockgate.ingress.stack import CLUSTER_TAG, RESOURCE_TAG, STACK_TAG, GroupId
from lockgate.loadbalancer.elbv2 import Answers, load_balancers, target_group
from lockgate.loadbalancer.elbv2_network import network_load_balancers

Json: TypeAlias = Mapping[str, Any]
Tags: TypeAlias = dict[str, str]


_GONE = ("LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound", "InvalidGroup.NotFound")


class Unexpected(Exception):
    """AWS has something with our tags that we cannot have made; the text is the controller's."""


class Inventory:
    """Remembers which group owns what, by ARN or security group id, so that reading one group lists no whole account.

    Ownership is written once, at creation; upstream caches it too. The account is listed at the start, when something
    of ours turns out to be gone, and after `forget`. `backend` is the security group that all groups share, once found.
    """

    def __init__(self, aws: Aws, *, cluster_name: str) -> None:
        self._aws = aws
        self._cluster_name = cluster_name
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        self.backend: str | None = None
        self._learned = False
        self._turn = asyncio.Lock()

    def made(self, what: str, group: GroupId) -> None:
        self._owned[str(group)].add(what)

    def gone(self, what: str, group: GroupId) -> None:
        owned = self._owned[str(group)]
        owned.discard(what)
        if not owned:
            del self._owned[str(group)]

    def forget(self) -> None:
        self._learned = False

    async def of(self, group: GroupId) -> Existing:
        """Everything that the group has. Raises `Unexpected` and `AwsError`."""
        try:
            return await self._read(group)
        except AwsError as error:
            if error.code not in _GONE:
                raise
        self.forget()  # somebody deleted something: list the account again
        return await self._read(group)

    async def _read(self, group: GroupId) -> Existing:
        await self._learn()
        owned = sorted(self._owned.get(str(group), ()))
        arns = [each for each in owned if each.startswith("arn:")]
        balancers, target_groups, security_groups = await asyncio.gather(
            self._by_arn("describe_load_balancers", "LoadBalancer", [arn for arn in arns if ":loadbalancer/" in arn]),
            self._by_arn("describe_target_groups", "TargetGroup", [arn for arn in arns if ":targetgroup/" in arn]),
            self._security_groups([each for each in owned if not each.startswith("arn:")]),
        )
        answers = await self._answers(balancers, target_groups)
        read, networks = load_balancers(answers), network_load_balancers(answers)
        groups = tuple(target_group(item, answers) for item in target_groups)
        listeners = [listener for balancer in read for listener in balancer.listeners]
        arns += [arn for listener in listeners for arn in (listener.arn, *(rule.arn for rule in listener.rules))]
        arns += [listener.arn for balancer in networks for listener in balancer.listeners]
        tags = await self._tags(arns)
        return Existing(
            balancers=tuple((_resource(tags[item.arn], "loadBalancer", item.arn), item) for item in read),
            networks=tuple((_resource(tags[item.arn], "loadBalancer", item.arn), item) for item in networks),
            target_groups=tuple(
                (_resource(tags[item.reference], "targetGroup", item.reference), item) for item in groups
            ),
            security_groups=tuple(
                (_resource(group.tags, "securityGroup", group.id), group)
                for group in map(_security_group, security_groups)
            ),
            tags=tags,
            listener_certificates={
                arn: tuple(item["CertificateArn"] for item in items if not item.get("IsDefault"))
                for arn, items in answers.listener_certificates.items()
            },
            ipam_pools={
                item["LoadBalancerArn"]: item["IpamPools"]["Ipv4IpamPoolId"]
                for item in balancers
                if item.get("IpamPools", {}).get("Ipv4IpamPoolId")
            },
        )

    async def _learn(self) -> None:
        async with self._turn:
            if self._learned:
                return
            before = {stack: frozenset(owned) for stack, owned in self._owned.items()}
            ours = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster_name]}]
            balancers, target_groups, security_groups = await asyncio.gather(
                self._aws.list("elbv2", "describe_load_balancers", "LoadBalancers"),
                self._aws.list("elbv2", "describe_target_groups", "TargetGroups"),
                self._aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=ours),
            )
            arns = [item["LoadBalancerArn"] for item in balancers]
            arns += [item["TargetGroupArn"] for item in target_groups]
            tags = await self._tags(arns)
            tags |= {item["GroupId"]: read_tags(item) for item in security_groups}
            learned: defaultdict[str, set[str]] = defaultdict(set)
            for what, found in tags.items():
                if found.get(CLUSTER_TAG) == self._cluster_name and STACK_TAG in found:
                    learned[found[STACK_TAG]].add(what)
            for stack, owned in self._owned.items():  # other groups were reconciled meanwhile
                known = before.get(stack, frozenset())
                learned[stack] = (learned[stack] | (owned - known)) - (known - owned)
            self._owned, self._learned = learned, True

    async def _security_groups(self, ids: Sequence[str]) -> list[Json]:
        return await self._aws.list("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids) if ids else []

    async def _by_arn(self, operation: str, what: str, arns: Sequence[str]) -> list[Json]:
        """Twenty to a call, as the API allows; without ARNs it would list everything."""
        answers = await asyncio.gather(
            *(self._aws.list("elbv2", operation, f"{what}s", **{f"{what}Arns": chunk}) for chunk in _twenties(arns))
        )
        return [item for answer in answers for item in answer]

    async def _tags(self, arns: Sequence[str]) -> dict[str, Tags]:
        """Of load balancers, listeners, rules and target groups."""
        found: dict[str, Tags] = {arn: {} for arn in arns}
        for answer in await asyncio.gather(
            *(self._aws.call("elbv2", "describe_tags", ResourceArns=chunk) for chunk in _twenties(arns))
        ):
            for item in answer["TagDescriptions"]:
                found[item["ResourceArn"]] = read_tags(item)
        return found

    async def _answers(self, balancers: Sequence[Json], target_groups: Sequence[Json]) -> Answers:
        """Listeners and rules of what the group has; targets are the bindings' business."""
        aws = self._aws
        balancer_arns = [item["LoadBalancerArn"] for item in balancers]
        listeners = await _each(aws, "describe_listeners", "Listeners", "LoadBalancerArn", balancer_arns)
        all_listeners = [item for items in listeners.values() for item in items]
        arns = [item["ListenerArn"] for item in all_listeners]
        secure = [item["ListenerArn"] for item in all_listeners if item["Protocol"] == "HTTPS"]
        rules, certificates = await asyncio.gather(
            _each(aws, "describe_rules", "Rules", "ListenerArn", arns),
            _each(aws, "describe_listener_certificates", "Certificates", "ListenerArn", secure),
        )
        return Answers(
            load_balancers=balancers,
            listeners=listeners,
            listener_certificates=certificates,
            rules=rules,
            target_groups=target_groups,
        )


def read_tags(item: Json) -> Tags:
    return {tag["Key"]: tag.get("Value") or "" for tag in item.get("Tags", ())}


def _security_group(item: Json) -> ExistingSecurityGroup:
    return ExistingSecurityGroup(item["GroupId"], tuple(permissions(item.get("IpPermissions", ()))), read_tags(item))


def _resource(tags: Mapping[str, str], what: str, arn: str) -> str:
    if RESOURCE_TAG not in tags:
        raise Unexpected(f"unexpected {what} with no resourceID: {arn}")
    return tags[RESOURCE_TAG]


def _twenties(arns: Sequence[str]) -> Iterable[list[str]]:
    return (list(arns[start : start + 20]) for start in range(0, len(arns), 20))


async def _each(aws: Aws, operation: str, items: str, parameter: str, arns: Sequence[str]) -> dict[str, list[Json]]:
    answers = await asyncio.gather(*(aws.list("elbv2", operation, items, **{parameter: arn}) for arn in arns))
    return dict(zip(arns, answers, strict=True))
