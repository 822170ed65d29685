"""The AWS resources that an Ingress and its class reference in annotations and fields.

The controller reads only referenced kinds from AWS (`lookups`); `edge.supply` supplies resources that do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

from lockgate.ingress import load_balancer
from lockgate.ingress.actions import Destination, ForwardTo, ToArn, ToName, ToService, read_action
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations import services as s
from lockgate.ingress.authentication import CognitoProvider, oidc_secret, user_pool
from lockgate.ingress.certificates import hosts_of, requested
from lockgate.ingress.group import Group, Member
from lockgate.ingress.listeners import parse_listen_ports, trust_stores
from lockgate.ingress.refusal import Refused
from lockgate.ingress.services.ownership import is_ours
from lockgate.ingress.services.weighted import shared_with
from lockgate.ingress.world import ExistingLoadBalancer, Settings
from lockgate.resources import core, elbv2, networking
from lockgate.resources.model import ObjectKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class References:
    """One object's references. `hosts_to_match` are the hosts for certificate discovery; `subnets` has one list of IDs
    and Name tags per load balancer, `addresses` has what such a subnet contains, by its name; `ipv6` is whether those
    subnets need IPv6 addresses; `elastic_ips` are allocation IDs; `target_groups` and `trust_stores` are ARNs and
    names."""

    subject: ObjectKey
    certificates: tuple[str, ...] = ()
    hosts_to_match: tuple[str, ...] = ()
    web_acl_arn: str = ""
    web_acl_name: str = ""
    subnets: tuple[tuple[str, ...], ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    subnet_tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    security_groups: tuple[str, ...] = ()
    ipv6: bool = False
    elastic_ips: tuple[str, ...] = ()
    ipam_pool: str = ""
    target_groups: tuple[str, ...] = ()
    trust_stores: tuple[str, ...] = ()
    user_pool: CognitoProvider | None = None

    @property
    def label(self) -> str:
        """The object's name in messages."""
        return str(self.subject)


def of_ingress(ingress: networking.Ingress, params: elbv2.IngressClassParams | None, settings: Settings) -> References:
    """`params` are those of its class. Values that do not parse count as no reference: the builder refuses them."""
    own = _read(lambda: a.CERTIFICATE_ARN.read(ingress)) or ()
    lists = (_read(lambda: a.SUBNETS.read(ingress)), _read(lambda: a.FRONTEND_NLB_SUBNETS.read(ingress)))
    pool = _read(lambda: a.IPAM_IPV4_POOL_ID.read(ingress))
    member = Member(ingress, params)
    return References(
        ingress.key,
        certificates=own,
        hosts_to_match=tuple(sorted(hosts_of(member))) if _matches_certificates(member, settings) else (),
        web_acl_arn=ingress.metadata.annotations.get(a.WAFV2_ACL_ARN.key, ""),
        web_acl_name=ingress.metadata.annotations.get(a.WAFV2_ACL_NAME.key, ""),
        subnets=tuple(each for each in lists if each),
        security_groups=(
            *(_read(lambda: a.SECURITY_GROUPS.read(ingress)) or ()),
            *(_read(lambda: a.FRONTEND_NLB_SECURITY_GROUPS.read(ingress)) or ()),
        ),
        ipv6=(_read(lambda: a.IP_ADDRESS_TYPE.read(ingress)) or "").startswith("dualstack"),
        elastic_ips=(*(_read(lambda: a.FRONTEND_NLB_EIP_ALLOCATIONS.read(ingress)) or ()),),
        ipam_pool=pool or "",
        target_groups=tuple(dict.fromkeys(_target_groups(ingress))),
        trust_stores=tuple(dict.fromkeys(_read(lambda: trust_stores(ingress)) or ())),
        user_pool=user_pool(ingress),
    )


