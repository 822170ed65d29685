"""The target group and the binding of each port of a Service with a load balancer.

Source: aws-load-balancer-controller `pkg/service/model_build_target_group.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, Literal, cast

from lockgate.ingress.actions import ToArn, ToService
from lockgate.ingress.annotations import services as a
from lockgate.ingress.annotations.spec import AnyAnnotation
from lockgate.ingress.annotations.values import Malformed, read_bool, read_int_or_text, trim
from lockgate.ingress.names import service_target_group_name
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.services.load_balancer import Family, SecurityGroups, refused, source_ranges, tags, uid
from lockgate.ingress.stack import Opening, OpenPort, ServiceId, TargetGroupBinding, tracked
from lockgate.ingress.target_groups import find_port, target_port
from lockgate.ingress.world import Account, Name, Settings
from lockgate.loadbalancer.model import HealthCheck, NetworkProtocol, Scheme, TargetGroup, TargetProtocol
from lockgate.loadbalancer.network import PRESERVE_CLIENT_IP, PROXY_PROTOCOL, preserves_client_address
from lockgate.resources import core
from lockgate.resources.faults import Origin

TargetType = Literal["instance", "ip"]


@dataclass(slots=True)
class TargetGroups:
    """Collects the target groups of one build. `owner` is the Service that has the load balancer: its annotations count
    for all of them."""

    owner: core.Service
    services: Mapping[Name, core.Service]
    settings: Settings
    account: Account
    scheme: Scheme
    family: Family
    subnets: tuple[str, ...]
    security: SecurityGroups
    made: dict[str, TargetGroup] = field(default_factory=dict)
    bindings: list[TargetGroupBinding] = field(default_factory=list)

    def reference(
        self, service: core.Service, port: core.ServicePort, protocol: NetworkProtocol, origin: Origin
    ) -> str:
        """The reference of the target group for a Service's port."""
        reference = f"{service.namespace}/{service.name}:{port.port}"
        if reference not in self.made:
            with about(origin):
                self._make(reference, service, port, protocol, origin)
        return reference

    def of(self, destination: ToService | ToArn, protocol: NetworkProtocol, origin: Origin) -> str:
        """The reference of a target group with which an action shares connections."""
        match destination:
            case ToService(name, number, _):
                service = self.services.get((self.owner.namespace, name))
                if service is None:
                    raise Refused(f'Service "{name}" not found')
                return self.reference(service, find_port(service, number), protocol, origin)
            case ToArn(arn, _):
                return arn

    def _make(
        self,
        reference: str,
        service: core.Service,
        port: core.ServicePort,
        protocol: NetworkProtocol,
        origin: Origin,
    ) -> None:
        stack, settings = ServiceId(self.owner.namespace, self.owner.name), self.settings
        target_type = _target_type(self.owner, service, port, settings)
        check = _health_check(self.owner, service, target_type, settings)
        attributes = _attributes(self.owner, port.port)
        number = _number(port, target_type)
        name = service_target_group_name(
            settings.cluster_name,
            namespace=service.namespace,
            name=service.name,
            uid=uid(service),
            owner_uid="" if service is self.owner else uid(self.owner),
            target_port=number,
            port=port.port,
            target_type=target_type,
            protocol=protocol,
            check_protocol=check.protocol,
            check_interval=check.interval_seconds,
        )
        family: Literal["ipv4", "ipv6"] = "ipv6" if "IPv6" in service.spec.ip_families else "ipv4"
        if family == "ipv6" and self.family != "dualstack":
            fix = f"set {a.IP_ADDRESS_TYPE.name}: dualstack, or remove IPv6 from the ipFamilies of {service.name}"
            raise Refused("unsupported IPv6 configuration, lb not dual-stack", fix=fix)
        if not number:
            raise Refused(_EMPTY[target_type])
        labels = a.TARGET_NODE_LABELS.read(self.owner) if target_type == "instance" else None
        made = self.made[reference] = TargetGroup(
            reference=reference,
            name=name,
            port=number,
            protocol=protocol,
            target_type=target_type,
            ip_address_type=family,
            health_check=check,
            attributes=attributes,
            tags=tracked(tags(self.owner, settings), stack, reference, settings.cluster_name),
            vpc_id=self.account.vpc_id,
            origin=origin,
        )
        self.bindings.append(
            TargetGroupBinding(
                namespace=service.namespace,
                name=name,
                target_group=reference,
                service=service.name,
                port=port.port,
                target_type=target_type,
                protocol=protocol,
                ip_address_type=family,
                vpc_id=self.account.vpc_id,
                labels=stack.labels,
                node_selector=labels or {},
                openings=self._openings(port, made),
                multi_cluster=bool(a.MULTI_CLUSTER.read(self.owner)),
                origin=origin,
            )
        )

    # --- what the nodes' security groups open --------------------------------------------------------------------

    def _openings(self, port: core.ServicePort, group: TargetGroup) -> tuple[Opening, ...] | None:
        at = port.node_port if group.target_type == "instance" else target_port(port)
        return self._to_security_group(at, group) if self.security.ids else self._to_addresses(at, group)

    def _to_security_group(self, at: int | str, group: TargetGroup) -> tuple[Opening, ...] | None:
        if self.security.peer is None:
            return None
        protocol, check = group.protocol, group.health_check
        udp = protocol in ("UDP", "TCP_UDP")
        if self.settings.disable_restricted_sg_rules:
            return (Opening((OpenPort(None), *((OpenPort(None, "UDP"),) if udp else ()))),)
        ports = [OpenPort(at, "UDP")] if udp else [OpenPort(at)]
        own_check = check.port == "traffic-port" or check.port == str(at)
        if udp and (protocol == "TCP_UDP" or own_check):
            ports.append(OpenPort(at))
        if not own_check:
            ports.append(OpenPort(int(check.port)))
        return (Opening(tuple(ports)),)

    def _to_addresses(self, at: int | str, group: TargetGroup) -> tuple[Opening, ...] | None:
        """Without security groups: to the clients whose addresses targets see, or else to the subnets."""
        if a.MANAGE_RULES.read(self.owner) is False:
            return None
        protocol, check, family = group.protocol, group.health_check, group.ip_address_type
        preserves = preserves_client_address(group)
        chosen = [each for each in self.account.subnets or () if each.id in self.subnets]
        subnets = tuple(block for each in chosen for block in each.blocks if _is(block, family))
        sources, default = subnets, False
        if preserves:
            sources = source_ranges(self.owner)
            if not sources:
                default = True
                sources = ("::/0",) if family == "ipv6" else ("0.0.0.0/0",)
                if self.scheme == "internal":
                    sources = tuple(block for block in self.account.vpc_blocks or () if _is(block, family))
        by_protocol = {"UDP": (OpenPort(at, "UDP"),), "TCP_UDP": (OpenPort(at), OpenPort(at, "UDP"))}
        found = [Opening(by_protocol.get(protocol, (OpenPort(at),)), sources)]
        covered = protocol != "UDP" and (check.port == "traffic-port" or check.port == str(at))
        everyone = default or any(each in ("0.0.0.0/0", "::/0") for each in sources)
        if subnets and not (covered and (not preserves or everyone)):
            found.append(Opening((OpenPort(at if check.port == "traffic-port" else int(check.port)),), subnets))
        return tuple(each for each in found if each.sources) or None


