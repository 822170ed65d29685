"""Resolves addresses: the Service port that a target leads to, and the gateway that listens there.

A load balancer's targets are instances with node ports, or Pod addresses. In a cluster, kube-proxy and the VPC's CNI
resolve them; here it is a table, built from a cluster's Services and EndpointSlices, or from manifests alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.edge.workloads import GatewayWorkload, target_port
from lockgate.loadbalancer.model import Target, TargetGroup
from lockgate.resources import core

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """A Service port by number, as manifests name it."""

    namespace: str
    service: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port}"


@dataclass(frozen=True, slots=True)
class GatewayPort:
    """A port on which a gateway workload listens. `workload` is a key of `Edge.gateways`; `port` is Istio's (8443)."""

    workload: str
    port: int


@dataclass(frozen=True, slots=True)
class Network:
    """`bindings` are the Service ports of TargetGroupBindings, by the reference of their target group."""

    bindings: Mapping[str, ServicePort] = field(default_factory=dict)
    node_ports: Mapping[int, ServicePort] = field(default_factory=dict)
    addresses: Mapping[tuple[str, int], ServicePort] = field(default_factory=dict)
    """Cluster IPs and Pod IPs, each with a port."""
    gateways: Mapping[ServicePort, GatewayPort] = field(default_factory=dict)
    without_endpoints: frozenset[ServicePort] = frozenset()
    """Service ports behind which no endpoint is ready."""
    health_ports: Mapping[int, ServicePort] = field(default_factory=dict)
    """Node ports on which kube-proxy says whether the node has endpoints of a Service; its first port stands for it."""

    def behind(self, group: TargetGroup, target: Target | None = None, port: int | None = None) -> ServicePort | None:
        """The Service port of a target, on its own port or on another (for a health check).

        Without a target, or for an unknown address, the group's binding decides.
        """
        if target is not None:
            number = port or target.port
            found = self.node_ports.get(number) if group.target_type == "instance" else None
            found = found or self.addresses.get((target.id, number))
            if found is not None:
                return found
        bound = self.bindings.get(group.reference)
        if bound is None or port is None or (target is not None and port == target.port):
            return bound
        return next((each for each in self.gateways if self._same(each, bound, port)), None)

    def served(self, group: TargetGroup) -> ServicePort | None:
        """The Service port that takes a group's requests. None if the group has no target: with target type `ip`, the
        controller registers only ready endpoints."""
        found = self.behind(group, group.targets[0] if group.targets else None)
        return None if group.target_type == "ip" and found in self.without_endpoints else found

    def _same(self, each: ServicePort, bound: ServicePort, port: int) -> bool:
        """Whether `each` is the port of the bound Service whose Pods listen on `port`."""
        return (each.namespace, each.service) == (bound.namespace, bound.service) and self.gateways[each].port == port


def network(
    services: Iterable[core.Service],
    workloads: Sequence[GatewayWorkload],
    slices: Iterable[core.EndpointSlice] = (),
    bindings: Mapping[str, ServicePort] | None = None,
) -> Network:
    """The table of a cluster. A Service that a gateway workload serves resolves to that workload."""
    node_ports: dict[int, ServicePort] = {}
    addresses: dict[tuple[str, int], ServicePort] = {}
    gateways: dict[ServicePort, GatewayPort] = {}
    named: dict[tuple[str, str, str], ServicePort] = {}
    health_ports: dict[int, ServicePort] = {}
    ready: set[ServicePort] = set()
    for service in services:
        workload = next((each for each in workloads if each.serves(service)), None)
        if service.spec.health_check_node_port and service.spec.ports:
            first = ServicePort(service.namespace, service.name, service.spec.ports[0].port)
            health_ports[service.spec.health_check_node_port] = first
        for port in service.spec.ports:
            here = ServicePort(service.namespace, service.name, port.port)
            named[service.namespace, service.name, port.name or ""] = here
            if port.node_port:
                node_ports[port.node_port] = here
            if service.spec.cluster_ip not in ("", "None"):
                addresses[service.spec.cluster_ip, port.port] = here
            if workload is not None:
                name = f"{workload.namespace}/{workload.name}"
                gateways[here] = GatewayPort(name, target_port(service, port.name or ""))
    for each in slices:
        for port_ in each.ports:
            of = each.namespace, each.metadata.labels.get(SERVICE_NAME, "")
            # As the controller: a Service port without a name takes every port of a slice.
            if port_.port and (found := named.get((*of, port_.name or "")) or named.get((*of, ""))):
                for endpoint in each.endpoints:
                    addresses.update(((address, port_.port), found) for address in endpoint.addresses)
                    if endpoint.conditions.ready is not False:
                        ready.add(found)
    return Network(bindings or {}, node_ports, addresses, gateways, frozenset(named.values()) - ready, health_ports)
