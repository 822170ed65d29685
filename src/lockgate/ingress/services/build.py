"""Builds a Service's stack: load balancer, listeners, target groups, bindings, security group.

Source: aws-load-balancer-controller `pkg/service/model_builder.go`, `model_build_listener.go`. Its order of steps
determines which of several faults is reported first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from lockgate.ingress.agreement import listed
from lockgate.ingress.annotations import services as a
from lockgate.ingress.names import service_security_group_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.services import load_balancer
from lockgate.ingress.services.faults import annotation_faults
from lockgate.ingress.services.load_balancer import refused
from lockgate.ingress.services.ownership import has_resources, is_ours
from lockgate.ingress.services.target_groups import TargetGroups
from lockgate.ingress.services.weighted import weighted
from lockgate.ingress.stack import (
    LOAD_BALANCER,
    MANAGED_SECURITY_GROUP,
    SecurityGroup,
    ServiceId,
    Stack,
    tracked,
)
from lockgate.ingress.world import Account, Name, Settings
from lockgate.loadbalancer.model import Forward, NetworkProtocol, WeightedTargetGroup
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer
from lockgate.resources import core
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.codes import service_load_balancers as service_codes
from lockgate.resources.faults import Fault, Origin


def build(
    service: core.Service, account: Account, settings: Settings, services: Mapping[Name, core.Service]
) -> Stack | Refused:
    """The Service's stack, or why it cannot be built. In that case its existing resources stay unchanged.

    The stack is empty for a Service that is not ours, or no longer. `services` has at least those that it shares
    connections with.
    """
    try:
        return _built(service, account, settings, services)
    except Refused as refusal:
        refusal.origin = refusal.origin or Origin(service.key)
        return refusal


def _built(service: core.Service, account: Account, settings: Settings, services: Mapping[Name, core.Service]) -> Stack:
    stack = ServiceId(service.namespace, service.name)
    if service.metadata.deletion_timestamp or not is_ours(service, settings):
        if has_resources(service) and load_balancer.is_protected(service):
            message = f"deletion_protection is enabled, cannot delete the service: {service.name}"
            raise refused(message, service, a.ATTRIBUTES)
        return Stack(stack)
    scheme = load_balancer.scheme(service, account, settings)
    family = load_balancer.ip_address_type(service)
    wanted = load_balancer.demand(service, scheme, family, settings)
    subnets = load_balancer.subnets(service, wanted, account)
    attributes = load_balancer.attributes(service)
    security = load_balancer.security_groups(service, account, settings)
    permissions = load_balancer.permissions(service, family) if security.managed else ()
    tags = load_balancer.tags(service, settings)
    mappings = load_balancer.mappings(service, subnets, wanted, account)
    name = load_balancer.name(service, scheme, settings)
    load_balancer.check_private_link(service)
    groups = TargetGroups(service, services, settings, account, scheme, family, subnets or (), security)
    faults: list[Fault] = []
    listeners = _listeners(service, groups, tags, settings, faults)
    if subnets is None:
        faults.append(codes.SUBNETS_OPEN.at(Origin(service.key)))
    made = NetworkLoadBalancer(
        name=name,
        listeners=tuple(sorted(listeners, key=lambda each: each.port)),
        target_groups=groups.made,
        scheme=scheme,
        ip_address_type=family,
        security_groups=security.ids,
        subnets=mappings,
        attributes=attributes,
        tags=tracked(tags, stack, LOAD_BALANCER, settings.cluster_name),
        origin=Origin(service.key, ("spec", "type")),
    )
    group = None
    if security.managed:
        group = SecurityGroup(
            service_security_group_name(
                settings.cluster_name,
                namespace=service.namespace,
                name=service.name,
                uid=load_balancer.uid(service),
            ),
            "[k8s] Managed SecurityGroup for LoadBalancer",
            permissions,
            tracked(tags, stack, MANAGED_SECURITY_GROUP, settings.cluster_name),
        )
    return Stack(
        stack,
        network=made,
        security_group=group,
        bindings=tuple(groups.bindings),
        shield=a.SHIELD.read(service),
        capacity_units=load_balancer.capacity_units(service),
        faults=(*annotation_faults(service), *faults),
    )


# --- listeners ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tls:
    """What turns TCP ports into TLS ports. `ports` are numbers and names; empty means all."""

    certificates: tuple[str, ...]
    ports: frozenset[str]
    policy: str
    encrypts: bool


def _listeners(
    service: core.Service, groups: TargetGroups, tags: Mapping[str, str], settings: Settings, faults: list[Fault]
) -> list[NetworkListener]:
    """Of two ports with one number, only the first counts, unless they are joined."""
    joins = a.TCP_UDP.read(service)
    joined = _joined(service) if (joins if joins is not None else "EnableTCPUDPListener" in settings.gates) else ()
    tls = _tls(service, settings)
    found: dict[int, NetworkListener] = {}
    for index, port in enumerate(service.spec.ports):
        origin = Origin(service.key, ("spec", "ports", index))
        if port.port in found:
            if port.port not in joined:
                faults.append(service_codes.DROPPED_PORT.at(origin, port=port.port, protocol=port.protocol))
            continue
        protocol = "TCP_UDP" if port.port in joined else port.protocol
        found[port.port] = _listener(service, port, protocol, tls, groups, tags, origin)
    return list(found.values())


def _listener(
    service: core.Service,
    port: core.ServicePort,
    protocol: str,
    tls: _Tls,
    groups: TargetGroups,
    tags: Mapping[str, str],
    origin: Origin,
) -> NetworkListener:
    behind = protocol
    if protocol == "TCP" and tls.certificates and (not tls.ports or _names(port) & tls.ports):
        protocol, behind = "TLS", "TLS" if tls.encrypts else "TCP"
    if _names(port) & frozenset(a.QUIC_PORTS.read(service) or ()):
        quic = {"UDP": "QUIC", "TCP_UDP": "TCP_QUIC"}.get(protocol)
        if quic is None:
            raise refused(f"Unsupported QUIC upgrade for protocol {protocol}", service, a.QUIC_PORTS)
        raise refused(f"listeners with the protocol {quic} are not served here", service, a.QUIC_PORTS)
    if protocol == "SCTP":
        raise Refused("a network load balancer has no listeners with the protocol SCTP", origin)
    listens = cast(NetworkProtocol, protocol)
    return NetworkListener(
        port.port,
        _forward(service, port, listens, cast(NetworkProtocol, behind), groups, origin),
        listens,
        tls.certificates if listens == "TLS" else (),
        tls.policy if listens == "TLS" else "",
        _alpn(service) if listens == "TLS" else "",
        attributes=a.LISTENER_ATTRIBUTES.of(f"{listens}-{port.port}").read(service) or {},
        tags=_listener_tags(tags, groups, str(port.port)),
        origin=origin,
    )


def _forward(
    service: core.Service,
    port: core.ServicePort,
    protocol: NetworkProtocol,
    behind: NetworkProtocol,
    groups: TargetGroups,
    origin: Origin,
) -> Forward:
    """To the Service's own target group, and to others with which an action shares. Theirs have the listener's
    protocol."""
    shared = weighted(service, protocol, port.port)
    own = groups.reference(service, port, behind, origin)
    if shared is None:
        return Forward((WeightedTargetGroup(own),))
    found = [WeightedTargetGroup(own, shared.base)]
    with about(Origin(service.key, a.WEIGHTED.of(f"{protocol}-{port.port}").path())):
        for share in shared.shares:
            theirs: NetworkProtocol = "TCP" if protocol == "TLS" and share.decrypted else protocol
            found.append(WeightedTargetGroup(groups.of(share.destination, theirs, origin), share.destination.weight))
    return Forward(tuple(found))


def _listener_tags(tags: Mapping[str, str], groups: TargetGroups, resource: str) -> Mapping[str, str]:
    """Empty without the feature gate."""
    if "ListenerRulesTagging" not in groups.settings.gates:
        return {}
    stack = ServiceId(groups.owner.namespace, groups.owner.name)
    return tracked(tags, stack, resource, groups.settings.cluster_name)


def _names(port: core.ServicePort) -> frozenset[str]:
    return frozenset((port.name, str(port.port)))


def _tls(service: core.Service, settings: Settings) -> _Tls:
    ports = a.SSL_PORTS.read(service) or ()
    known = frozenset[str]().union(*map(_names, service.spec.ports))
    if unused := [each for each in ports if each not in known]:
        raise refused(f"Unused port in ssl-ports annotation {listed(unused)}", service, a.SSL_PORTS)
    policy = a.SSL_POLICY.read(service)
    return _Tls(
        a.SSL_CERT.read(service) or (),
        frozenset(ports),
        settings.default_ssl_policy if policy is None else policy,
        a.BACKEND_PROTOCOL.read(service) == "ssl",
    )


def _alpn(service: core.Service) -> str:
    written = a.ALPN_POLICY.read(service)
    if written is not None and written not in a.ALPN_POLICY.values:
        policies = ", ".join(_ALPN_ORDER)
        raise refused(f"invalid ALPN policy {written}, policy must be one of [{policies}]", service, a.ALPN_POLICY)
    return written or ""


_ALPN_ORDER: Final = ("None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred")


def _joined(service: core.Service) -> frozenset[int]:
    """The numbers that a TCP and a UDP port share."""
    by_number: dict[int, list[core.ServicePort]] = {}
    for port in service.spec.ports:
        by_number.setdefault(port.port, []).append(port)
    for ports in by_number.values():
        if len(ports) > 1:
            _check_pair(service, ports)
    return frozenset(number for number, ports in by_number.items() if len(ports) > 1)


def _check_pair(service: core.Service, ports: Sequence[core.ServicePort]) -> None:
    protocols = [port.protocol for port in ports]
    if len(ports) != 2:
        raise refused(f"can only merge two ports, not {len(ports)} ({listed(protocols)})", service, a.TCP_UDP)
    if other := next((each for each in protocols if each not in ("TCP", "UDP")), None):
        raise refused(f"unsupported protocol for merging: {other}", service, a.TCP_UDP)
    if protocols[0] == protocols[1]:
        raise refused(f"protocols can't match for merging: {protocols[0]}", service, a.TCP_UDP)
