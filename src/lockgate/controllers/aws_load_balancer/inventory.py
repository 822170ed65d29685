"""The existing AWS resources of a group or Service: everything with its tags."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from lockgate.controllers import elbv2
from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.elbv2 import read_tags
from lockgate.ingress.existing import Existing, ExistingSecurityGroup, permissions
from lockgate.ingress.stack import CLUSTER_TAG, GroupId, ServiceId, StackId
from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.elbv2 import Answers, Json, UnknownShape
from lockgate.loadbalancer.model import Listener

_Owner: TypeAlias = tuple[str, str]  # the stack tag and its value
_REST = 10  # times what a listing took
_GONE = ("LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound", "InvalidGroup.NotFound")


class Unexpected(Exception):
    """A resource with our tags that the controller cannot have created. The text is the controller's."""


class _Gone(Unexpected):
    """A resource of the stack was deleted by another client."""


class Inventory:
    """Finds which stack owns what by tag, as upstream does for every build.

    Tags are set at creation; upstream caches them, too. In a large account, listing takes longest: a listing is used
    for a time in proportion to what it took, with what we made and deleted since. `backend` is the security group that
    all stacks share, once found.
    """

    def __init__(self, aws: Aws, *, cluster_name: str) -> None:
        self._aws = aws
        self._cluster_name = cluster_name
        self._owned: defaultdict[_Owner, set[str]] = defaultdict(set)
        self.backend: str | None = None
        self._tags: dict[str, dict[str, str]] = {}
        self._listed_until = 0.0
        self._turn = asyncio.Lock()

    def made(self, what: str, stack: StackId) -> None:
        self._owned[_owner(stack)].add(what)

    def gone(self, what: str, stack: StackId) -> None:
        owned = self._owned[_owner(stack)]
        owned.discard(what)
        if not owned:
            del self._owned[_owner(stack)]

    def forget(self) -> None:
        self._tags, self._listed_until = {}, 0.0

    async def of(self, stack: StackId) -> Existing:
        """All resources of the stack. Raises `Unexpected`, `UnknownShape` and `AwsError`."""
        try:
            return await self._read(stack)
        except _Gone:  # a resource was deleted by another client: list the account again
            self.forget()
            return await self._read(stack)

    async def _read(self, stack: StackId) -> Existing:
        try:
            await self._learn()
            owned = self._owned.get(_owner(stack), set())
            arns = {each for each in owned if each.startswith("arn:")}
            answers, security_groups = await asyncio.gather(
                elbv2.read(self._aws, arns, whole=False), self._security_groups(sorted(owned - arns))
            )
            found = {each["LoadBalancerArn"] for each in answers.load_balancers}
            if gone := arns - found - {each["TargetGroupArn"] for each in answers.target_groups}:
                raise _Gone(f"deleted meanwhile: {', '.join(sorted(gone))}")
            state = Discovered().after(answers, None, _refuse)
            tags = await elbv2.tags(self._aws, list(_tagged(state)))
            return _existing(state, answers, security_groups, tags, stack.RESOURCE_TAG)
        except AwsError as error:
            if error.code in _GONE:
                raise _Gone(str(error)) from error
            raise

    async def _learn(self) -> None:
        async with self._turn:
            began = time.monotonic()
            if began < self._listed_until:
                return
            before = {owner: frozenset(owned) for owner, owned in self._owned.items()}
            filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster_name]}]
            arns, security_groups = await asyncio.gather(
                elbv2.listed(self._aws),
                self._aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=filters),
            )
            read = await elbv2.tags(self._aws, [arn for arn in arns if arn not in self._tags])
            self._tags = {arn: read[arn] if arn in read else self._tags[arn] for arn in arns}
            tags = self._tags | {item["GroupId"]: read_tags(item) for item in security_groups}
            learned: defaultdict[_Owner, set[str]] = defaultdict(set)
            for what, found in tags.items():
                ours = found.get(CLUSTER_TAG) == self._cluster_name
                for tag in (GroupId.STACK_TAG, ServiceId.STACK_TAG):
                    if ours and tag in found:
                        learned[tag, found[tag]].add(what)
            for owner, owned in self._owned.items():  # other stacks were reconciled in the meantime
                known = before.get(owner, frozenset())
                learned[owner] = (learned[owner] | (owned - known)) - (known - owned)
            self._owned = learned
            self._listed_until = time.monotonic() + _REST * (time.monotonic() - began)

    async def _security_groups(self, ids: Sequence[str]) -> list[Json]:
        return await self._aws.list("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids) if ids else []


def _owner(stack: StackId) -> _Owner:
    return stack.STACK_TAG, str(stack)


def _existing(
    state: Discovered,
    answers: Answers,
    security_groups: Iterable[Json],
    tags: Mapping[str, Mapping[str, str]],
    resource_tag: str,
) -> Existing:
    """Without targets, which bindings reconcile."""

    def resource(tags: Mapping[str, str], what: str, arn: str) -> str:
        if resource_tag not in tags:
            raise Unexpected(f"unexpected {what} with no resourceID: {arn}")
        return tags[resource_tag]

    balancers, networks = state.load_balancers.items(), state.network_load_balancers.items()
    return Existing(
        balancers=tuple((resource(tags[arn], "loadBalancer", arn), item) for arn, item in balancers),
        networks=tuple((resource(tags[arn], "loadBalancer", arn), item) for arn, item in networks),
        target_groups=tuple(
            (resource(tags[arn], "targetGroup", arn), item) for arn, item in state.target_groups.items()
        ),
        security_groups=tuple(
            (resource(group.tags, "securityGroup", group.id), group) for group in map(_security_group, security_groups)
        ),
        tags=tags,
        listener_certificates={
            arn: tuple(item["CertificateArn"] for item in items if not item.get("IsDefault"))
            for arn, items in answers.listener_certificates.items()
        },
        ipam_pools={
            item["LoadBalancerArn"]: item["IpamPools"]["Ipv4IpamPoolId"]
            for item in answers.load_balancers
            if item.get("IpamPools", {}).get("Ipv4IpamPoolId")
        },
    )


def _tagged(state: Discovered) -> Iterator[str]:
    """All resources that can have tags."""
    yield from state.target_groups
    for balancer in state.all:
        yield balancer.arn
        for listener in balancer.listeners:
            yield listener.arn
            if isinstance(listener, Listener):
                yield from (rule.arn for rule in listener.rules)


def _refuse(arn: str, fault: UnknownShape) -> None:
    raise fault


def _security_group(item: Json) -> ExistingSecurityGroup:
    return ExistingSecurityGroup(item["GroupId"], tuple(permissions(item.get("IpPermissions", ()))), read_tags(item))
