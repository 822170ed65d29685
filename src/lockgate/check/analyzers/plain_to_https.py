"""Routes that send plain HTTP to ports named for HTTPS or TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from lockgate.edge.edge import Edge
from lockgate.gateway.model import Forward, Gateway, VirtualHost
from lockgate.resources import core, istio
from lockgate.resources.codes import across as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.PLAIN_TO_HTTPS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    protocols = _protocols(edge)
    if not protocols:
        return
    for gateway in edge.gateways.values():
        plain = dict(_plain(gateway, protocols))
        for name, routes in gateway.routes.items() if plain else ():
            found = edge.remembered.each("forwards", _forwards_of, routes.virtual_hosts, gateway.workload, name)
            for origin, cluster in chain.from_iterable(found):
                if cluster in plain:
                    host, port, protocol = plain[cluster]
                    origin = Origin(origin.key, origin.path[:3]) if origin else None
                    yield codes.PLAIN_TO_HTTPS.at(origin, host=host, port=port, protocol=protocol)


def _plain(gateway: Gateway, protocols: Mapping[tuple[str, int], str]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """The clusters without TLS of ports that are named for it: host, port and protocol."""
    for name, cluster in gateway.clusters.items():
        _, port, _, host = name.split("|")
        if cluster.tls is None and (protocol := protocols.get((host, int(port)))) is not None:
            yield name, (host, port, protocol)


def _forwards_of(host: VirtualHost, _gateway: str, _routes: str) -> tuple[tuple[Origin | None, str], ...]:
    return tuple(
        (route.origin, each.cluster)
        for route in host.routes
        if isinstance(route.action, Forward)
        for each in route.action.clusters
    )


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
