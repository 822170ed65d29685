"""The settings of a Service's load balancer.

Source: aws-load-balancer-controller `pkg/service/model_build_load_balancer.go`, `model_build_managed_sg.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, Literal, cast

from lockgate.ingress.annotations import services as a
from lockgate.ingress.annotations.spec import AnyAnnotation
from lockgate.ingress.annotations.values import Malformed, read_bool, read_int32
from lockgate.ingress.load_balancer import security_group_ids
from lockgate.ingress.names import pseudo_uid, service_load_balancer_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, MANAGED_SECURITY_GROUP, Permission
from lockgate.ingress.subnets import Demand, Subnet, discovered_subnets, named_subnets
from lockgate.ingress.world import Account, Settings
from lockgate.loadbalancer.model import Scheme
from lockgate.loadbalancer.network import SubnetMapping
from lockgate.resources import core
from lockgate.resources.faults import Origin

Family = Literal["ipv4", "dualstack"]
ROUTING_POLICY: Final = "dns_record.client_routing_policy"
ROUTING_POLICIES: Final = (
    "any_availability_zone",
    "partial_availability_zone_affinity",
    "availability_zone_affinity",
)


def refused(message: str, service: core.Service, annotation: AnyAnnotation) -> Refused:
    return Refused(message, Origin(service.key, annotation.path()))


def one_of(annotation: AnyAnnotation, service: core.Service, error: str) -> str | None:
    """The value of an annotation with few values. Raises `Refused` with `error` for another one."""
    value: str | None = annotation.read(service)
    if value is not None and value not in annotation.values:
        raise refused(error.format(value), service, annotation)
    return value


def uid(service: core.Service) -> str:
    return service.metadata.uid or pseudo_uid(service.namespace, service.name)


def name(service: core.Service, scheme: str, settings: Settings) -> str:
    given = a.NAME.read(service)
    if given is None:
        return service_load_balancer_name(
            settings.cluster_name, namespace=service.namespace, name=service.name, uid=uid(service), scheme=scheme
        )
    if len(given.encode()) > 32:
        raise refused("load balancer name cannot be longer than 32 characters", service, a.NAME)
    return given


def scheme(service: core.Service, account: Account, settings: Settings) -> Scheme:
    """Without an annotation, an existing load balancer keeps its scheme."""
    if (written := one_of(a.SCHEME, service, "unknown scheme: {}")) is not None:
        return cast(Scheme, written)
    if (internal := a.INTERNAL.read(service)) is not None:
        return "internal" if internal else "internet-facing"
    return account.existing.scheme if account.existing is not None else settings.default_scheme


def ip_address_type(service: core.Service) -> Family:
    return cast(Family, one_of(a.IP_ADDRESS_TYPE, service, "unknown IPAddressType: {}") or "ipv4")


def check_private_link(service: core.Service) -> None:
    one_of(
        a.PRIVATE_LINK,
        service,
        "Invalid value for securityGroupsInboundRulesOnPrivateLink status: {}, value must be one of [on, off]",
    )


def attributes(service: core.Service) -> dict[str, str]:
    """Annotations of their own override those in the map."""
    found = dict(a.ATTRIBUTES.read(service) or {})
    if (policy := found.get(ROUTING_POLICY)) is not None and policy not in ROUTING_POLICIES:
        expected = ", ".join(f"'{each}'" for each in ROUTING_POLICIES)
        given = f"annotation {a.ATTRIBUTES.name}: got '{policy}' expected one of [{expected}]"
        raise refused(f"invalid {ROUTING_POLICY} set in {given}", service, a.ATTRIBUTES)
    if a.ACCESS_LOG_ENABLED.read(service):
        found["access_logs.s3.enabled"] = "true"
        for annotation, key in ((a.ACCESS_LOG_BUCKET, "bucket"), (a.ACCESS_LOG_PREFIX, "prefix")):
            if (value := annotation.read(service)) is not None:
                found[f"access_logs.s3.{key}"] = value
    if (crosses := a.CROSS_ZONE.read(service)) is not None:
        found["load_balancing.cross_zone.enabled"] = "true" if crosses else "false"
    return found


def is_protected(service: core.Service) -> bool:
    """Whether an annotation asks for deletion protection."""
    written = (a.ATTRIBUTES.read(service) or {}).get("deletion_protection.enabled")
    try:
        return written is not None and read_bool(written)
    except Malformed as error:
        raise refused(error.reason, service, a.ATTRIBUTES) from None


def tags(service: core.Service, settings: Settings) -> dict[str, str]:
    """The flag's tags override the annotation's, or with a feature gate are overridden by them."""
    own = dict(a.TAGS.read(service) or {})
    for key in own:
        if key in settings.external_managed_tags:
            raise refused(f"external managed tag key {key} cannot be specified on Service", service, a.TAGS)
    default = dict(settings.default_tags)
    return default | own if "EnableDefaultTagsLowPriority" in settings.gates else own | default


def capacity_units(service: core.Service) -> int | None:
    units = None
    for key, value in (a.CAPACITY.read(service) or {}).items():
        if key != "CapacityUnits":
            raise refused(f"invalid key to set the capacity: {key}, Expected key: CapacityUnits", service, a.CAPACITY)
        try:
            units = read_int32(value)
        except Malformed as error:
            message = f"invalid value to set the capacity: {value}: {error.reason}"
            raise refused(message, service, a.CAPACITY) from None
    return units


# --- security groups ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecurityGroups:
    """The security groups, managed and backend group as tokens. `managed` says whether one is created; `peer` is the
    token of the group that targets accept, None if targets are not opened to one."""

    ids: tuple[str, ...] = ()
    managed: bool = False
    peer: str | None = None


def security_groups(service: core.Service, account: Account, settings: Settings) -> SecurityGroups:
    """A load balancer without security groups never gets any, and one with security groups always has some."""
    existing = account.existing
    if existing is not None and not existing.security_groups:
        return SecurityGroups()
    disabled = bool(a.DISABLE_SECURITY_GROUPS.read(service)) or "NLBSecurityGroup" not in settings.gates
    if disabled and existing is not None:
        raise refused("conflicting security groups configuration", service, a.DISABLE_SECURITY_GROUPS)
    if disabled:
        return SecurityGroups()
    backend = settings.backend_security_group or BACKEND_SECURITY_GROUP
    written = a.SECURITY_GROUPS.read(service)
    if not written:
        if settings.enable_backend_security_group:
            return SecurityGroups((MANAGED_SECURITY_GROUP, backend), True, backend)
        return SecurityGroups((MANAGED_SECURITY_GROUP,), True, MANAGED_SECURITY_GROUP)
    manages = bool(a.MANAGE_RULES.read(service))
    ids = security_group_ids(written, account, Origin(service.key, a.SECURITY_GROUPS.path()))
    if not manages:
        return SecurityGroups(ids)
    if not settings.enable_backend_security_group:
        raise refused(
            "backendSG feature is required to manage worker node SG rules when frontendSG is manually specified",
            service,
            a.MANAGE_RULES,
        )
    return SecurityGroups((*ids, backend), peer=backend)


def source_ranges(service: core.Service) -> tuple[str, ...]:
    """The sources that the Service lists. The field overrides the annotation."""
    return service.spec.load_balancer_source_ranges or a.SOURCE_RANGES.read(service) or ()


def permissions(service: core.Service, family: Family) -> tuple[Permission, ...]:
    """What the managed security group lets in."""
    prefix_lists = a.PREFIX_LISTS.read(service)
    ranges = source_ranges(service)
    for cidr in ranges:
        if ":" in cidr and family != "dualstack":
            field = ("spec", "loadBalancerSourceRanges")
            path = field if service.spec.load_balancer_source_ranges else a.SOURCE_RANGES.path()
            raise Refused(f"unsupported v6 cidr {cidr} when lb is not dualstack", Origin(service.key, path))
    if not ranges and prefix_lists is None:
        ranges = ("0.0.0.0/0", "::/0") if family == "dualstack" else ("0.0.0.0/0",)
    found: dict[Permission, None] = {}
    for port in service.spec.ports:
        protocol: Any = port.protocol.lower()
        for cidr in ranges:
            found[Permission(port.port, "cidr-v6" if ":" in cidr else "cidr", cidr, protocol)] = None
        for prefix_list in prefix_lists or ():
            found[Permission(port.port, "prefix-list", prefix_list, protocol)] = None
    return tuple(found)


# --- subnets and addresses ---------------------------------------------------------------------------------------


def demand(service: core.Service, scheme: Scheme, family: Family, settings: Settings) -> Demand:
    fixed = scheme == "internal" and a.PRIVATE_IPV4_ADDRESSES.key in service.metadata.annotations
    return Demand(
        settings.cluster_name,
        scheme,
        family,
        cluster_tags="SubnetsClusterTagCheck" in settings.gates,
        by_reachability="SubnetDiscoveryByReachability" in settings.gates,
        single=True,
        **({"free_addresses": 0} if fixed else {}),
    )


def subnets(service: core.Service, wanted: Demand, account: Account) -> tuple[str, ...] | None:
    """Subnet IDs, or None if EC2 was not read."""
    written = a.SUBNETS.read(service)
    if account.subnets is None:
        return written if written and all(item.startswith("subnet-") for item in written) else None
    with about(Origin(service.key, a.SUBNETS.path())):
        if written is not None:
            return named_subnets(written, account.subnets, wanted)
        if account.existing is not None and account.existing.scheme == wanted.scheme:
            return account.existing.subnets
        return discovered_subnets(account.subnets, wanted)


def mappings(
    service: core.Service, chosen: tuple[str, ...] | None, wanted: Demand, account: Account
) -> tuple[SubnetMapping, ...]:
    """The subnets, each with its fixed addresses if there are any. Without EC2, they stay open, as ""."""
    count = None if chosen is None else len(chosen)
    allocations = a.EIP_ALLOCATIONS.read(service)
    if allocations is not None:
        if wanted.scheme != "internet-facing":
            message = "EIP allocations can only be set for internet facing load balancers"
            raise refused(message, service, a.EIP_ALLOCATIONS)
        _count(service, a.EIP_ALLOCATIONS, "EIP allocations", len(allocations), count)
    private = _addresses(service, a.PRIVATE_IPV4_ADDRESSES, "private IPv4", IPv4Address, count, _INTERNAL, wanted)
    sixth = _addresses(service, a.IPV6_ADDRESSES, "IPv6", IPv6Address, count, _DUALSTACK, wanted)
    if chosen is None:
        return tuple(SubnetMapping("", each) for each in allocations or ())
    known = {subnet.id: subnet for subnet in account.subnets or ()}
    return tuple(
        SubnetMapping(
            subnet,
            allocations[index] if allocations is not None else "",
            _within(known.get(subnet), private, service, a.PRIVATE_IPV4_ADDRESSES, "private IPv4"),
            _within(known.get(subnet), sixth, service, a.IPV6_ADDRESSES, "IPv6"),
        )
        for index, subnet in enumerate(chosen)
    )


_INTERNAL: Final = ("private IPv4 addresses can only be set for internal load balancers", "scheme", "internal")
_DUALSTACK: Final = ("IPv6 addresses can only be set for dualstack load balancers", "family", "dualstack")


def _addresses(
    service: core.Service,
    annotation: AnyAnnotation,
    what: str,
    kind: type[IPv4Address | IPv6Address],
    count: int | None,
    needs: tuple[str, str, str],
    wanted: Demand,
) -> Sequence[IPv4Address | IPv6Address] | None:
    written: tuple[str, ...] | None = annotation.read(service)
    if written is None:
        return None
    message, field, value = needs
    if getattr(wanted, field) != value:
        raise refused(message, service, annotation)
    _count(service, annotation, f"{what} addresses", len(written), count)
    found = []
    for text in written:
        try:
            address = ip_address(text)
        except ValueError:
            raise refused(f"{what} addresses must be valid IP address: {text}", service, annotation) from None
        if not isinstance(address, kind):
            family = "IPv4" if kind is IPv4Address else "IPv6"
            raise refused(f"{what} addresses must be valid {family} address: {text}", service, annotation)
        found.append(address)
    return found


def _count(service: core.Service, annotation: AnyAnnotation, what: str, given: int, subnets: int | None) -> None:
    if subnets is not None and given != subnets:
        raise refused(f"count of {what} ({given}) and subnets ({subnets}) must match", service, annotation)


def _within(
    subnet: Subnet | None,
    addresses: Sequence[IPv4Address | IPv6Address] | None,
    service: core.Service,
    annotation: AnyAnnotation,
    what: str,
) -> str:
    """The address that is the subnet's. Exactly one must be."""
    if addresses is None or subnet is None:
        return ""
    blocks = [ip_network(block, strict=False) for block in subnet.blocks]
    found = [address for address in addresses if any(address in block for block in blocks)]
    if len(found) != 1:
        raise refused(f"expect one {what} address configured for subnet: {subnet.id}", service, annotation)
    return str(found[0])
