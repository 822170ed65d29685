"""Health checks that the gateway behind a target group answers with something that the check does not take."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import Connection, connections
from lockgate.check.target_settings import changed, written
from lockgate.edge.edge import Edge
from lockgate.edge.health import READINESS_PATH, health
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.health import matcher_ranges
from lockgate.resources import core, istio
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault, Set

CODES = (codes.UNHEALTHY,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        checked = health(edge, each.group, each.target)
        if checked.passes is not False or each.gateway is None or _is_elsewhere(edge, each):
            continue
        ready = _readiness(edge, each)
        code = codes.UNHEALTHY if ready else codes.UNHEALTHY_WITHOUT_STATUS_PORT
        deciding = a.HEALTHCHECK_PATH if each.group.health_check.port == "traffic-port" else a.HEALTHCHECK_PORT
        place = written(edge, each.group, deciding)
        names = {"balancer": each.balancer.name, "service": each.service, "why": checked.why}
        fault = code.at(place, **names, **({"port": ready} if ready else {}))
        yield fault.fixed_by(*_edits(edge, each, ready)) if ready else fault


def _is_elsewhere(edge: Edge, each: Connection) -> bool:
    """Whether what would answer the check is in other files: teams keep Gateways and VirtualServices apart."""
    check = each.group.health_check
    port = None if check.port == "traffic-port" else int(check.port)
    asked = edge.network.behind(each.group, each.target, port)
    leads = edge.network.gateways.get(asked) if asked else None
    if leads is None or each.gateway is None or leads.port == each.gateway.status_port:
        return False
    if not edge.objects.among(istio.Gateway):
        return True
    listens = any(listener.port == leads.port for listener in each.gateway.listeners)
    return listens and each.chain is not None and not edge.objects.among(istio.VirtualService)


def _readiness(edge: Edge, each: Connection) -> str:
    """How the health check can name the port of the gateway's readiness: by the Service's name for it."""
    assert each.gateway is not None
    for port, leads in edge.network.gateways.items():
        here = (port.namespace, port.service) == (each.service.namespace, each.service.service)
        if here and leads.port == each.gateway.status_port:
            service = edge.objects.get(core.Service, port.namespace, port.service)
            found = next((one.name for one in service.spec.ports if one.port == port.port), "") if service else ""
            if found:
                return found
    return str(each.gateway.status_port) if each.group.target_type == "ip" else ""


def _edits(edge: Edge, each: Connection, port: str) -> tuple[Set, ...]:
    if not any(low <= 200 <= high for low, high in matcher_ranges(each.group.health_check.matcher)):
        return ()
    wanted = ((a.HEALTHCHECK_PORT, port), (a.HEALTHCHECK_PROTOCOL, "HTTP"), (a.HEALTHCHECK_PATH, READINESS_PATH))
    edits = [changed(edge, each.balancer, each.group, annotation, value) for annotation, value in wanted]
    made = tuple(edit for edit in edits if edit is not None)
    return made if len(made) == len(edits) and len({edit.origin.key for edit in made}) == 1 else ()
