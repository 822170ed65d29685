"""Target groups and their bindings, created on demand by rules.

Source: aws-load-balancer-controller `pkg/ingress/model_build_target_group.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import Annotation
from lockgate.ingress.annotations.values import read_int_or_text
from lockgate.ingress.group import Member
from lockgate.ingress.load_balancer import ingress_tags
from lockgate.ingress.names import pseudo_uid, target_group_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import GroupId, Opening, OpenPort, TargetGroupBinding, tracked
from lockgate.ingress.world import Account, Settings
from lockgate.loadbalancer.model import HealthCheck, Protocol, ProtocolVersion, TargetGroup
from lockgate.resources import core, networking
from lockgate.resources.faults import Origin
from lockgate.resources.field_errors import Path


@dataclass(slots=True)
class TargetGroups:
    """Collects the target groups of one build: one per Ingress, Service and port."""

    group: GroupId
    settings: Settings
    account: Account
    dualstack: bool
    opens_targets: bool
    made: dict[str, TargetGroup] = field(default_factory=dict)
    bindings: dict[str, TargetGroupBinding] = field(default_factory=dict)
    _shared: dict[tuple[str, str], _Settings] = field(default_factory=dict)

    def reference(self, member: Member, service: core.Service, port: int | str, path: Path) -> str:
        """The reference of the target group for a Service's port, as the Ingress writes it."""
        ingress = member.ingress
        reference = f"{ingress.namespace}/{ingress.name}-{service.name}:{port}"
        if reference not in self.made:
            self._make(reference, member, service, port, path)
        return reference

    def _make(self, reference: str, member: Member, service: core.Service, port: int | str, path: Path) -> None:
        ingress = member.ingress
        service_port = find_port(service, port)
        shared = self._settings_of(member, service)
        number = _port(service_port, shared.target_type)
        control_port = a.TARGET_CONTROL_PORT.of(f"{service.name}.{port}").read(service, ingress)
        if control_port is not None and shared.target_type == "instance":
            raise Refused("target control port is not supported for instance target target group")
        name = target_group_name(
            self.settings.cluster_name,
            str(self.group),
            ingress=(ingress.namespace, ingress.name),
            service=(service.namespace, service.name),
            service_uid=shared.service_uid,
            service_port=str(port),
            port=number,
            target_type=shared.target_type,
            protocol=shared.protocol,
            protocol_version=shared.protocol_version,
            control_port=control_port,
        )
        origin = Origin(ingress.key, path)
        self.made[reference] = TargetGroup(
            reference=reference,
            name=name,
            port=number,
            protocol=shared.protocol,
            protocol_version=shared.protocol_version,
            target_type=shared.target_type,
            ip_address_type=shared.ip_address_type,
            health_check=shared.health_check,
            attributes=shared.attributes,
            tags=tracked(shared.tags, self.group, reference, self.settings.cluster_name),
            vpc_id=self.account.vpc_id,
            control_port=control_port,
            origin=origin,
        )
        self.bindings[reference] = TargetGroupBinding(
            namespace=service.namespace,
            name=name,
            target_group=reference,
            service=service.name,
            port=port,
            target_type=shared.target_type,
            protocol=shared.protocol,
            ip_address_type=shared.ip_address_type,
            vpc_id=self.account.vpc_id,
            labels=self.group.labels,
            node_selector=shared.node_selector,
            openings=self._openings(service_port, shared, control_port),
            multi_cluster=shared.multi_cluster,
            origin=origin,
        )

    def _settings_of(self, member: Member, service: core.Service) -> _Settings:
        """The annotations that apply to all target groups of an Ingress and a Service."""
        key = (member.key, service.name)
        if key not in self._shared:
            self._shared[key] = _read(member, service, self.settings, self.dualstack)
        return self._shared[key]

    def _openings(self, port: core.ServicePort, shared: _Settings, control: int | None) -> tuple[Opening, ...] | None:
        if not self.opens_targets:
            return None
        if self.settings.disable_restricted_sg_rules:
            return (Opening((OpenPort(None),)),)
        ports: list[int | str] = [port.node_port or 0 if shared.target_type == "instance" else target_port(port)]
        if shared.health_check.port != "traffic-port":
            ports.append(int(shared.health_check.port))
        if control is not None:
            ports.append(control)
        return tuple(Opening((OpenPort(each),)) for each in dict.fromkeys(ports))


@dataclass(frozen=True, slots=True)
class _Settings:
    target_type: Literal["instance", "ip"]
    protocol: Protocol
    protocol_version: ProtocolVersion
    ip_address_type: Literal["ipv4", "ipv6"]
    health_check: HealthCheck
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    node_selector: Mapping[str, str]
    multi_cluster: bool
    service_uid: str


