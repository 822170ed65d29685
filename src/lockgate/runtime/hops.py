"""What each hop of a running edge serves, in the order in which a request meets them: for `status --output json`."""

from __future__ import annotations

from typing import Any

from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import Listener, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, TcpListener
from lockgate.runtime.running import RunningEdge
from lockgate.xds.snapshot import CLUSTER, LISTENER, ROUTE


async def hops(edge: RunningEdge) -> list[dict[str, Any]]:
    zones = [zone.name.rstrip(".") for zone in await edge.aws_api.hosted_zones()]
    address = f"{edge.dns.host}:{edge.dns.port}"
    return [
        {"hop": "dns", "address": address, "zones": zones, "addresses": dict(edge.addresses)},
        {
            "hop": "load balancer",
            "load_balancers": [_load_balancer(edge, balancer) for balancer in balancers(edge)],
            "envoy": _accepted(edge, "alb"),
        },
        {
            "hop": "gateway",
            "gateways": [_gateway(edge, node, gateway) for node, gateway in sorted(gateways(edge).items())],
        },
        {"hop": "backend", **_backends(edge)},
    ]


def balancers(edge: RunningEdge) -> tuple[AnyLoadBalancer, ...]:
    return (*edge.load_balancing.load_balancers, *edge.load_balancing.network_load_balancers)


def gateways(edge: RunningEdge) -> dict[str, Gateway]:
    """By the node id of their Envoy."""
    return {node: proxy.gateway for node, proxy in edge.istiod.proxies.items() if proxy.gateway is not None}


def _load_balancer(edge: RunningEdge, balancer: AnyLoadBalancer) -> dict[str, Any]:
    dns_name = balancer.dns_name.lower()
    return {
        "name": balancer.name,
        "arn": balancer.arn,
        "dns_name": balancer.dns_name,
        "address": edge.addresses.get(dns_name),
        "listeners": [
            {"port": each.port, "local_port": edge.local_ports.get((dns_name, each.port)), **_listener(each)}
            for each in balancer.listeners
        ],
        "target_groups": [_target_group(edge, group) for group in balancer.target_groups.values()],
    }


def _listener(listener: Listener | TcpListener) -> dict[str, Any]:
    if isinstance(listener, TcpListener):
        return {"protocol": "TCP"}
    rules = len(listener.rules)
    return {"protocol": listener.protocol, "certificates": list(listener.certificates), "rules": rules}


def _target_group(edge: RunningEdge, group: TargetGroup) -> dict[str, Any]:
    targets = dict(edge.load_balancing.target_states(group.reference))
    complaints = list(edge.load_balancing.complaints(group.reference))
    return {"name": group.name, "protocol": group.protocol, "targets": targets, "complaints": complaints}


def _gateway(edge: RunningEdge, node: str, gateway: Gateway) -> dict[str, Any]:
    virtual_hosts = [host for routes in gateway.routes.values() for host in routes.virtual_hosts]
    return {
        "workload": gateway.workload,
        "listeners": [listener.name for listener in gateway.listeners],
        "hosts": sorted({domain for host in virtual_hosts for domain in host.domains}),
        "envoy": _accepted(edge, node),
    }


def _backends(edge: RunningEdge) -> dict[str, Any]:
    table = edge.nodes.table
    return {
        "node_ports": {
            str(port): [f"{host}:{number}" for host, number in addresses]
            for port, addresses in sorted(table.node_ports.items())
        },
        "services": {
            f"{address}:{port}": [f"{host}:{number}" for host, number in addresses]
            for (address, port), addresses in sorted(table.cluster_addresses.items())
        },
    }


def _accepted(edge: RunningEdge, node: str) -> dict[str, Any]:
    snapshot = edge.ads.snapshot(node)
    return {
        "settled": edge.ads.is_settled(node),
        "listeners": sorted(snapshot.names(LISTENER)),
        "clusters": len(snapshot.names(CLUSTER)),
        "routes": len(snapshot.names(ROUTE)),
        "rejections": [str(each) for each in edge.ads.rejections(node)],
    }
