"""Gateway servers that a load balancer cannot select, because it connects to its targets without SNI.

Source: AWS's guide to Application Load Balancers, "Target groups": the load balancer does not use SNI with targets.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import across as codes
from lockgate.resources.faults import Fault, Origin, Set

CODES = (codes.NO_SERVER_WITHOUT_SNI,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        if each.group.protocol != "HTTPS" or each.listener is None:
            continue
        chains = each.listener.filter_chains
        if any(not chain.server_names for chain in chains):
            continue
        servers = dict.fromkeys(chain.origin for chain in chains if chain.origin is not None)
        for server in servers:
            fault = codes.NO_SERVER_WITHOUT_SNI.at(
                server.under("hosts"), balancer=each.balancer.name, service=each.service
            )
            # Of several servers, somebody has to choose the one whose certificate the load balancer gets.
            yield fault.fixed_by(Set(server.under("hosts"), _any_host(edge, server))) if len(servers) == 1 else fault


def _any_host(edge: Edge, server: Origin) -> list[str]:
    """Any host, for VirtualServices of the namespaces that the server is for now."""
    gateway = edge.objects.get(istio.Gateway, server.key.namespace, server.key.name)
    match server.path:
        case ("spec", "servers", int(index)) if gateway is not None:
            written = gateway.spec.servers[index].hosts
            prefixes = [host.partition("/")[0] if "/" in host else "*" for host in written]
            return ["*"] if "*" in prefixes else [f"{prefix}/*" for prefix in dict.fromkeys(prefixes)]
        case _:
            return ["*"]