def of_params(params: elbv2.IngressClassParams) -> References:
    spec = params.spec
    return References(
        params.key,
        certificates=spec.certificate_arn,
        web_acl_arn=spec.wafv2_acl_arn,
        web_acl_name=spec.wafv2_acl_name,
        subnets=(spec.subnets.ids,) if spec.subnets and spec.subnets.ids else (),
        subnet_tags=tuple(spec.subnets.tags.items()) if spec.subnets else (),
        ipv6=(spec.ip_address_type or "").startswith("dualstack"),
        ipam_pool=(spec.ipam_configuration and spec.ipam_configuration.ipv4_ipam_pool_id) or "",
    )


def of_binding(binding: elbv2.TargetGroupBinding) -> References:
    named = binding.spec.target_group_arn or binding.spec.target_group_name
    return References(binding.key, target_groups=(named,) if named else ())


def of_service(service: core.Service, settings: Settings) -> References:
    """A Service's annotations override those of the Ingresses that reference it, or are about its own load balancer."""
    if not is_ours(service, settings):
        return References(service.key, user_pool=user_pool(service))
    listed = _read(lambda: s.SUBNETS.read(service))
    return References(
        service.key,
        certificates=(*(_read(lambda: s.SSL_CERT.read(service)) or ()),),
        subnets=(listed,) if listed else (),
        addresses=tuple(_in_subnets(service, listed or ())),
        security_groups=(*(_read(lambda: s.SECURITY_GROUPS.read(service)) or ()),),
        ipv6=service.metadata.annotations.get(s.IP_ADDRESS_TYPE.key) == "dualstack",
        elastic_ips=(*(_read(lambda: s.EIP_ALLOCATIONS.read(service)) or ()),),
        target_groups=tuple(each.arn for each in shared_with(service) if isinstance(each, ToArn)),
        user_pool=user_pool(service),
    )


