"""What a build will ask of AWS: so that nothing is read that no annotation needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from lockgate.ingress import load_balancer
from lockgate.ingress.actions import ForwardTo, ToService, read_action
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.authentication import oidc_secret
from lockgate.ingress.group import Group, Member
from lockgate.ingress.listeners import parse_listen_ports
from lockgate.ingress.refusal import Refused
from lockgate.ingress.world import ExistingLoadBalancer, Settings
from lockgate.resources.kinds import Ingress, IngressBackend, Service


class Want(StrEnum):
    CERTIFICATES = "certificates"
    SECURITY_GROUPS = "security groups"
    TRUST_STORES = "trust stores"
    TARGET_GROUPS = "target groups by name"
    WEB_ACLS = "web ACLs by name"
    SUBNETS = "subnets"


def wants(group: Group, settings: Settings, existing: ExistingLoadBalancer | None) -> frozenset[Want]:
    """Subnets are chosen where they are named, and for a load balancer that does not exist yet with its scheme."""
    found = set()
    if group.members and (existing is None or existing.scheme != _scheme(group, settings)):
        found.add(Want.SUBNETS)
    if any(a.ENABLE_FRONTEND_NLB.key in member.ingress.metadata.annotations for member in group.members):
        found.add(Want.SUBNETS)
    for member in group.members:
        has = member.ingress.metadata.annotations.keys()
        spec = member.params.spec if member.params else None
        if a.CERTIFICATE_ARN.key not in has and not (spec and spec.certificate_arn) and _listens_https(member):
            found.add(Want.CERTIFICATES)
        if a.SECURITY_GROUPS.key in has or a.FRONTEND_NLB_SECURITY_GROUPS.key in has:
            found.add(Want.SECURITY_GROUPS)
        if a.MUTUAL_AUTHENTICATION.key in has:
            found.add(Want.TRUST_STORES)
        if a.SUBNETS.key in has or (spec and spec.subnets):
            found.add(Want.SUBNETS)
        if a.WAFV2_ACL_NAME.key in has or (spec and spec.wafv2_acl_name):
            found.add(Want.WEB_ACLS)
        if any("argetgroupname" in text.lower() for text in _action_texts(member.ingress)):
            found.add(Want.TARGET_GROUPS)
    return frozenset(found)


def _listens_https(member: Member) -> bool:
    try:
        return "HTTPS" in (a.LISTEN_PORTS.parse(parse_listen_ports, member.ingress) or {}).values()
    except Refused:
        return False


def _scheme(group: Group, settings: Settings) -> str:
    try:
        return load_balancer.scheme(group, settings)
    except Refused:
        return ""


def services_of(ingress: Ingress) -> frozenset[str]:
    """Names of the Services, in its namespace, that the Ingress may forward to."""
    found = set()
    for backend in _backends(ingress):
        if backend.service is None:
            continue
        name = backend.service.name
        if backend.service.port.name != "use-annotation":
            found.add(name)
            continue
        try:
            action = a.ACTIONS.of(name).parse(read_action, ingress)
        except Refused:
            continue
        if isinstance(action, ForwardTo):
            found |= {target.service for target in action.targets if isinstance(target, ToService)}
    return frozenset(found)


def secrets_of(ingress: Ingress, services: Mapping[tuple[str, str], Service]) -> frozenset[str]:
    """Names of the Secrets, in its namespace, whose contents go into its rules."""
    candidates = [None, *(services.get((ingress.namespace, name)) for name in services_of(ingress))]
    return frozenset(secret for service in candidates if (secret := oidc_secret(ingress, service)))


def _backends(ingress: Ingress) -> Iterator[IngressBackend]:
    if ingress.spec.default_backend is not None:
        yield ingress.spec.default_backend
    for rule in ingress.spec.rules:
        for path in rule.http.paths if rule.http else ():
            yield path.backend


def _action_texts(ingress: Ingress) -> Iterator[str]:
    for key, text in ingress.metadata.annotations.items():
        if key.startswith(a.ACTIONS.key.partition("{")[0]):
            yield text
