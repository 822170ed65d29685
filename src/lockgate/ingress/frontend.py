"""The Network Load Balancer in front of a group's load balancer, if annotations request one.

Source: aws-load-balancer-controller `pkg/ingress/model_build_frontend_nlb.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from lockgate.ingress.agreement import as_map, as_set, listed, one, refused, said
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import Annotation, AnyAnnotation
from lockgate.ingress.annotations.values import Malformed, read_int32, read_int_or_text
from lockgate.ingress.group import Group, Member
from lockgate.ingress.listeners import Port
from lockgate.ingress.load_balancer import security_group_ids
from lockgate.ingress.names import frontend_name, frontend_target_group_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import FRONTEND, LOAD_BALANCER, GroupId, tracked
from lockgate.ingress.subnets import Demand, discovered_subnets, named_subnets
from lockgate.ingress.world import Account, Settings
from lockgate.loadbalancer.model import (
    Forward,
    HealthCheck,
    LoadBalancer,
    Scheme,
    Target,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer, SubnetMapping
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin


@dataclass(frozen=True, slots=True)
class Behind:
    """The load balancer behind it: the ports that members listen on, the requested subnets, and the group's common
    tags."""

    load_balancer: LoadBalancer
    ports: Sequence[Port]
    demand: Demand
    tags: Mapping[str, str]


def frontend(
    group: Group,
    behind: Behind,
    account: Account,
    settings: Settings,
    report: Callable[[Fault], None],
) -> NetworkLoadBalancer | None:
    """None if no annotation requests it. `report` gets a fault for each port that its member does not listen on.

    Raises `Refused`.
    """
    if not one(group, a.ENABLE_FRONTEND_NLB, "conflicting enable frontend NLB values"):
        return None
    scheme = _scheme(group, settings)
    groups = _same(group, a.FRONTEND_NLB_SECURITY_GROUPS, "conflicting securityGroups: {} | {}")
    security = None
    if groups:
        origin = Origin(groups[0].ingress.key, a.FRONTEND_NLB_SECURITY_GROUPS.path())
        security = security_group_ids(groups[1], account, origin)
    subnets = _subnets(group, replace(behind.demand, scheme=scheme, single=True), account)
    tags = _same_map(group, a.FRONTEND_NLB_TAGS, "conflicting frontend NLB tags: {} | {}")
    attributes = _attributes(group)
    configs = _merged(group, behind.ports, report)
    tags = behind.tags if tags is None else tags
    target_groups = [_target_group(group.id, config, tags, account, settings) for config in configs]
    first = said(group, a.ENABLE_FRONTEND_NLB)[0][0]
    return NetworkLoadBalancer(
        name=frontend_name(behind.load_balancer.name),
        listeners=tuple(
            NetworkListener(
                each.port,
                Forward((WeightedTargetGroup(each.reference),)),
                tags=tracked(tags, group.id, f"{FRONTEND}-ls-TCP-{each.port}", settings.cluster_name),
                origin=each.origin,
            )
            for each in target_groups
        ),
        target_groups={each.reference: each for each in target_groups},
        scheme=scheme,
        ip_address_type=behind.load_balancer.ip_address_type,
        security_groups=behind.load_balancer.security_groups if security is None else security,
        subnets=subnets,
        attributes=attributes,
        tags=tracked(tags, group.id, FRONTEND, settings.cluster_name),
        origin=Origin(first.ingress.key, a.ENABLE_FRONTEND_NLB.path()),
    )


def _scheme(group: Group, settings: Settings) -> Scheme:
    """Independent of the scheme of the load balancer behind: an internal one may be exposed to the internet this
    way."""
    found = said(group, a.FRONTEND_NLB_SCHEME)
    values = sorted({value for _, value in found})
    if len(values) > 1:
        raise refused(f"conflicting scheme: {as_set(values)}", found[-1][0], a.FRONTEND_NLB_SCHEME)
    if not values:
        return settings.default_scheme
    if values[0] not in a.FRONTEND_NLB_SCHEME.values:
        raise refused(f"unknown scheme: {values[0]}", found[0][0], a.FRONTEND_NLB_SCHEME)
    return cast(Scheme, values[0])


def _subnets(group: Group, demand: Demand, account: Account) -> tuple[SubnetMapping, ...]:
    """The subnets, each with its Elastic IP if there are any. If EC2 was not read, subnets that are not listed by ID
    stay open, as ""."""
    named = _same(group, a.FRONTEND_NLB_SUBNETS, "conflicting subnets: {} | {}", in_order=False, empty=True)
    conflict = "conflicting EIP allocations: {} | {}"
    addresses = _same(group, a.FRONTEND_NLB_EIP_ALLOCATIONS, conflict, in_order=False)
    allocations = addresses[1] if addresses else ()
    if account.subnets is None:
        by_id = named[1] if named and all(item.startswith("subnet-") for item in named[1]) else ()
        chosen = by_id or ("",) * len(allocations)
    else:
        with about(Origin((named[0] if named else group.members[0]).ingress.key, a.FRONTEND_NLB_SUBNETS.path())):
            chosen = (
                named_subnets(named[1], account.subnets, demand)
                if named
                else discovered_subnets(account.subnets, demand)
            )
    if addresses is None:
        return tuple(map(SubnetMapping, chosen))
    if demand.scheme != "internet-facing":
        message = "EIP allocations can only be set for internet facing load balancers"
        raise refused(message, addresses[0], a.FRONTEND_NLB_EIP_ALLOCATIONS)
    if len(chosen) != len(allocations):
        message = f"count of EIP allocations ({len(allocations)}) and subnets ({len(chosen)}) must match"
        raise refused(message, addresses[0], a.FRONTEND_NLB_EIP_ALLOCATIONS)
    return tuple(map(SubnetMapping, chosen, allocations))


# --- listeners: each member's requests, merged by port -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _PortConfig:
    """A port in front and its target port. `check` holds the health check settings from annotations; only these must
    agree."""

    member: Member
    port: int
    target_port: int
    check: Mapping[str, str | int]


_UNSAID: Final = HealthCheck(interval_seconds=15, timeout_seconds=5, healthy_threshold_count=2)
_FIELDS: Final[Mapping[str, tuple[AnyAnnotation, str]]] = {
    "interval_seconds": (a.FRONTEND_NLB_HEALTHCHECK_INTERVAL, "IntervalSeconds"),
    "timeout_seconds": (a.FRONTEND_NLB_HEALTHCHECK_TIMEOUT, "TimeoutSeconds"),
    "healthy_threshold_count": (a.FRONTEND_NLB_HEALTHY_THRESHOLD, "HealthyThresholdCount"),
    "unhealthy_threshold_count": (a.FRONTEND_NLB_UNHEALTHY_THRESHOLD, "UnhealthyThresholdCount"),
    "protocol": (a.FRONTEND_NLB_HEALTHCHECK_PROTOCOL, "Protocol"),
    "path": (a.FRONTEND_NLB_HEALTHCHECK_PATH, "Path"),
    "matcher": (a.FRONTEND_NLB_SUCCESS_CODES, "Matcher"),
    "port": (a.FRONTEND_NLB_HEALTHCHECK_PORT, "Port"),
}
"""The fields of a health check in the order of comparison, with their names in conflict messages."""


def _merged(group: Group, ports: Sequence[Port], report: Callable[[Fault], None]) -> tuple[_PortConfig, ...]:
    configs: dict[int, list[_PortConfig]] = {}
    for member in group.members:
        own = [port.number for port in ports if any(each.key == member.key for each in port.members)]
        with about(
            Origin(member.ingress.key), prefix=f"failed to compute listenPort config for ingress: {member.key}: "
        ):
            for port, target_port in (_mapping(member) or {number: number for number in own}).items():
                if target_port in own:
                    configs.setdefault(port, []).append(_port_config(member, port, target_port))
                else:
                    origin = Origin(member.ingress.key, a.FRONTEND_NLB_PORT_MAPPING.path())
                    mapping = f"{port}={target_port}"
                    report(codes.UNMAPPED.at(origin, mapping=mapping, ingress=member.key, port=target_port))
    return tuple(_agreed(configs[port]) for port in sorted(configs))


def _mapping(member: Member) -> dict[int, int]:
    annotation = a.FRONTEND_NLB_PORT_MAPPING
    fault = "failed to parse frontend-nlb-listener-port-mapping for ingress map[]: "
    with about(Origin(member.ingress.key, annotation.path()), prefix=fault):
        written = annotation.read(member.ingress) or {}
    return {_port(in_front, "NLB", member): _port(behind, "ALB", member) for in_front, behind in written.items()}


def _port(text: str, whose: str, member: Member) -> int:
    try:
        return read_int32(text)
    except Malformed:
        message = f"invalid {whose} listener port: {text}"
        raise refused(message, member, a.FRONTEND_NLB_PORT_MAPPING) from None


def _port_config(member: Member, port: int, target_port: int) -> _PortConfig:
    check_port = a.FRONTEND_NLB_HEALTHCHECK_PORT.read(member.ingress)
    if check_port is not None and check_port != "traffic-port" and isinstance(read_int_or_text(check_port), str):
        raise refused("failed to resolve healthCheckPort", member, a.FRONTEND_NLB_HEALTHCHECK_PORT)
    if a.FRONTEND_NLB_HEALTHCHECK_PROTOCOL.read(member.ingress) not in (None, "HTTP", "HTTPS"):
        message = "healthCheckProtocol must be within [HTTP, HTTPS]"
        raise refused(message, member, a.FRONTEND_NLB_HEALTHCHECK_PROTOCOL)
    read = {field: annotation.read(member.ingress) for field, (annotation, _) in _FIELDS.items()}
    return _PortConfig(member, port, target_port, {field: value for field, value in read.items() if value is not None})


def _agreed(configs: Sequence[_PortConfig]) -> _PortConfig:
    check: dict[str, str | int] = {}
    first = configs[0]
    for number, config in enumerate(configs, 1):
        for field, (annotation, name) in _FIELDS.items():
            if field in config.check and check.setdefault(field, config.check[field]) != config.check[field]:
                raise _conflict(number, config, name, config.check[field], check[field], annotation)
        if config.target_port != first.target_port:
            mapping = a.FRONTEND_NLB_PORT_MAPPING
            raise _conflict(number, config, "Target Port", config.target_port, first.target_port, mapping)
    return replace(first, check=check)


def _conflict(
    number: int, config: _PortConfig, name: str, value: str | int, previous: str | int, annotation: AnyAnnotation
) -> Refused:
    if name == "Port":  # Go's print of an IntOrString
        text = {"traffic-port": "{1 0 traffic-port}"}
        value, previous = text.get(str(value), f"{{0 {value} }}"), text.get(str(previous), f"{{0 {previous} }}")
    message = f"conflicting {name}, config {number}: {value}, previous: {previous}"
    return refused(
        f"failed to merge NLB listenPort config for port: {config.port}: {message}", config.member, annotation
    )


def _target_group(
    group: GroupId, config: _PortConfig, tags: Mapping[str, str], account: Account, settings: Settings
) -> TargetGroup:
    """Its port is the frontend's; the load balancer is registered with its own port."""
    ingress, mapping = config.member.ingress, a.FRONTEND_NLB_PORT_MAPPING
    mapped = mapping.key in ingress.metadata.annotations
    check = replace(_UNSAID, **config.check)  # type: ignore[arg-type]  # each annotation reads its field's type
    resource = f"{FRONTEND}-tg-TCP-{config.port}"
    return TargetGroup(
        reference=resource,
        name=frontend_target_group_name(
            settings.cluster_name,
            namespace=group.namespace,
            name=group.name,
            group=str(group),
            port=config.port,
            check_port=check.port,
            check_protocol=check.protocol,
        ),
        port=config.port,
        protocol="TCP",
        target_type="alb",
        health_check=check,
        targets=(Target(LOAD_BALANCER, config.target_port),),
        tags=tracked(tags, group, resource, settings.cluster_name),
        vpc_id=account.vpc_id,
        origin=Origin(ingress.key, (mapping if mapped else a.ENABLE_FRONTEND_NLB).path()),
    )


