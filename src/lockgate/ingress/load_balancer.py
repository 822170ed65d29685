"""The settings of a group's load balancer: annotations merged over the members, overridden by IngressClassParams.

Source: aws-load-balancer-controller `pkg/ingress/model_build_load_balancer.go`, `model_build_tags.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from lockgate.ingress.agreement import as_set, listed, one, refused, said, with_commas
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import Annotation
from lockgate.ingress.annotations.values import Malformed, read_int32, read_int_or_text
from lockgate.ingress.group import Group, Member
from lockgate.ingress.names import load_balancer_name, security_group_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import (
    BACKEND_SECURITY_GROUP,
    MANAGED_SECURITY_GROUP,
    GroupId,
    WebAcl,
)
from lockgate.ingress.subnets import Demand, discovered_subnets, named_subnets, tagged_subnets
from lockgate.ingress.world import Account, Settings
from lockgate.loadbalancer.model import IpAddressType, Scheme
from lockgate.resources import core, elbv2
from lockgate.resources.faults import Origin


def scheme(group: Group, settings: Settings) -> Scheme:
    found = _values(group, a.SCHEME, lambda params: params.spec.scheme)
    for member, value in found:
        if value not in ("internal", "internet-facing"):
            raise refused(f"unknown scheme: {value}", member, a.SCHEME)
    values = sorted({value for _, value in found})
    if len(values) > 1:
        raise refused(f"conflicting scheme: {as_set(values)}", found[-1][0], a.SCHEME)
    return cast(Scheme, values[0]) if values else settings.default_scheme


def ip_address_type(group: Group) -> IpAddressType:
    found = _values(group, a.IP_ADDRESS_TYPE, lambda params: params.spec.ip_address_type)
    values = sorted({value for _, value in found})
    if len(values) > 1:
        raise refused(f"conflicting IPAddressType: {listed(values)}", found[-1][0], a.IP_ADDRESS_TYPE)
    if not values:
        return "ipv4"
    if values[0] not in ("ipv4", "dualstack", "dualstack-without-public-ipv4"):
        raise refused(f"unknown IPAddressType: {values[0]}", found[0][0], a.IP_ADDRESS_TYPE)
    return cast(IpAddressType, values[0])


def name(group: Group, scheme: str, settings: Settings) -> str:
    found = _values(group, a.LOAD_BALANCER_NAME, lambda params: params.spec.load_balancer_name)
    values = sorted({value for _, value in found if value})
    for member, value in found:
        if len(value.encode()) > 32:
            raise refused("load balancer name cannot be longer than 32 characters", member, a.LOAD_BALANCER_NAME)
    if len(values) > 1:
        raise refused(f"conflicting load balancer name: {as_set(values)}", found[-1][0], a.LOAD_BALANCER_NAME)
    if values:
        return values[0]
    group_id = group.id
    return load_balancer_name(
        settings.cluster_name, namespace=group_id.namespace, name=group_id.name, group=str(group_id), scheme=scheme
    )


def managed_security_group_name(group: GroupId, settings: Settings) -> str:
    return security_group_name(settings.cluster_name, namespace=group.namespace, name=group.name, group=str(group))


@dataclass(frozen=True, slots=True)
class SecurityGroups:
    """The load balancer's security groups, managed and backend group as tokens. `managed` says whether one is created;
    `backend_peer` is the token of the group that targets accept, None if targets are not opened."""

    ids: tuple[str, ...]
    managed: bool
    backend_peer: str | None


def security_groups(group: Group, account: Account, settings: Settings) -> SecurityGroups:
    backend = settings.backend_security_group or BACKEND_SECURITY_GROUP
    named = [(member, value) for member, value in said(group, a.SECURITY_GROUPS) if value]
    for member, value in named[1:]:
        if value != named[0][1]:
            message = f"conflicting securityGroups: {listed(named[0][1])} | {listed(value)}"
            raise refused(message, member, a.SECURITY_GROUPS)
    if not named:
        if settings.enable_backend_security_group:
            return SecurityGroups((MANAGED_SECURITY_GROUP, backend), True, backend)
        return SecurityGroups((MANAGED_SECURITY_GROUP,), True, MANAGED_SECURITY_GROUP)
    ids = security_group_ids(named[0][1], account, Origin(named[0][0].ingress.key, a.SECURITY_GROUPS.path()))
    if not _manages_backend_rules(group, settings):
        return SecurityGroups(ids, False, None)
    if not settings.enable_backend_security_group:
        raise refused(
            "backendSG feature is required to manage worker node SG rules when frontendSG manually specified",
            named[0][0],
            a.MANAGE_BACKEND_SECURITY_GROUP_RULES,
        )
    return SecurityGroups((*ids, backend), False, backend)


def subnets(group: Group, demand: Demand, account: Account) -> tuple[str, ...] | None:
    """Subnet IDs, or None if EC2 was not read."""
    selection, source = _subnet_selection(group)
    if account.subnets is None:
        given = selection if isinstance(selection, tuple) else ()
        return given if given and all(item.startswith("subnet-") for item in given) else None
    try:
        match selection:
            case tuple():
                return named_subnets(selection, account.subnets, demand)
            case None:
                if account.existing and account.existing.scheme == demand.scheme:
                    return account.existing.subnets
                return discovered_subnets(account.subnets, demand)
            case tags:
                return tagged_subnets(tags, account.subnets, demand)
    except Refused as fault:
        raise refused(fault.message, source or group.members[0], a.SUBNETS) from None


def attributes(group: Group) -> dict[str, str]:
    """Keys of the first member's IngressClassParams win; for other keys members must agree."""
    params = group.members[0].params
    fixed = {item.key: item.value for item in params.spec.load_balancer_attributes} if params else {}
    return merged_maps(
        group.members,
        a.LOAD_BALANCER_ATTRIBUTES,
        fixed,
        "conflicting load balancer attributes {key}: {first} | {second}",
    )


