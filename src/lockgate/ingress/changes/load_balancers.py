"""The load balancers of a stack: the application load balancer, and the network load balancer in front of it, if any.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/load_balancer_synthesizer.go`, `load_balancer_manager.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Creation, Json, Resolve, named
from lockgate.ingress.changes.tags import ModifyLoadBalancerAttributes, attribute_changes, tag_changes
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import LOAD_BALANCER, Stack
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer, SubnetMapping

Balancer = TypeVar("Balancer", LoadBalancer, NetworkLoadBalancer)
_PROTECTED = "deletion_protection.enabled"


@dataclass(frozen=True, slots=True)
class CreateLoadBalancer(Creation):
    """`security_groups` are IDs or references. Listeners and attributes are separate changes."""

    operation: ClassVar[str] = "create_load_balancer"

    balancer: AnyLoadBalancer
    security_groups: tuple[str, ...]
    coip_pool: str = ""
    ipam_pool: str = ""

    def parameters(self, resolved: Resolve) -> Json:
        return {
            "Name": self.balancer.name,
            "Type": _type(self.balancer),
            "Scheme": self.balancer.scheme,
            "IpAddressType": self.balancer.ip_address_type,
            "SecurityGroups": [resolved(each) for each in self.security_groups],
            "Tags": shapes.tags(self.balancer.tags),
            **_subnets(self.balancer.subnets),
            **({"CustomerOwnedIpv4Pool": self.coip_pool} if self.coip_pool else {}),
            **({"IpamPools": {"Ipv4IpamPoolId": self.ipam_pool}} if self.ipam_pool else {}),
        }

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["LoadBalancers"][0]["LoadBalancerArn"])

    def __str__(self) -> str:
        return f"create {self.balancer.scheme} {_type(self.balancer)} load balancer {self.balancer.name}"


@dataclass(frozen=True, slots=True)
class DeleteLoadBalancer(Change):
    operation: ClassVar[str] = "delete_load_balancer"

    arn: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"LoadBalancerArn": self.arn}

    def __str__(self) -> str:
        return f"delete {named(self.arn)}"


@dataclass(frozen=True, slots=True)
class SetSecurityGroups(Change):
    operation: ClassVar[str] = "set_security_groups"

    arn: str
    security_groups: tuple[str, ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"LoadBalancerArn": self.arn, "SecurityGroups": [resolved(each) for each in self.security_groups]}

    def __str__(self) -> str:
        return f"set security groups of {named(self.arn)}: {', '.join(self.security_groups)}"


@dataclass(frozen=True, slots=True)
class SetSubnets(Change):
    operation: ClassVar[str] = "set_subnets"

    arn: str
    subnets: tuple[str, ...] | tuple[SubnetMapping, ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"LoadBalancerArn": self.arn, **_subnets(self.subnets)}

    def __str__(self) -> str:
        ids = (each.subnet if isinstance(each, SubnetMapping) else each for each in self.subnets)
        return f"set subnets of {named(self.arn)}: {', '.join(ids)}"


@dataclass(frozen=True, slots=True)
class SetIpAddressType(Change):
    operation: ClassVar[str] = "set_ip_address_type"

    arn: str
    ip_address_type: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"LoadBalancerArn": self.arn, "IpAddressType": self.ip_address_type}

    def __str__(self) -> str:
        return f"set address type of {named(self.arn)}: {self.ip_address_type}"


@dataclass(frozen=True, slots=True)
class ModifyIpPools(Change):
    """`ipam_pool` "" removes the pool."""

    operation: ClassVar[str] = "modify_ip_pools"

    arn: str
    ipam_pool: str = ""

    def parameters(self, resolved: Resolve) -> Json:
        pools = {"IpamPools": {"Ipv4IpamPoolId": self.ipam_pool}} if self.ipam_pool else {"RemoveIpamPools": ["ipv4"]}
        return {"LoadBalancerArn": self.arn, **pools}

    def __str__(self) -> str:
        return f"set IPAM pool of {named(self.arn)}: {self.ipam_pool or 'none'}"


def matching(desired: Balancer | None, there: Iterable[tuple[str, Balancer]], resource: str) -> Balancer | None:
    """The existing load balancer. Another scheme requires another load balancer."""
    for name, balancer in there:
        if desired is not None and name == resource and balancer.scheme == desired.scheme:
            return balancer
    return None


def spare_balancers(stack: Stack, existing: Existing) -> tuple[AnyLoadBalancer, ...]:
    """Load balancers that are no longer in the stack. The one in front is deleted first."""
    there: list[AnyLoadBalancer] = [balancer for _, balancer in existing.networks]
    there += [balancer for _, balancer in existing.balancers]
    kept = (
        matching(stack.network, existing.networks, stack.network_resource),
        matching(stack.load_balancer, existing.balancers, LOAD_BALANCER),
    )
    return tuple(balancer for balancer in there if not any(balancer is each for each in kept))


def deletions(both: Comparison) -> Changes:
    """As upstream, turns off deletion protection before deletion."""
    for balancer in spare_balancers(both.stack, both.existing):
        if both.existing.attributes.get(balancer.arn, {}).get(_PROTECTED) == "true":
            yield ModifyLoadBalancerAttributes(balancer.arn, {_PROTECTED: "false"})
        yield DeleteLoadBalancer(balancer.arn)


def balancer_changes(both: Comparison, desired: LoadBalancer) -> Changes:
    """The application load balancer itself. Its name is not compared: a rename has no effect."""
    stack = both.stack
    current = matching(desired, both.existing.balancers, LOAD_BALANCER)
    if current is None:
        yield from _creation(both, LOAD_BALANCER, desired, coip_pool=stack.coip_pool, ipam_pool=stack.ipam_pool)
        return
    pool = both.existing.ipam_pools.get(current.arn, "")
    if pool and not stack.ipam_pool:
        yield ModifyIpPools(current.arn)
    moved = bool(desired.subnets) and set(desired.subnets) != set(current.subnets)
    yield from _modifications(both, desired, current, desired.subnets if moved else ())
    if stack.ipam_pool and stack.ipam_pool != pool:
        yield ModifyIpPools(current.arn, stack.ipam_pool)


def network_changes(both: Comparison, desired: NetworkLoadBalancer) -> Changes:
    """The network load balancer itself. As upstream, its addresses never change after creation."""
    resource = both.stack.network_resource
    current = matching(desired, both.existing.networks, resource)
    if current is None:
        yield from _creation(both, resource, desired)
        return
    moved = {each.subnet for each in desired.subnets} != {each.subnet for each in current.subnets}
    yield from _modifications(both, desired, current, desired.subnets if moved else ())


def _creation(
    both: Comparison, reference: str, desired: AnyLoadBalancer, *, coip_pool: str = "", ipam_pool: str = ""
) -> Changes:
    groups = tuple(both.id(each) for each in desired.security_groups)
    yield CreateLoadBalancer(reference, desired, groups, coip_pool, ipam_pool)
    yield from attribute_changes(both, ModifyLoadBalancerAttributes, reference, desired.attributes)


def _modifications(
    both: Comparison, desired: Balancer, current: Balancer, subnets: tuple[str, ...] | tuple[SubnetMapping, ...]
) -> Changes:
    """`subnets` are the new subnets, if they change."""
    arn = current.arn
    yield from tag_changes(both, arn, desired.tags)
    groups = tuple(both.id(each) for each in desired.security_groups)
    if set(groups) != set(current.security_groups):
        yield SetSecurityGroups(arn, groups)
    if subnets:
        yield SetSubnets(arn, subnets)
    if desired.ip_address_type != current.ip_address_type:
        yield SetIpAddressType(arn, desired.ip_address_type)
    yield from attribute_changes(both, ModifyLoadBalancerAttributes, arn, desired.attributes)


def _type(balancer: AnyLoadBalancer) -> str:
    return "network" if isinstance(balancer, NetworkLoadBalancer) else "application"


def _subnets(subnets: tuple[str, ...] | tuple[SubnetMapping, ...]) -> Json:
    mappings = [each for each in subnets if isinstance(each, SubnetMapping)]
    return {"SubnetMappings": shapes.subnet_mappings(mappings)} if mappings else {"Subnets": list(subnets)}
