"""The connections from load balancers to gateways: which target group leads to which listener of which gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.edge.network import GatewayPort, ServicePort
from lockgate.gateway.model import Gateway, Listener
from lockgate.loadbalancer.model import LoadBalancer, Target, TargetGroup


@dataclass(frozen=True, slots=True)
class Connection:
    """`service` is the Service port that the group is bound to, and `leads` the port of the gateway behind it.

    `gateway` is None if no Pod of the workload runs, `listener` if the gateway does not listen on the port.
    """

    balancer: LoadBalancer
    group: TargetGroup
    target: Target | None
    service: ServicePort
    leads: GatewayPort
    gateway: Gateway | None
    listener: Listener | None


def connections(edge: Edge) -> Iterator[Connection]:
    """One for each target group of an Application Load Balancer that leads to a gateway."""
    for balancer in edge.application_load_balancers:
        for group in balancer.target_groups.values():
            target = group.targets[0] if group.targets else None
            service = edge.network.behind(group, target)
            leads = edge.network.gateways.get(service) if service else None
            if service is None or leads is None:
                continue
            gateway = edge.gateways.get(leads.workload)
            listeners = gateway.listeners if gateway else ()
            listener = next((each for each in listeners if each.port == leads.port), None)
            yield Connection(balancer, group, target, service, leads, gateway, listener)
