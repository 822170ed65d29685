"""Whether the load balancer's health check of a target group would pass, decided from the service behind it."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.edge.mutual_tls import refusing
from lockgate.edge.network import GatewayPort
from lockgate.gateway import routing
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request as GatewayRequest
from lockgate.loadbalancer.health import matcher_ranges
from lockgate.loadbalancer.model import HealthCheck, Target, TargetGroup

READINESS_PATH = "/healthz/ready"


@dataclass(frozen=True, slots=True)
class Health:
    """`passes` None means that only the application knows. `status` is the response to the check, if there is one."""

    passes: bool | None
    status: int | None
    why: str


def health(edge: Edge, group: TargetGroup, target: Target | None) -> Health:
    check = group.health_check
    port = None if check.port == "traffic-port" else int(check.port)
    if port and group.target_type == "instance" and (asked := edge.network.health_ports.get(port)):
        ready = asked not in edge.network.without_endpoints
        status, has = (200, "has") if ready else (503, "has not")
        where = f"{asked.namespace}/{asked.service}"
        return _judged(check, status, f"kube-proxy answers {status}, for the node {has} an endpoint of {where}")
    found = edge.network.behind(group, target, port)
    if found is None:
        return Health(False, None, f"nothing is known to listen on port {port}" if port else "no Service is behind it")
    leads = edge.network.gateways.get(found)
    if leads is None:
        if policy := refusing(edge, found):
            named = f"{policy.namespace}/{policy.name}"
            why = f"the sidecar of {found} resets the connection, by PeerAuthentication {named}"
            return Health(False, None, why)
        return Health(None, None, f"{found} decides")
    gateway = edge.gateways.get(leads.workload)
    if gateway is None:
        return Health(False, None, f"{leads.workload} does not run")
    return _of_gateway(check, gateway, leads, grpc=group.protocol_version == "GRPC")


def _of_gateway(check: HealthCheck, gateway: Gateway, leads: GatewayPort, *, grpc: bool) -> Health:
    asked = f"{check.protocol} {check.path} on port {leads.port}"
    if check.protocol == "TCP":
        listens = leads.port == gateway.status_port or any(each.port == leads.port for each in gateway.listeners)
        return Health(listens, None, "the port accepts connections" if listens else f"nothing listens on {leads.port}")
    if leads.port == gateway.status_port:
        if check.protocol == "HTTPS":
            return Health(False, None, f"{asked}: the status port speaks plain HTTP, so the TLS handshake fails")
        status = 200 if check.path.partition("?")[0] == READINESS_PATH else 404
        return _judged(check, status, f"{asked}: the gateway's readiness answers {status}")
    request = GatewayRequest(leads.port, "10.0.0.10", check.path, tls=check.protocol == "HTTPS")
    match routing.decide(gateway, request).outcome:
        case routing.NotAccepted():
            return Health(False, None, f"{asked}: the gateway does not listen there")
        case routing.Closed(_, reason):
            return Health(False, None, f"{asked}: the gateway closes the connection, as {reason}")
        case routing.Answered(status=status) if grpc:
            code = routing.GRPC_STATUS.get(status, routing.UNKNOWN)
            return _judged(check, code, f"{asked}: the gateway answers the gRPC status {code}")
        case routing.Answered(status=status):
            return _judged(check, status, f"{asked}: the gateway answers {status}")
        case routing.Forwarded(upstreams):
            return Health(None, None, f"{asked}: {upstreams[0].cluster} decides")
        case routing.Carried():
            return Health(None, None, f"{asked}: the backend decides")


def _judged(check: HealthCheck, status: int, what: str) -> Health:
    passes = any(low <= status <= high for low, high in matcher_ranges(check.matcher))
    return Health(passes, status, what if passes else f"{what}, and the check takes {check.matcher}")