def _read(member: Member, service: core.Service, settings: Settings, dualstack: bool) -> _Settings:
    ingress = member.ingress
    target_type = _target_type(member, service, settings)
    protocol = _one_of(
        a.BACKEND_PROTOCOL, service, ingress, "HTTP", "backend protocol must be within [HTTP, HTTPS]: {}"
    )
    version = _one_of(
        a.BACKEND_PROTOCOL_VERSION,
        service,
        ingress,
        "HTTP1",
        "backend protocol version must be within [HTTP1, HTTP2, GRPC]: {}",
    )
    check = _health_check(ingress, service, target_type, protocol, version)
    family: Literal["ipv4", "ipv6"] = "ipv6" if "IPv6" in service.spec.ip_families else "ipv4"
    if family == "ipv6" and not dualstack:
        fix = f"set ip-address-type: dualstack, or remove IPv6 from the ipFamilies of Service {service.name}"
        raise Refused("unsupported IPv6 configuration, lb not dual-stack", fix=fix)
    return _Settings(
        target_type=target_type,
        protocol=cast(Protocol, protocol),
        protocol_version=cast(ProtocolVersion, version),
        ip_address_type=family,
        health_check=check,
        attributes=a.TARGET_GROUP_ATTRIBUTES.read(service, ingress) or {},
        tags=ingress_tags(member, settings, service),
        node_selector=(a.TARGET_NODE_LABELS.read(service, ingress) or {}) if target_type == "instance" else {},
        multi_cluster=bool(a.MULTI_CLUSTER_TARGET_GROUP.read(ingress) or a.MULTI_CLUSTER_TARGET_GROUP.read(service)),
        service_uid=service.metadata.uid or pseudo_uid(service.namespace, service.name),
    )


def find_port(service: core.Service, port: int | str) -> core.ServicePort:
    """A Service's port by number or name."""
    for candidate in service.spec.ports:
        if (candidate.name if isinstance(port, str) else candidate.port) == port:
            return candidate
    raise Refused(f"unable to find port {port} on service {service.namespace}/{service.name}")


def target_port(port: core.ServicePort) -> int | str:
    return port.port if port.target_port is None else port.target_port


def _target_type(member: Member, service: core.Service, settings: Settings) -> Literal["instance", "ip"]:
    given = member.params.spec.target_type if member.params else None
    default = "ip" if member.auto else settings.default_target_type
    written = a.TARGET_TYPE.read(service, member.ingress)
    value = given or (default if written is None else written)
    if value not in ("instance", "ip"):
        raise Refused(f"unknown targetType: {value}", Origin(member.ingress.key, a.TARGET_TYPE.path()))
    if value == "ip" and "EnableIPTargetType" not in settings.gates:
        raise Refused("unsupported targetType: ip when EnableIPTargetType is false", Origin(member.ingress.key))
    return cast(Literal["instance", "ip"], value)


def _port(port: core.ServicePort, target_type: str) -> int:
    if target_type == "instance":
        if not port.node_port:
            raise Refused(
                "TargetGroup port is empty. When using Instance targets, your service be must of type 'NodePort' or "
                "'LoadBalancer'"
            )
        return port.node_port
    number = target_port(port)
    if isinstance(number, str):
        return 1  # each target is registered with its port; ELBv2 only needs a number
    if not number:
        raise Refused("TargetGroup port is empty. Are you using the correct service type?")
    return number


def _one_of(
    annotation: Annotation[str], service: core.Service, ingress: networking.Ingress, default: str, error: str
) -> str:
    value = annotation.read(service, ingress)
    if value is None:
        return default
    if value not in annotation.values:
        holder = service if annotation.key in service.metadata.annotations else ingress
        raise Refused(error.format(value), Origin(holder.key, annotation.path()))
    return value


def _health_check(
    ingress: networking.Ingress, service: core.Service, target_type: str, protocol: str, version: str
) -> HealthCheck:
    """Contrary to the guide, the default is the backend's protocol."""
    grpc = version == "GRPC"
    own = _one_of(
        a.HEALTHCHECK_PROTOCOL, service, ingress, protocol, "healthCheckProtocol must be within [HTTP, HTTPS]"
    )
    numbers = [
        default if (value := annotation.read(service, ingress)) is None else value
        for annotation, default in (
            (a.HEALTHCHECK_INTERVAL, 15),
            (a.HEALTHCHECK_TIMEOUT, 5),
            (a.HEALTHY_THRESHOLD, 2),
            (a.UNHEALTHY_THRESHOLD, 2),
        )
    ]
    path, codes = a.HEALTHCHECK_PATH.read(service, ingress), a.SUCCESS_CODES.read(service, ingress)
    return HealthCheck(
        protocol=cast(Protocol, own),
        port=_health_check_port(ingress, service, target_type),
        path=path if path is not None else "/AWS.ALB/healthcheck" if grpc else "/",
        interval_seconds=numbers[0],
        timeout_seconds=numbers[1],
        healthy_threshold_count=numbers[2],
        unhealthy_threshold_count=numbers[3],
        matcher=codes if codes is not None else "12" if grpc else "200",
    )


def _health_check_port(ingress: networking.Ingress, service: core.Service, target_type: str) -> str:
    """A number is used unchanged, for instance targets too; a name is looked up on the Service."""
    written = a.HEALTHCHECK_PORT.read(service, ingress)
    if written is None or written == "traffic-port":
        return "traffic-port"
    number = read_int_or_text(written)
    if isinstance(number, int):
        return str(number)
    holder = service if a.HEALTHCHECK_PORT.key in service.metadata.annotations else ingress
    origin = Origin(holder.key, a.HEALTHCHECK_PORT.path())
    with about(origin, prefix="failed to resolve healthCheckPort: "):
        port = find_port(service, written)
    if target_type == "instance":
        return str(port.node_port or 0)
    target = target_port(port)
    if isinstance(target, str):
        message = "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port"
        raise Refused(message, origin)
    return str(target)
