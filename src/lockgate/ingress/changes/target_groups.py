"""Target groups of a stack: created first, deleted after nothing forwards to them.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/target_group_synthesizer.go`,
`frontend_nlb_target_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Creation, Json, Resolve, at, is_pending, named
from lockgate.ingress.changes.tags import ModifyTargetGroupAttributes, attribute_changes, tag_changes
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import LOAD_BALANCER, Stack
from lockgate.loadbalancer.model import HealthCheck, TargetGroup


@dataclass(frozen=True, slots=True)
class CreateTargetGroup(Creation):
    operation: ClassVar[str] = "create_target_group"

    group: TargetGroup

    def parameters(self, resolved: Resolve) -> Json:
        return {**shapes.target_group(self.group), "Tags": shapes.tags(self.group.tags)}

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["TargetGroups"][0]["TargetGroupArn"])

    def __str__(self) -> str:
        group = self.group
        return f"create target group {group.name} ({group.protocol} {group.port}, {group.target_type}) for {self.makes}"


@dataclass(frozen=True, slots=True)
class ModifyTargetGroup(Change):
    """Sets its health check, the only part of a target group that can be modified."""

    operation: ClassVar[str] = "modify_target_group"

    arn: str
    health_check: HealthCheck
    grpc: bool = False

    def parameters(self, resolved: Resolve) -> Json:
        return {"TargetGroupArn": self.arn, **shapes.health_check(self.health_check, grpc=self.grpc)}

    def __str__(self) -> str:
        check = self.health_check
        path = "" if check.protocol == "TCP" else f" {check.path}"
        return f"set health check of {named(self.arn)}: {check.protocol}{path} on {check.port}"


@dataclass(frozen=True, slots=True)
class DeleteTargetGroup(Change):
    operation: ClassVar[str] = "delete_target_group"

    arn: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"TargetGroupArn": self.arn}

    def __str__(self) -> str:
        return f"delete {named(self.arn)}"


@dataclass(frozen=True, slots=True)
class RegisterTargets(Change):
    """Registers the application load balancer as the target of the load balancer in front."""

    operation: ClassVar[str] = "register_targets"

    group: str
    load_balancer: str
    ports: tuple[int, ...]

    def parameters(self, resolved: Resolve) -> Json:
        targets = [{"Id": resolved(self.load_balancer), "Port": port} for port in self.ports]
        return {"TargetGroupArn": resolved(self.group), "Targets": targets}

    def __str__(self) -> str:
        return f"register {named(self.load_balancer)} in {named(self.group)}"


@dataclass(frozen=True, slots=True)
class DeregisterTargets(Change):
    operation: ClassVar[str] = "deregister_targets"

    group: str
    load_balancer: str
    port: int

    def parameters(self, resolved: Resolve) -> Json:
        return {"TargetGroupArn": self.group, "Targets": [{"Id": self.load_balancer, "Port": self.port}]}

    def __str__(self) -> str:
        return f"deregister {named(self.load_balancer)} from {named(self.group)}"


def kept_groups(stack: Stack, existing: Existing) -> dict[str, TargetGroup]:
    """Existing target groups that the stack can use, unchanged or modified, by resource ID."""
    found: dict[str, TargetGroup] = {}
    for resource, group in existing.target_groups:
        desired = stack.target_groups.get(resource)
        if desired is not None and resource not in found and not _needs_replacement(desired, group):
            found[resource] = group
    return found


def spare_groups(stack: Stack, existing: Existing) -> tuple[TargetGroup, ...]:
    """Target groups that are no longer in the stack, or that must be replaced."""
    kept = {group.reference for group in kept_groups(stack, existing).values()}
    return tuple(group for _, group in existing.target_groups if group.reference not in kept)


def releases(both: Comparison) -> Changes:
    """Deregisters the load balancer from spare target groups, because a target and its listener cannot be deleted."""
    for group in spare_groups(both.stack, both.existing):
        if (target := both.existing.frontend_targets.get(group.reference)) is not None:
            yield DeregisterTargets(group.reference, target.id, target.port)


def group_changes(both: Comparison) -> Changes:
    kept = kept_groups(both.stack, both.existing)
    for reference, desired in both.stack.target_groups.items():
        yield from at(desired.origin, _group_changes(both, reference, desired, kept.get(reference)))


def _group_changes(both: Comparison, reference: str, desired: TargetGroup, current: TargetGroup | None) -> Changes:
    if current is None:
        yield CreateTargetGroup(reference, desired)
    else:
        yield from tag_changes(both, current.reference, desired.tags)
        if desired.health_check != current.health_check:
            yield ModifyTargetGroup(current.reference, desired.health_check, grpc=desired.protocol_version == "GRPC")
    yield from attribute_changes(both, ModifyTargetGroupAttributes, both.id(reference), desired.attributes)


def group_deletions(both: Comparison) -> Changes:
    for group in spare_groups(both.stack, both.existing):
        yield DeleteTargetGroup(group.reference)


def registrations(both: Comparison) -> Changes:
    """Compares only whether the load balancer is the target, not the port."""
    balancer, network = both.id(LOAD_BALANCER), both.stack.network
    for group in network.target_groups.values() if network is not None else ():
        reference = both.id(group.reference)
        target = None if is_pending(reference) else both.existing.frontend_targets.get(reference)
        if target is None or target.id != balancer:
            ports = tuple(target.port for target in group.targets)
            yield RegisterTargets(reference, balancer, ports, origin=group.origin)


def _needs_replacement(desired: TargetGroup, current: TargetGroup) -> bool:
    """As upstream, name, port, address type and VPC are not compared: a new node port keeps the group."""
    return (desired.target_type, desired.protocol, desired.protocol_version, desired.control_port) != (
        current.target_type,
        current.protocol,
        current.protocol_version,
        current.control_port,
    )