def capacity_units(group: Group) -> int | None:
    params = group.members[0].params
    if params and params.spec.minimum_load_balancer_capacity:
        return params.spec.minimum_load_balancer_capacity.capacity_units
    merged = merged_maps(
        group.members,
        a.MINIMUM_LOAD_BALANCER_CAPACITY,
        {},
        "conflicting capacity reservation {key}: {first} | {second}",
    )
    annotation = a.MINIMUM_LOAD_BALANCER_CAPACITY
    units = None
    for key, value in merged.items():
        member = next(each for each in group.members if key in (annotation.read(each.ingress) or {}))
        if key != "CapacityUnits":
            raise refused(f"invalid key to set the capacity: {key}, Expected key: CapacityUnits", member, annotation)
        try:
            units = read_int32(value)
        except Malformed as error:
            message = f"invalid value to set the capacity: {value}: {error.reason}"
            raise refused(message, member, annotation) from None
    return units


def coip_pool(group: Group) -> str:
    found = _values(group, a.CUSTOMER_OWNED_IPV4_POOL, lambda _: None)
    for member, value in found:
        if not value:
            message = f"cannot use empty value for {a.CUSTOMER_OWNED_IPV4_POOL.name} annotation, ingress: {member.key}"
            raise refused(message, member, a.CUSTOMER_OWNED_IPV4_POOL)
    values = sorted({value for _, value in found})
    if len(values) > 1:
        message = f"conflicting CustomerOwnedIPv4Pool: {listed(values)}"
        raise refused(message, found[-1][0], a.CUSTOMER_OWNED_IPV4_POOL)
    return values[0] if values else ""


def ipam_pool(group: Group) -> str:
    params = group.members[0].params
    if params and params.spec.ipam_configuration and params.spec.ipam_configuration.ipv4_ipam_pool_id:
        return params.spec.ipam_configuration.ipv4_ipam_pool_id
    found = [(member, value) for member, value in _values(group, a.IPAM_IPV4_POOL_ID, lambda _: None) if value]
    for member, value in found[1:]:
        if value != found[0][1]:
            raise refused(f"conflicting ipv4 ipam pools {found[0][1]}: {value}", member, a.IPAM_IPV4_POOL_ID)
    return found[0][1] if found else ""


