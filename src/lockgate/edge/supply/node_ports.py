"""Node ports of health checks: numbers that a cluster once assigned, and that its manifests contain."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import NodePort
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.references import services_of
from lockgate.ingress.target_groups import target_port
from lockgate.resources import core, networking

_RANGE = range(30000, 32768)
_STATUS = (15020, 15021)  # of Istio's gateways, for /healthz/ready


def node_ports(objects: Objects) -> Iterator[NodePort]:
    """One for each health check of a number that no Service has."""
    taken = {port.node_port for service in objects.all(core.Service) for port in service.spec.ports}
    for ingress in objects.all(networking.Ingress):
        for name in services_of(ingress):
            service = objects.get(core.Service, ingress.namespace, name)
            number = _number(ingress, service) if service else None
            if service is None or number is None or number in taken:
                continue
            if port := _checked(ingress, service):
                taken.add(number)
                of = f"port {port.name or port.port} of Service {service.namespace}/{name}"
                why = f"node port {number}: assigned to {of}, because {ingress.key} checks its health there"
                yield NodePort(service.namespace, name, port.port, number, why)


def _number(ingress: networking.Ingress, service: core.Service) -> int | None:
    if service.spec.type not in ("NodePort", "LoadBalancer") or a.TARGET_TYPE.read(service, ingress) == "ip":
        return None
    written = a.HEALTHCHECK_PORT.read(service, ingress) or ""
    return int(written) if written.isdecimal() and int(written) in _RANGE else None


def _checked(ingress: networking.Ingress, service: core.Service) -> core.ServicePort | None:
    """The port that answers the check's path, if it has no number yet."""
    status = (a.HEALTHCHECK_PATH.read(service, ingress) or "").startswith("/healthz/")
    free = (port for port in service.spec.ports if not port.node_port)
    return next((port for port in free if (target_port(port) in _STATUS) == status), None)