def _in_subnets(service: core.Service, subnets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which subnet has which address is known of a VPC only. Lists of one length are taken to be in one order."""
    for annotation in (s.PRIVATE_IPV4_ADDRESSES, s.IPV6_ADDRESSES):
        written = _read(partial(annotation.read, service)) or ()
        if len(written) == len(subnets):
            yield from zip(subnets, written, strict=True)


def shared_services(service: core.Service) -> Iterator[tuple[str, str]]:
    """The Services with which a Service's load balancer shares connections."""
    for each in shared_with(service):
        if isinstance(each, ToService):
            yield service.namespace, each.service


def _read(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Refused:
        return None


def _matches_certificates(member: Member, settings: Settings) -> bool:
    """Whether the controller discovers its certificates by host: it listens for HTTPS, and names none."""
    if member.params and member.params.spec.certificate_arn:
        return False
    if _read(lambda: a.CERTIFICATE_ARN.read(member.ingress) or requested(member, settings)):
        return False
    listens = _read(lambda: a.LISTEN_PORTS.parse(parse_listen_ports, member.ingress)) or {}
    return "HTTPS" in listens.values()


# --- what the controller reads -----------------------------------------------------------------------------------


class Lookup(StrEnum):
    """The kinds of AWS resources that a build may read."""

    CERTIFICATES = "certificates"
    SECURITY_GROUPS = "security groups"
    TRUST_STORES = "trust stores"
    TARGET_GROUPS = "target groups by name"
    WEB_ACLS = "web ACLs by name"
    SUBNETS = "subnets"
    VPC = "VPC"


def lookups(group: Group, settings: Settings, existing: ExistingLoadBalancer | None) -> frozenset[Lookup]:
    """The lookups that the annotations need. Subnets are read if they are listed, or if no load balancer with this
    scheme exists yet."""
    found = set()
    if group.members and (existing is None or existing.scheme != _scheme(group, settings)):
        found.add(Lookup.SUBNETS)
    if any(a.ENABLE_FRONTEND_NLB.key in member.ingress.metadata.annotations for member in group.members):
        found.add(Lookup.SUBNETS)
    for member in group.members:
        has = member.ingress.metadata.annotations.keys()
        spec = member.params.spec if member.params else None
        if _matches_certificates(member, settings):
            found.add(Lookup.CERTIFICATES)
        if a.SECURITY_GROUPS.key in has or a.FRONTEND_NLB_SECURITY_GROUPS.key in has:
            found.add(Lookup.SECURITY_GROUPS)
        if a.MUTUAL_AUTHENTICATION.key in has:
            found.add(Lookup.TRUST_STORES)
        if a.SUBNETS.key in has or (spec and spec.subnets):
            found.add(Lookup.SUBNETS)
        if a.WAFV2_ACL_NAME.key in has or (spec and spec.wafv2_acl_name):
            found.add(Lookup.WEB_ACLS)
        if any("argetgroupname" in text.lower() for text in _action_texts(member.ingress)):
            found.add(Lookup.TARGET_GROUPS)
    return frozenset(found)


def service_lookups(service: core.Service, existing: ExistingLoadBalancer | None) -> frozenset[Lookup]:
    """The lookups for a Service's own load balancer. Without security groups, CIDRs are opened."""
    found, has = set(), service.metadata.annotations.keys()
    closed = existing.security_groups if existing is not None else s.DISABLE_SECURITY_GROUPS.key not in has
    placed = (s.SUBNETS, s.SCHEME, s.INTERNAL, s.PRIVATE_IPV4_ADDRESSES, s.IPV6_ADDRESSES)
    if existing is None or not closed or any(each.key in has for each in placed):
        found.add(Lookup.SUBNETS)
    if not closed:
        found.add(Lookup.VPC)
    if s.SECURITY_GROUPS.key in has:
        found.add(Lookup.SECURITY_GROUPS)
    return frozenset(found)


def _scheme(group: Group, settings: Settings) -> str:
    return _read(lambda: load_balancer.scheme(group, settings)) or ""


# --- what it watches ---------------------------------------------------------------------------------------------


def services_of(ingress: networking.Ingress) -> tuple[str, ...]:
    """Names of the Services, in its namespace, that the Ingress may forward to, without duplicates."""
    return tuple(dict.fromkeys(target.service for target in targets_of(ingress)))


def targets_of(ingress: networking.Ingress) -> Iterator[ToService]:
    """The Services and ports that the Ingress may forward to."""
    for backend in _backends(ingress):
        if backend.service is None:
            continue
        name, port = backend.service.name, backend.service.port
        if port.name != "use-annotation":
            yield ToService(name, port.name or port.number or 0)
            continue
        yield from (target for target in _forwards(ingress, name) if isinstance(target, ToService))


def _target_groups(ingress: networking.Ingress) -> Iterator[str]:
    for backend in _backends(ingress):
        if backend.service is not None and backend.service.port.name == "use-annotation":
            for target in _forwards(ingress, backend.service.name):
                match target:
                    case ToArn():
                        yield target.arn
                    case ToName():
                        yield target.name
                    case ToService():
                        pass


def _forwards(ingress: networking.Ingress, action: str) -> tuple[Destination, ...]:
    """The destinations of the action with that name."""
    found = _read(partial(a.ACTIONS.of(action).parse, read_action, ingress))
    return found.targets if isinstance(found, ForwardTo) else ()


def secrets_of(ingress: networking.Ingress, services: Mapping[tuple[str, str], core.Service]) -> frozenset[str]:
    """Names of the Secrets, in its namespace, whose contents its rules use."""
    candidates = [None, *(services.get((ingress.namespace, name)) for name in services_of(ingress))]
    return frozenset(secret for service in candidates if (secret := oidc_secret(ingress, service)))


def _backends(ingress: networking.Ingress) -> Iterator[networking.IngressBackend]:
    if ingress.spec.default_backend is not None:
        yield ingress.spec.default_backend
    for rule in ingress.spec.rules:
        for path in rule.http.paths if rule.http else ():
            yield path.backend


def _action_texts(ingress: networking.Ingress) -> Iterator[str]:
    for key, text in ingress.metadata.annotations.items():
        if key.startswith(a.ACTIONS.key.partition("{")[0]):
            yield text
