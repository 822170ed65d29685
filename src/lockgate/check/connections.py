"""The connections from load balancers to gateways: which target group leads to which listener of which gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.edge.network import GatewayPort, ServicePort
from lockgate.gateway.model import FilterChain, Gateway, Http, Listener, RouteConfiguration
from lockgate.loadbalancer.model import Forward, LoadBalancer, Target, TargetGroup
from lockgate.loadbalancer.model import Listener as Entrance


@dataclass(frozen=True, slots=True)
class Connection:
    """`service` is the Service port that the group is bound to, and `leads` the port of the gateway behind it.

    `gateway` is None if no Pod of the workload runs, `listener` if the gateway does not listen on the port. `entrances`
    are the load balancer's listeners that forward to the group.
    """

    balancer: LoadBalancer
    group: TargetGroup
    target: Target | None
    service: ServicePort
    leads: GatewayPort
    gateway: Gateway | None
    listener: Listener | None
    entrances: tuple[Entrance, ...]

    @property
    def chain(self) -> FilterChain | None:
        """The part of the listener that takes the connection: the one without server names, as there is no SNI."""
        chains = self.listener.filter_chains if self.listener else ()
        return next((chain for chain in chains if not chain.server_names), None)

    @property
    def routes(self) -> RouteConfiguration | None:
        """The routes of the requests of the connection."""
        if self.gateway is None or self.chain is None or not isinstance(self.chain.filter, Http):
            return None
        return self.gateway.routes[self.chain.filter.routes]

    @property
    def encrypted_for_clients(self) -> bool:
        """Whether clients reach the group with TLS."""
        return any(each.protocol == "HTTPS" for each in self.entrances)


def connections(edge: Edge) -> Iterator[Connection]:
    """One for each target group of an Application Load Balancer that leads to a gateway."""
    for balancer in edge.application_load_balancers:
        entrances = _entrances(balancer)
        for group in balancer.target_groups.values():
            target = group.targets[0] if group.targets else None
            service = edge.network.behind(group, target)
            leads = edge.network.gateways.get(service) if service else None
            if service is None or leads is None:
                continue
            gateway = edge.gateways.get(leads.workload)
            listeners = gateway.listeners if gateway else ()
            listener = next((each for each in listeners if each.port == leads.port), None)
            entered = entrances.get(group.reference, ())
            yield Connection(balancer, group, target, service, leads, gateway, listener, entered)


def _entrances(balancer: LoadBalancer) -> Mapping[str, tuple[Entrance, ...]]:
    """The listeners that forward to each target group."""
    found: dict[str, dict[int, Entrance]] = {}
    for listener in balancer.listeners:
        for actions in (listener.default_actions, *(rule.actions for rule in listener.rules)):
            if actions and isinstance(actions[-1], Forward):
                for each in actions[-1].target_groups:
                    found.setdefault(each.target_group, {})[listener.port] = listener
    return {reference: tuple(listeners.values()) for reference, listeners in found.items()}