# --- settings on which all members must agree ---------------------------------------------------------------------


def _same(
    group: Group, annotation: Annotation[tuple[str, ...]], conflict: str, *, in_order: bool = True, empty: bool = False
) -> tuple[Member, tuple[str, ...]] | None:
    found = said(group, annotation)
    for member, value in found[1:]:
        first = found[0][1]
        if value != first and (in_order or sorted(value) != sorted(first)):
            raise refused(conflict.format(listed(first), listed(value)), member, annotation)
    return found[0] if found and (found[0][1] or empty) else None


def _same_map(group: Group, annotation: Annotation[Mapping[str, str]], conflict: str) -> Mapping[str, str] | None:
    found = said(group, annotation)
    for member, value in found[1:]:
        if value != found[0][1]:
            raise refused(conflict.format(as_map(found[0][1]), as_map(value)), member, annotation)
    return found[0][1] if found else None


_ROUTING_POLICIES: Final = ("any_availability_zone", "partial_availability_zone_affinity", "availability_zone_affinity")


def _attributes(group: Group) -> Mapping[str, str]:
    """Members before the first that sets attributes may be silent; all after it must set the same ones."""
    annotation, policy = a.FRONTEND_NLB_ATTRIBUTES, "dns_record.client_routing_policy"
    chosen: Mapping[str, str] = {}
    for member in group.members:
        value = annotation.read(member.ingress) or {}
        if (routing := value.get(policy)) is not None and routing not in _ROUTING_POLICIES:
            expected = ", ".join(f"'{each}'" for each in _ROUTING_POLICIES)
            given = f"annotation {annotation.name}: got '{routing}' expected one of [{expected}]"
            raise refused(f"invalid {policy} set in {given}", member, annotation)
        if chosen and value != chosen:
            message = f"conflicting frontend NLB attributes: {as_map(chosen)} | {as_map(value)}"
            raise refused(message, member, annotation)
        chosen = value
    return chosen