_EMPTY: Final[Mapping[TargetType, str]] = {
    "ip": "TargetGroup port is empty. Are you using the correct service type?",
    "instance": "TargetGroup port is empty. When using Instance targets, your service be must of type 'NodePort' or "
    "'LoadBalancer'",
}


def _is(block: str, family: Literal["ipv4", "ipv6"]) -> bool:
    return f"ipv{ip_network(block, strict=False).version}" == family


def _number(port: core.ServicePort, target_type: TargetType) -> int:
    if target_type == "instance":
        return port.node_port
    number = target_port(port)
    return 1 if isinstance(number, str) else number  # each target is registered with its port


def _target_type(owner: core.Service, service: core.Service, port: core.ServicePort, settings: Settings) -> TargetType:
    """Only `ip` is compared: any other value means nodes."""
    written = a.TARGET_TYPE.read(owner)
    value = settings.default_target_type if written is None else written
    if value == "ip" and "EnableIPTargetType" not in settings.gates:
        message = "unsupported targetType: ip when EnableIPTargetType is false"
        raise refused(message, owner, a.TARGET_TYPE)
    if value == "ip" or a.TYPE.read(owner) == "nlb-ip":
        return "ip"
    if service.spec.type == "ClusterIP":
        message = f'unsupported service type "ClusterIP" for load balancer target type "{value}"'
        raise Refused(message, Origin(service.key, ("spec", "type")))
    if not port.node_port and service.spec.allocate_load_balancer_node_ports is False:
        raise Refused("unable to support instance target type with an unallocated NodePort")
    return "instance"


# --- attributes --------------------------------------------------------------------------------------------------


