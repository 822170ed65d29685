"""What an account already has of a group, as values: the other side of a `Stack` when the two are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate.ingress.stack import LOAD_BALANCER, Permission
from lockgate.ingress.world import ExistingLoadBalancer
from lockgate.loadbalancer.model import LoadBalancer, Target, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import elbv2


@dataclass(frozen=True, slots=True)
class ForeignPermission:
    """A permission that the controller never makes. Ports are -1 where the protocol has none."""

    protocol: str
    first_port: int
    last_port: int
    source: str
    value: str


@dataclass(frozen=True, slots=True)
class ExistingSecurityGroup:
    id: str
    permissions: tuple[Permission | ForeignPermission, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExistingCertificate:
    arn: str
    names: frozenset[str]
    issued: bool


@dataclass(frozen=True, slots=True)
class Protection:
    """A protection of Shield Advanced."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Existing:
    """What carries a group's tags, as pairs of resource id and value.

    A resource id occurs twice only where somebody copied tags. The mappings go by ARN. `attributes` has only the
    resources whose attributes are compared; `listener_certificates` leaves out the default one.

    The fields after `ipam_pools` are read once the group's `Stack` is there, and only where it needs them.
    """

    balancers: tuple[tuple[str, LoadBalancer], ...] = ()
    networks: tuple[tuple[str, NetworkLoadBalancer], ...] = ()
    target_groups: tuple[tuple[str, TargetGroup], ...] = ()
    security_groups: tuple[tuple[str, ExistingSecurityGroup], ...] = ()
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    listener_certificates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ipam_pools: Mapping[str, str] = field(default_factory=dict)

    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    backend_security_group: str = ""
    """The id of the security group that all load balancers of the cluster share."""
    certificates: tuple[tuple[str, ExistingCertificate], ...] = ()
    frontend_targets: Mapping[str, Target] = field(default_factory=dict)
    """The load balancer that a target group of type ``alb`` has."""
    web_acl: str = ""
    shield_subscribed: bool = False
    protection: Protection | None = None
    capacity_units: int = 0
    bindings: tuple[elbv2.TargetGroupBinding, ...] = ()

    @property
    def load_balancers(self) -> tuple[AnyLoadBalancer, ...]:
        return (*(each for _, each in self.balancers), *(each for _, each in self.networks))

    @property
    def summary(self) -> ExistingLoadBalancer | None:
        for resource, balancer in self.balancers:
            if resource == LOAD_BALANCER:
                return ExistingLoadBalancer(balancer.scheme, balancer.subnets)
        for resource, network in self.networks:
            if resource == LOAD_BALANCER:
                subnets = tuple(each.subnet for each in network.subnets)
                return ExistingLoadBalancer(network.scheme, subnets, network.security_groups)
        return None


def permissions(answer: Iterable[Mapping[str, Any]]) -> Iterable[Permission | ForeignPermission]:
    """The ``IpPermissions`` of EC2's DescribeSecurityGroups, one value for each source."""
    for item in answer:
        protocol, first, last = item["IpProtocol"], item.get("FromPort", -1), item.get("ToPort", -1)
        sources = [("cidr", entry["CidrIp"]) for entry in item.get("IpRanges", ())]
        sources += [("cidr-v6", entry["CidrIpv6"]) for entry in item.get("Ipv6Ranges", ())]
        sources += [("prefix-list", entry["PrefixListId"]) for entry in item.get("PrefixListIds", ())]
        sources += [("group", entry["GroupId"]) for entry in item.get("UserIdGroupPairs", ())]
        for kind, value in sources:
            if protocol in ("tcp", "udp") and first == last and kind != "group":
                yield Permission(first, kind, value, protocol)  # type: ignore[arg-type]  # one of the literals
            else:
                yield ForeignPermission(protocol, first, last, kind, value)
