"""kube-proxy's table: the endpoints behind a node port, a cluster IP or a Pod IP."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from lockgate.gateway.reach import LOCAL_IPV6
from lockgate.loadbalancer.model import Target, TargetType
from lockgate.resources import core

SERVICE_NAME = "kubernetes.io/service-name"

Address = tuple[str, int]

LOCAL_IPV4: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PortTable:
    """Looked up by dict. The table of all Services is joined from one table per Service, since most of them do not
    change."""

    instances: frozenset[str] = frozenset()  # EC2 instances and addresses of this machine
    node_ports: dict[int, tuple[Address, ...]] = field(default_factory=dict)
    cluster_addresses: dict[Address, tuple[Address, ...]] = field(default_factory=dict)
    endpoints: set[Address] = field(default_factory=set)  # of any Service, ready or not
    refused: dict[Address, Address] = field(default_factory=dict)  # endpoints that take no plain text, and what resets

    @staticmethod
    def of(
        instances: Iterable[str], services: Iterable[core.Service], slices: Iterable[core.EndpointSlice]
    ) -> PortTable:
        by_service: dict[tuple[str, str], list[core.EndpointSlice]] = {}
        for slice_ in slices:
            if of := slice_.metadata.labels.get(SERVICE_NAME):
                by_service.setdefault((slice_.namespace, of), []).append(slice_)
        tables = (
            PortTable.of_service(service, by_service.get((service.namespace, service.name), ())) for service in services
        )
        return PortTable.joined(instances, tables)

    @staticmethod
    def of_service(
        service: core.Service,
        slices: Iterable[core.EndpointSlice],
        refused: Collection[int] = (),
        resets: Address | None = None,
        proxies: tuple[Address, Address] | None = None,
    ) -> PortTable:
        """What stands behind one Service, by the slices that are its own. Connections to the `refused` ports go to the
        address that `resets` them. `proxies` answer on its `healthCheckNodePort`, without an endpoint and with one."""
        table = PortTable()
        table.endpoints.update(
            (address, port.port)
            for slice_ in slices
            for port in slice_.ports
            for endpoint in slice_.endpoints
            for address in endpoint.addresses
            if port.port
        )
        for port in service.spec.ports:
            found = tuple(dict.fromkeys(_endpoints(slices, port.name)))
            if resets is not None and port.port in refused:
                table.refused.update(dict.fromkeys(found, resets))
                found = (resets,)
            if port.node_port:
                table.node_ports[port.node_port] = found
            if service.spec.cluster_ip not in ("", "None"):
                table.cluster_addresses[service.spec.cluster_ip, port.port] = found
        if proxies is not None and (number := service.spec.health_check_node_port):
            local = any(True for port in service.spec.ports for _ in _endpoints(slices, port.name))
            table.node_ports[number] = (proxies[local],)
        return table

    @staticmethod
    def joined(instances: Iterable[str], tables: Iterable[PortTable]) -> PortTable:
        made = PortTable(frozenset(instances))
        for table in tables:
            made.node_ports.update(table.node_ports)
            made.cluster_addresses.update(table.cluster_addresses)
            made.endpoints.update(table.endpoints)
            made.refused.update(table.refused)
        return made

    def resolve(self, target: Target, target_type: TargetType) -> tuple[Address, ...]:
        """The addresses to which a target's connections go; empty if nothing is there."""
        if target_type == "instance":
            return self.node_ports.get(target.port, ()) if target.id in self.instances else ()
        if target.id in self.instances:  # the node's address: a node port, or a program outside the cluster
            return self.node_ports.get(target.port) or (("127.0.0.1", target.port),)
        if through_service := self.cluster_addresses.get((target.id, target.port)):
            return through_service
        # A Pod's. Nothing else on this machine can be reached by its loopback address.
        place = _on_ipv4(target.id, target.port)
        return (self.refused.get(place, place),) if (target.id, target.port) in self.endpoints else ()


def _endpoints(slices: Iterable[core.EndpointSlice], port_name: str) -> Iterable[Address]:
    for slice_ in slices:
        for port in slice_.ports:
            if (port.name or "") != (port_name or "") or not port.port:
                continue
            for endpoint in slice_.endpoints:
                ready = endpoint.conditions is None or endpoint.conditions.ready is not False
                if ready and endpoint.addresses:
                    yield _on_ipv4(endpoint.addresses[0], port.port)


def _on_ipv4(address: str, port: int) -> Address:
    return LOCAL_IPV4 if address == LOCAL_IPV6 else address, port
