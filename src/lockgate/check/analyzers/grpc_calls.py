"""gRPC calls that one hop carries as HTTP/1.1: to the gateway, or from the gateway to the backend.

Source: AWS's guide to Application Load Balancers, "HTTP 464"; Istio's documentation, "Protocol Selection".
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import Connection, connections
from lockgate.edge.edge import Edge
from lockgate.gateway.model import Cluster, Forward, Gateway
from lockgate.gateway.registry import protocol
from lockgate.resources import core
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.GRPC_TO_HTTP1, codes.GRPC_BEHIND_HTTP1)


def analyze(edge: Edge) -> Iterator[Fault]:
    calls = _grpc_ports(edge)
    ways: dict[str, list[Connection]] = {}
    for each in connections(edge):
        if each.routes is not None:
            ways.setdefault(f"{each.leads.workload} {each.routes.name}", []).append(each)
    for among in ways.values():
        versions = {each.group.protocol_version for each in among}
        first = among[0]
        if "GRPC" in versions:
            by = next(each for each in among if each.group.protocol_version == "GRPC")
            for origin, cluster in _clusters(by):
                if cluster.protocol == "HTTP1":
                    host, port = _address(cluster)
                    yield codes.GRPC_TO_HTTP1.at(origin, balancer=by.balancer.name, host=host, port=port)
        elif versions == {"HTTP1"} and calls:
            for origin, cluster in _clusters(first):
                if (address := _address(cluster)) in calls:
                    host, port = address
                    yield codes.GRPC_BEHIND_HTTP1.at(origin, balancer=first.balancer.name, host=host, port=port)


def _clusters(way: Connection) -> Iterator[tuple[Origin | None, Cluster]]:
    """The clusters of the routes that a connection's requests can take."""
    gateway = way.gateway
    assert isinstance(gateway, Gateway) and way.routes is not None
    for host in way.routes.virtual_hosts:
        for route in host.routes:
            for each in route.action.clusters if isinstance(route.action, Forward) else ():
                if (cluster := gateway.clusters.get(each.cluster)) is not None:
                    yield route.origin, cluster


def _address(cluster: Cluster) -> tuple[str, int]:
    _, port, _, host = cluster.name.split("|")
    return host, int(port)


def _grpc_ports(edge: Edge) -> frozenset[tuple[str, int]]:
    """The Service ports that are named for gRPC. gRPC-Web is HTTP."""
    return frozenset(
        (f"{service.name}.{service.namespace}.svc.cluster.local", port.port)
        for service in edge.objects.all(core.Service)
        for port in service.spec.ports
        if protocol(port.name or "", port.app_protocol, port.port) == "grpc"
    )