def web_acl(group: Group, account: Account) -> WebAcl | None:
    """A name overrides an ARN; ``none`` or an empty ARN removes the association; without annotation it is unchanged."""
    names = _values(group, a.WAFV2_ACL_NAME, lambda params: params.spec.wafv2_acl_name)
    if (name := _single(names, a.WAFV2_ACL_NAME, "conflicting WAFv2 WebACL names")) is not None:
        if name == "none":
            return WebAcl("")
        if account.web_acls is None:
            return None
        if name not in account.web_acls:
            raise refused(f"couldn't find WAFv2 WebACL with name: {name}", names[0][0], a.WAFV2_ACL_NAME)
        return WebAcl(account.web_acls[name])
    arns = _values(group, a.WAFV2_ACL_ARN, lambda params: params.spec.wafv2_acl_arn)
    arn = _single(arns, a.WAFV2_ACL_ARN, "conflicting WAFv2 WebACL ARNs", empty=True)
    return None if arn is None else WebAcl("" if arn == "none" else arn)


def shield(group: Group) -> bool | None:
    """Whether Shield Advanced protects the load balancer; without annotation it is unchanged."""
    return one(group, a.SHIELD_ADVANCED_PROTECTION, "conflicting enable shield advanced protection")


def check_addons(group: Group) -> None:
    """Refuses conflicts of add-ons that Lockgate does not create, because a cluster refuses them too."""
    ids = _values(group, a.WAF_ACL_ID, lambda _: None)
    having = {member.key for member, _ in ids}
    ids += [item for item in _values(group, a.WEB_ACL_ID, lambda _: None) if item[0].key not in having]
    values = sorted({value for _, value in ids})
    if len(values) > 1:
        raise refused(f"conflicting WAFClassic WebACL IDs: {listed(values)}", ids[-1][0], a.WAF_ACL_ID)


def ssl_redirect(group: Group) -> int | None:
    """The port that HTTP listeners redirect to. A port in IngressClassParams that is not a number disables it."""
    found: list[tuple[Member, int]] = []
    for member in group.members:
        if member.params and member.params.spec.ssl_redirect_port:
            port = read_int_or_text(member.params.spec.ssl_redirect_port)
            if isinstance(port, str):
                return None
            found.append((member, port))
        else:
            with about(Origin(member.ingress.key, a.SSL_REDIRECT.path()), prefix=f"ingress: {member.key}: "):
                value = a.SSL_REDIRECT.read(member.ingress)
            if value is not None:
                found.append((member, value))
    values = sorted({value for _, value in found})
    if len(values) > 1:
        raise refused(f"conflicting sslRedirect port: {listed(map(str, values))}", found[-1][0], a.SSL_REDIRECT)
    return values[0] if values else None


# --- tags --------------------------------------------------------------------------------------------------------


def common_tags(members: Iterable[Member], settings: Settings) -> dict[str, str]:
    """The tags of what members share, who must agree: the whole group's load balancer and security group, or the
    listener of those that listen on its port."""
    merged: dict[str, str] = {}
    for member in members:
        for key, value in _own_tags(member, settings).items():
            if merged.setdefault(key, value) != value:
                raise refused(f"conflicting tag {key}: {merged[key]} | {value}", member, a.TAGS)
    return _with_default_tags(merged, settings)


def ingress_tags(member: Member, settings: Settings, service: core.Service | None = None) -> dict[str, str]:
    """The tags of one member's resources: a rule's, or a target group's with its Service."""
    return _with_default_tags(_own_tags(member, settings, service), settings)


def _with_default_tags(tags: dict[str, str], settings: Settings) -> dict[str, str]:
    """The flag's tags override all others, or with a feature gate are overridden by them."""
    default = dict(settings.default_tags)
    return default | tags if "EnableDefaultTagsLowPriority" in settings.gates else tags | default


def _own_tags(member: Member, settings: Settings, service: core.Service | None = None) -> dict[str, str]:
    """A member's tags: from IngressClassParams, then (for a target group) the Service, then the Ingress."""
    params = {tag.key: tag.value for tag in member.params.spec.tags} if member.params else {}
    own = dict(a.TAGS.read(member.ingress) or {})
    of_service = dict((a.TAGS.read(service) if service else None) or {})
    subject = f"Ingress {member.key}"
    if service is not None:
        subject += f" and Service {service.namespace}/{service.name}"
    for key in (*params, *of_service, *own):
        if key in settings.external_managed_tags:
            message = f"failed build tags for {subject}: external managed tag key {key} cannot be specified"
            raise refused(message, member, a.TAGS)
    return own | of_service | params


