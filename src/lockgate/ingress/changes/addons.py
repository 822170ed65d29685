"""Add-ons of a load balancer: its web ACL, Shield protection and reserved capacity.

Without an annotation, an add-on is not changed. Source: aws-load-balancer-controller `pkg/deploy/wafv2/`,
`pkg/deploy/shield/`, `pkg/deploy/elbv2/load_balancer_capacity_reservation_reconciler.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from lockgate.ingress.changes.change import Change, Changes, Comparison, Json, Resolve, named
from lockgate.ingress.stack import LOAD_BALANCER, Stack
from lockgate.ingress.world import Settings

PROTECTION: Final = "managed by aws-load-balancer-controller"
_OURS: Final = frozenset({PROTECTION, "managed by aws-alb-ingress-controller"})


@dataclass(frozen=True, slots=True)
class AssociateWebAcl(Change):
    """`replaces` is the web ACL that is associated now, if any."""

    service: ClassVar[str] = "wafv2"
    operation: ClassVar[str] = "associate_web_acl"

    load_balancer: str
    web_acl: str
    replaces: str = ""

    def parameters(self, resolved: Resolve) -> Json:
        return {"WebACLArn": self.web_acl, "ResourceArn": resolved(self.load_balancer)}

    def __str__(self) -> str:
        instead = f" instead of {named(self.replaces)}" if self.replaces else ""
        return f"associate web ACL {named(self.web_acl)} with {named(self.load_balancer)}{instead}"


@dataclass(frozen=True, slots=True)
class DisassociateWebAcl(Change):
    service: ClassVar[str] = "wafv2"
    operation: ClassVar[str] = "disassociate_web_acl"

    load_balancer: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"ResourceArn": resolved(self.load_balancer)}

    def __str__(self) -> str:
        return f"disassociate the web ACL of {named(self.load_balancer)}"


@dataclass(frozen=True, slots=True)
class CreateProtection(Change):
    service: ClassVar[str] = "shield"
    operation: ClassVar[str] = "create_protection"

    load_balancer: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"Name": PROTECTION, "ResourceArn": resolved(self.load_balancer)}

    def __str__(self) -> str:
        return f"protect {named(self.load_balancer)} with Shield Advanced"


@dataclass(frozen=True, slots=True)
class DeleteProtection(Change):
    service: ClassVar[str] = "shield"
    operation: ClassVar[str] = "delete_protection"

    load_balancer: str
    protection: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"ProtectionId": self.protection}

    def __str__(self) -> str:
        return f"delete the Shield Advanced protection of {named(self.load_balancer)}"


@dataclass(frozen=True, slots=True)
class ModifyCapacityReservation(Change):
    """0 units cancel the reservation."""

    operation: ClassVar[str] = "modify_capacity_reservation"

    load_balancer: str
    units: int

    def parameters(self, resolved: Resolve) -> Json:
        arn = {"LoadBalancerArn": resolved(self.load_balancer)}
        if not self.units:
            return {**arn, "ResetCapacityReservation": True}
        return {**arn, "MinimumLoadBalancerCapacity": {"CapacityUnits": self.units}}

    def __str__(self) -> str:
        return f"reserve {self.units} capacity units for {named(self.load_balancer)}"


def manages_web_acl(stack: Stack, settings: Settings) -> bool:
    return stack.web_acl is not None and settings.enable_wafv2


def manages_protection(stack: Stack, settings: Settings) -> bool:
    return stack.shield is not None and settings.enable_shield


def manages_capacity(stack: Stack, settings: Settings) -> bool:
    return stack.capacity_units is not None and "LBCapacityReservation" in settings.gates


def web_acl_changes(both: Comparison) -> Changes:
    desired, current = both.stack.web_acl, both.existing.web_acl
    if desired is None or not manages_web_acl(both.stack, both.settings) or desired.arn == current:
        return
    balancer = both.id(LOAD_BALANCER)
    yield AssociateWebAcl(balancer, desired.arn, current) if desired.arn else DisassociateWebAcl(balancer)


def protection_changes(both: Comparison) -> Changes:
    """As upstream, does nothing without a Shield Advanced subscription. Protections of other owners are not changed."""
    if not manages_protection(both.stack, both.settings) or not both.existing.shield_subscribed:
        return
    balancer, current = both.id(LOAD_BALANCER), both.existing.protection
    if both.stack.shield and current is None:
        yield CreateProtection(balancer)
    elif not both.stack.shield and current is not None and current.name in _OURS:
        yield DeleteProtection(balancer, current.id)


def capacity_changes(both: Comparison) -> Changes:
    units = both.stack.capacity_units
    if units is None or not manages_capacity(both.stack, both.settings):
        return
    if units != both.existing.capacity_units:
        yield ModifyCapacityReservation(both.id(LOAD_BALANCER), units)