def _attributes(owner: core.Service, port: int) -> dict[str, str]:
    found = {PROXY_PROTOCOL: "false"}
    found |= _written(owner, a.TARGET_GROUP_ATTRIBUTES)
    own = _written(owner, a.TARGET_GROUP_ATTRIBUTES_OF.of(str(port)))
    found |= {key: value for key, value in own.items() if value}
    per_port = a.PROXY_PROTOCOL_PORTS.read(owner)
    if per_port is not None:
        found[PROXY_PROTOCOL] = "true" if str(port) in _proxied(owner, per_port) else "false"
    whole = a.PROXY_PROTOCOL.read(owner)
    if whole not in (None, "*"):
        message = (
            f"invalid value {whole} for Load Balancer proxy protocol v2 annotation, only value currently supported is *"
        )
        raise refused(message, owner, a.PROXY_PROTOCOL)
    if whole == "*":
        found[PROXY_PROTOCOL] = "true"
    return {key: value for key, value in found.items() if value or key != PROXY_PROTOCOL}


def _written(owner: core.Service, annotation: AnyAnnotation) -> Mapping[str, str]:
    found: Mapping[str, str] = annotation.read(owner) or {}
    if PRESERVE_CLIENT_IP in found:
        try:
            read_bool(found[PRESERVE_CLIENT_IP])
        except Malformed as error:
            message = f"failed to parse attribute {PRESERVE_CLIENT_IP}={found[PRESERVE_CLIENT_IP]}: {error.reason}"
            raise refused(message, owner, annotation) from None
    return found


def _proxied(owner: core.Service, written: str) -> frozenset[str]:
    ports = [trimmed for item in written.split(",") if (trimmed := trim(item))]
    for each in ports:
        if not each.lstrip("+-").isdigit():
            message = f"invalid port number in proxy-protocol-per-target-group: {each}"
            raise refused(message, owner, a.PROXY_PROTOCOL_PORTS)
    return frozenset(ports)


# --- the health check --------------------------------------------------------------------------------------------

_DEFAULT: Final = HealthCheck("TCP", "traffic-port", "/", 10, 10, 3, 3)
_LOCAL: Final = HealthCheck("HTTP", "", "/healthz", 10, 6, 2, 2)
_CODES: Final = "200-399"


def _health_check(
    owner: core.Service, service: core.Service, target_type: TargetType, settings: Settings
) -> HealthCheck:
    """Nodes that serve only their own Pods have a port of kube-proxy's that says whether there are any."""
    local = (
        target_type == "instance"
        and service.spec.external_traffic_policy == "Local"
        and service.spec.type == "LoadBalancer"
    )
    default = _LOCAL if local else _DEFAULT
    advanced = "NLBHealthCheckAdvancedConfig" in settings.gates
    protocol = a.HC_PROTOCOL.read(owner)
    protocol = default.protocol if protocol is None else protocol.upper()
    if protocol not in a.HC_PROTOCOL.values:
        message = f"unsupported health check protocol {a.HC_PROTOCOL.read(owner)}"
        raise refused(message, owner, a.HC_PROTOCOL)
    path, codes = a.HC_PATH.read(owner), a.HC_CODES.read(owner) if advanced else None
    default_port = str(service.spec.health_check_node_port) if local else default.port
    port = _check_port(owner, service, target_type, default_port)
    interval, timeout = a.HC_INTERVAL.read(owner), a.HC_TIMEOUT.read(owner) if advanced else None
    healthy, unhealthy = a.HC_HEALTHY.read(owner), a.HC_UNHEALTHY.read(owner)
    tcp = protocol == "TCP"
    return HealthCheck(
        protocol=cast(TargetProtocol, protocol),
        port=port,
        path="" if tcp else default.path if path is None else path,
        interval_seconds=default.interval_seconds if interval is None else interval,
        timeout_seconds=default.timeout_seconds if timeout is None else timeout,
        healthy_threshold_count=default.healthy_threshold_count if healthy is None else healthy,
        unhealthy_threshold_count=default.unhealthy_threshold_count if unhealthy is None else unhealthy,
        matcher="" if tcp else _CODES if codes is None else codes,
    )


def _check_port(owner: core.Service, service: core.Service, target_type: TargetType, default: str) -> str:
    written = a.HC_PORT.read(owner)
    value = default if written is None else written
    if value == "traffic-port" or isinstance(number := read_int_or_text(value), int):
        return value if value == "traffic-port" else str(number)
    origin = Origin(owner.key, a.HC_PORT.path())
    with about(origin, prefix="failed to resolve healthCheckPort: "):
        port = find_port(service, value)
    if target_type == "instance":
        return str(port.node_port)
    target = target_port(port)
    if isinstance(target, str):
        message = "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port"
        raise Refused(message, origin)
    return str(target)