def merged_maps(
    members: Iterable[Member], annotation: Annotation[Mapping[str, str]], fixed: Mapping[str, str], conflict: str
) -> dict[str, str]:
    """The merged annotation of all members, who must agree on each key that is not in `fixed`."""
    merged = dict(fixed)
    for member in members:
        for key, value in (annotation.read(member.ingress) or {}).items():
            if key in fixed:
                continue
            if merged.setdefault(key, value) != value:
                message = conflict.format(key=key, first=merged[key], second=value, ingress=member.key)
                raise refused(message, member, annotation)
    return merged


# --- helpers -----------------------------------------------------------------------------------------------------


def _values(
    group: Group, annotation: Annotation[str], of_params: Callable[[elbv2.IngressClassParams], str | None]
) -> list[tuple[Member, str]]:
    found = []
    for member in group.members:
        value = of_params(member.params) if member.params else None
        if not value:
            value = annotation.read(member.ingress)
        if value is not None:
            found.append((member, value))
    return found


def _single(
    found: list[tuple[Member, str]], annotation: Annotation[str], conflict: str, *, empty: bool = False
) -> str | None:
    values = sorted({value for _, value in found if value or empty})
    if len(values) > 1:
        raise refused(f"{conflict}: {listed(values)}", found[-1][0], annotation)
    return values[0] if values else None


def _subnet_selection(
    group: Group,
) -> tuple[tuple[str, ...] | Mapping[str, tuple[str, ...]] | None, Member | None]:
    """Listed names, tags to select by, or None for discovery; and the member that sets them."""
    by_params: tuple[tuple[str, ...] | Mapping[str, tuple[str, ...]], Member] | None = None
    by_annotation: tuple[tuple[str, ...], Member] | None = None
    for member in group.members:
        selector = member.params.spec.subnets if member.params else None
        if selector is not None:
            selection: tuple[str, ...] | Mapping[str, tuple[str, ...]] = selector.ids or selector.tags
            if by_params and by_params[0] != selection:
                raise refused("conflicting IngressClassParams subnet specifications", member, a.SUBNETS)
            by_params = by_params or (selection, member)
        elif (names := a.SUBNETS.read(member.ingress)) is not None:
            if by_annotation and set(by_annotation[0]) != set(names):
                message = f"conflicting subnets: {listed(by_annotation[0])} | {listed(names)}"
                raise refused(message, member, a.SUBNETS)
            by_annotation = by_annotation or (names, member)
    if by_params and by_annotation:
        message = "conflicting subnet specifications: IngressClassParams versus annotation"
        raise refused(message, by_annotation[1], a.SUBNETS)
    return by_params or by_annotation or (None, None)


def security_group_ids(written: tuple[str, ...], account: Account, origin: Origin) -> tuple[str, ...]:
    """IDs first, then the groups with a listed Name, in upstream's order. A repeated name counts once; a repeated ID is
    refused, because EC2 finds fewer groups than IDs."""
    ids = [item for item in written if item.startswith("sg-")]
    names = list(dict.fromkeys(item for item in written if not item.startswith("sg-")))
    known = account.security_groups
    if known is None:
        return (*ids, *names)
    if any(item not in known for item in ids) or len(set(ids)) < len(ids):
        found = [item for item in dict.fromkeys(ids) if item in known]
        message = f"couldn't find all security groups: requested ids {with_commas(ids)} but found {with_commas(found)}"
        raise Refused(message, origin)
    if any(item not in known for item in names):
        found = [item for item in names if item in known]
        asked = with_commas(names)
        message = f"couldn't find all security groups: requested names {asked} but found {with_commas(found)}"
        raise Refused(message, origin)
    return (*ids, *(identifier for item in names for identifier in known[item]))


def _manages_backend_rules(group: Group, settings: Settings) -> bool:
    conflict = "conflicting manage backend security group rules settings"
    found = one(group, a.MANAGE_BACKEND_SECURITY_GROUP_RULES, conflict)
    return settings.manage_backend_security_group_rules if found is None else found
