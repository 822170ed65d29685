"""The load balancer's own security group, and the one that all load balancers of the cluster share.

Source: aws-load-balancer-controller `pkg/deploy/ec2/`, `pkg/networking/backend_sg_provider.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Creation, Json, Resolve
from lockgate.ingress.changes.tags import missing_tags, spare_tags
from lockgate.ingress.existing import Existing, ExistingSecurityGroup, ForeignPermission
from lockgate.ingress.names import backend_security_group_name
from lockgate.ingress.stack import (
    BACKEND_RESOURCE_TAG,
    BACKEND_SECURITY_GROUP,
    CLUSTER_TAG,
    MANAGED_SECURITY_GROUP,
    Permission,
)
from lockgate.ingress.world import Settings


@dataclass(frozen=True, slots=True)
class CreateSecurityGroup(Creation):
    """Created in the controller's VPC."""

    service: ClassVar[str] = "ec2"
    operation: ClassVar[str] = "create_security_group"

    name: str
    description: str
    vpc_id: str
    tags: Mapping[str, str]

    def parameters(self, resolved: Resolve) -> Json:
        return {
            "GroupName": self.name,
            "Description": self.description,
            "VpcId": self.vpc_id,
            "TagSpecifications": [{"ResourceType": "security-group", "Tags": shapes.tags(self.tags)}],
        }

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["GroupId"])

    def __str__(self) -> str:
        return f"create security group {self.name}"


@dataclass(frozen=True, slots=True)
class _Permissions(Change):
    service: ClassVar[str] = "ec2"

    group: str
    permissions: tuple[Permission | ForeignPermission, ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"GroupId": resolved(self.group), "IpPermissions": [_shape(item) for item in self.permissions]}


@dataclass(frozen=True, slots=True)
class AuthorizeIngress(_Permissions):
    operation: ClassVar[str] = "authorize_security_group_ingress"

    def __str__(self) -> str:
        return f"allow to {self.group}: {', '.join(map(_words, self.permissions))}"


@dataclass(frozen=True, slots=True)
class RevokeIngress(_Permissions):
    operation: ClassVar[str] = "revoke_security_group_ingress"

    def __str__(self) -> str:
        return f"revoke from {self.group}: {', '.join(map(_words, self.permissions))}"


@dataclass(frozen=True, slots=True)
class DeleteSecurityGroup(Change):
    service: ClassVar[str] = "ec2"
    operation: ClassVar[str] = "delete_security_group"

    group: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"GroupId": self.group}

    def __str__(self) -> str:
        return f"delete security group {self.group}"


@dataclass(frozen=True, slots=True)
class CreateTags(Change):
    service: ClassVar[str] = "ec2"
    operation: ClassVar[str] = "create_tags"

    group: str
    tags: Mapping[str, str]

    def parameters(self, resolved: Resolve) -> Json:
        return {"Resources": [self.group], "Tags": shapes.tags(self.tags)}

    def __str__(self) -> str:
        return f"tag {self.group}: {', '.join(f'{key}={value}' for key, value in sorted(self.tags.items()))}"


@dataclass(frozen=True, slots=True)
class DeleteTags(Change):
    service: ClassVar[str] = "ec2"
    operation: ClassVar[str] = "delete_tags"

    group: str
    keys: tuple[str, ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"Resources": [self.group], "Tags": [{"Key": key} for key in self.keys]}

    def __str__(self) -> str:
        return f"remove tags of {self.group}: {', '.join(self.keys)}"


def managed_group(existing: Existing) -> ExistingSecurityGroup | None:
    return next((group for resource, group in existing.security_groups if resource == MANAGED_SECURITY_GROUP), None)


def backend_tags(settings: Settings) -> dict[str, str]:
    """The tags that identify the shared group."""
    return {CLUSTER_TAG: settings.cluster_name, BACKEND_RESOURCE_TAG: BACKEND_SECURITY_GROUP}


def security_group_changes(both: Comparison, vpc_id: str) -> Changes:
    """Permissions that others added to the managed group are revoked. Its name and description never change."""
    if (desired := both.stack.security_group) is not None:
        current = managed_group(both.existing)
        if current is None:
            yield CreateSecurityGroup(MANAGED_SECURITY_GROUP, desired.name, desired.description, vpc_id, desired.tags)
        else:
            yield from _tag_changes(both, current, desired.tags)
        group, there = both.id(MANAGED_SECURITY_GROUP), current.permissions if current else ()
        if spare := tuple(item for item in there if item not in desired.permissions):
            yield RevokeIngress(group, spare)
        if missing := tuple(item for item in desired.permissions if item not in there):
            yield AuthorizeIngress(group, missing)
    if both.stack.needs_backend_security_group and not both.existing.backend_security_group:
        yield _backend(both.settings, vpc_id)


def security_group_deletions(both: Comparison) -> Changes:
    kept = managed_group(both.existing) if both.stack.security_group is not None else None
    for _, group in both.existing.security_groups:
        if group is not kept:
            yield DeleteSecurityGroup(group.id)


def _backend(settings: Settings, vpc_id: str) -> CreateSecurityGroup:
    return CreateSecurityGroup(
        BACKEND_SECURITY_GROUP,
        backend_security_group_name(settings.cluster_name),
        "[k8s] Shared Backend SecurityGroup for LoadBalancer",
        vpc_id,
        dict(settings.default_tags) | backend_tags(settings),
    )


def _tag_changes(both: Comparison, current: ExistingSecurityGroup, desired: Mapping[str, str]) -> Changes:
    if missing := missing_tags(desired, current.tags):
        yield CreateTags(current.id, missing)
    if spare := spare_tags(both.settings, desired, current.tags):
        yield DeleteTags(current.id, spare)


def _words(item: Permission | ForeignPermission) -> str:
    if isinstance(item, Permission):
        return f"{item.protocol} {item.port} from {item.value}"
    return f"{item.protocol} {item.first_port}-{item.last_port} from {item.value}"


def _shape(item: Permission | ForeignPermission) -> Json:
    match item:
        case Permission(port, source, value, protocol):
            first, last, kind = port, port, str(source)
        case ForeignPermission(protocol, first, last, kind, value):
            pass
    shape: Json = {"IpProtocol": protocol}
    if first != -1:
        shape |= {"FromPort": first, "ToPort": last}
    match kind:
        case "cidr":
            shape["IpRanges"] = [{"CidrIp": value}]
        case "cidr-v6":
            shape["Ipv6Ranges"] = [{"CidrIpv6": value}]
        case "prefix-list":
            shape["PrefixListIds"] = [{"PrefixListId": value}]
        case _:
            shape["UserIdGroupPairs"] = [{"GroupId": value}]
    return shape
