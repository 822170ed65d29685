"""Routes that send plain HTTP to ports named for HTTPS or TLS."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.gateway.model import Forward
from lockgate.resources import core, istio
from lockgate.resources.codes import across as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.PLAIN_TO_HTTPS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    protocols = _protocols(edge)
    for gateway in edge.gateways.values():
        for routes in gateway.routes.values():
            for virtual_host in routes.virtual_hosts:
                for route in virtual_host.routes:
                    for each in route.action.clusters if isinstance(route.action, Forward) else ():
                        cluster = gateway.clusters.get(each.cluster)
                        _, port, _, host = each.cluster.split("|")
                        protocol = protocols.get((host, int(port)))
                        if cluster is not None and cluster.tls is None and protocol is not None:
                            origin = Origin(route.origin.key, route.origin.path[:3]) if route.origin else None
                            yield codes.PLAIN_TO_HTTPS.at(origin, host=host, port=port, protocol=protocol)


def _protocols(edge: Edge) -> dict[tuple[str, int], str]:
    """The ports of TLS protocols, by host and number."""
    found: dict[tuple[str, int], str] = {}
    for service in edge.objects.all(core.Service):
        for port in service.spec.ports:
            protocol = (port.app_protocol or port.name.partition("-")[0]).upper()
            if protocol in ("HTTPS", "TLS"):
                found[f"{service.name}.{service.namespace}.svc.cluster.local", port.port] = protocol
    for entry in edge.objects.all(istio.ServiceEntry):
        for entry_port in entry.spec.ports:
            if entry_port.protocol.upper() in ("HTTPS", "TLS"):
                found.update(((host, entry_port.number), entry_port.protocol.upper()) for host in entry.spec.hosts)
    return found
