"""Gateway servers that a load balancer cannot select, because it connects to its targets without SNI.

Source: AWS's guide to Application Load Balancers, "Target groups": the load balancer does not use SNI with targets.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import Connection, connections
from lockgate.edge.edge import Edge
from lockgate.gateway.hosts import within
from lockgate.gateway.model import Http, VirtualHost
from lockgate.resources import istio
from lockgate.resources.codes import across as codes
from lockgate.resources.codes import to_gateway
from lockgate.resources.faults import Fault, Origin, Set

CODES = (codes.NO_SERVER_WITHOUT_SNI, to_gateway.UNREACHED_SERVER)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in connections(edge):
        if each.group.protocol != "HTTPS" or each.listener is None:
            continue
        chains = each.listener.filter_chains
        if each.chain is not None:
            yield from _unreached(each)
            continue
        servers = dict.fromkeys(chain.origin for chain in chains if chain.origin is not None)
        for server in servers:
            fault = codes.NO_SERVER_WITHOUT_SNI.at(
                server.under("hosts"), balancer=each.balancer.name, service=each.service
            )
            # Of several servers, somebody has to choose the one whose certificate the load balancer gets.
            yield fault.fixed_by(Set(server.under("hosts"), _any_host(edge, server))) if len(servers) == 1 else fault


def _unreached(each: Connection) -> Iterator[Fault]:
    """Servers whose hosts have no route at the server that the load balancer gets."""
    if each.gateway is None or each.listener is None or each.routes is None:
        return
    served = {_host(domain) for host in each.routes.virtual_hosts for domain in host.domains if _answers(host)}
    for chain in each.listener.filter_chains:
        if not chain.server_names or chain.origin is None or not isinstance(chain.filter, Http):
            continue
        hosts = filter(_answers, each.gateway.routes[chain.filter.routes].virtual_hosts)
        named = [_host(host.domains[0]) for host in hosts]
        lost = [name for name in dict.fromkeys(named) if not any(within(name, domain) for domain in served)]
        if lost:
            place = chain.origin.under("hosts")
            yield to_gateway.UNREACHED_SERVER.at(place, balancer=each.balancer.name, hosts=", ".join(lost[:3]))


def _answers(host: VirtualHost) -> bool:
    """Whether it is more than the virtual host for 404."""
    return bool(host.routes) or host.require_tls


def _host(domain: str) -> str:
    return domain.partition(":")[0]


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
