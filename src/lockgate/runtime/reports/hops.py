"""The configuration of each hop of a running edge, in the order of a request, for `status --output json`."""

from __future__ import annotations

from typing import Any

from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import Listener, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkListener
from lockgate.runtime.observed import Balancing, Proxy, State
from lockgate.xds.snapshot import CLUSTER, LISTENER, ROUTE


def hops(state: State) -> list[dict[str, Any]]:
    balancing = state.balancing
    return [
        {
            "hop": "dns",
            "address": state.about["addresses"]["dns"],
            "zones": list(state.zones),
            "addresses": dict(balancing.addresses),
        },
        {
            "hop": "load balancer",
            "load_balancers": [_load_balancer(balancing, balancer) for balancer in balancing.all],
            "envoy": _accepted(state.alb),
        },
        {
            "hop": "gateway",
            "gateways": [_gateway(state.envoys[node], gateway) for node, gateway in state.gateways.items()],
        },
        {"hop": "backend", **_backends(state)},
    ]


def _load_balancer(balancing: Balancing, balancer: AnyLoadBalancer) -> dict[str, Any]:
    dns_name = balancer.dns_name.lower()
    return {
        "name": balancer.name,
        "arn": balancer.arn,
        "dns_name": balancer.dns_name,
        "address": balancing.addresses.get(dns_name),
        "listeners": [
            {"port": each.port, "local_port": balancing.ports.get((dns_name, each.port)), **_listener(each)}
            for each in balancer.listeners
        ],
        "target_groups": [_target_group(balancing, group) for group in balancer.target_groups.values()],
    }


def _listener(listener: Listener | NetworkListener) -> dict[str, Any]:
    if isinstance(listener, NetworkListener):
        return {"protocol": listener.protocol, "certificates": list(listener.certificates)}
    rules = len(listener.rules)
    return {"protocol": listener.protocol, "certificates": list(listener.certificates), "rules": rules}


def _target_group(balancing: Balancing, group: TargetGroup) -> dict[str, Any]:
    targets = dict(balancing.targets.get(group.reference, {}))
    complaints = list(balancing.complaints.get(group.reference, ()))
    return {"name": group.name, "protocol": group.protocol, "targets": targets, "complaints": complaints}


def _gateway(envoy: Proxy, gateway: Gateway) -> dict[str, Any]:
    virtual_hosts = [host for routes in gateway.routes.values() for host in routes.virtual_hosts]
    return {
        "workload": gateway.workload,
        "listeners": [listener.name for listener in gateway.listeners],
        "hosts": sorted({domain for host in virtual_hosts for domain in host.domains}),
        "envoy": _accepted(envoy),
    }


def _backends(state: State) -> dict[str, Any]:
    return {
        "node_ports": {
            str(port): [f"{host}:{number}" for host, number in addresses]
            for port, addresses in sorted(state.ports.node_ports.items())
        },
        "services": {
            f"{address}:{port}": [f"{host}:{number}" for host, number in addresses]
            for (address, port), addresses in sorted(state.ports.cluster_addresses.items())
        },
    }


def _accepted(envoy: Proxy) -> dict[str, Any]:
    return {
        "settled": envoy.settled,
        "listeners": sorted(envoy.snapshot.names(LISTENER)),
        "clusters": len(envoy.snapshot.names(CLUSTER)),
        "routes": len(envoy.snapshot.names(ROUTE)),
        "rejections": [str(each) for each in envoy.rejections],
    }
