"""The nodes of the graph that a request passed, by what Envoy logs of it. Lookups by dict, once per graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.console.graph import (
    MOST_NAMES,
    Graph,
    dns_id,
    gateway_id,
    listener_id,
    names_of,
    route_id,
    rule_id,
    service_id,
    target_group_id,
)
from lockgate.edge.edge import Edge
from lockgate.gateway import routing
from lockgate.gateway.model import Forward, Gateway, Http, Route, VirtualHost
from lockgate.gateway.request import Request
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.trace.gateway_hops import backend_name

_REMEMBERED = 4096  # paths whose route is not clear from the log alone

_Routes = tuple[VirtualHost, Sequence[tuple[int, Route]]]


class Ways:
    """`workloads` has the gateway that each Envoy serves, by node ID."""

    def __init__(self, edge: Edge, graph: Graph, workloads: Mapping[str, str]) -> None:
        self._nodes = graph.by_id
        self._edge = edge
        self._balancers = {each.arn: each for each in edge.load_balancers}
        self._names = {each.arn: frozenset(names_of(edge.zones, each.dns_name)) for each in edge.load_balancers}
        self._workloads = workloads
        self._tcp = self._entrances()
        self._hosts: dict[tuple[str, int], _Domains] = {}
        self._routes: dict[tuple[str, int, str, str, str], list[tuple[int, Route]]] = {}
        self._decided: dict[tuple[str, ...], int | None] = {}
        self._behind = {
            target_group_id(reference): str(behind)
            for each in edge.load_balancers
            for reference, group in each.target_groups.items()
            if (behind := edge.network.served(group)) is not None and behind not in edge.network.gateways
        }

    def through_network_load_balancer(self, gateway: str, host: str) -> tuple[str, ...]:
        """Name, listener and target group before a gateway that no application load balancer leads to: Network Load
        Balancers log no requests. Empty if several could have been it."""
        entrances = self._tcp.get(gateway, [])
        if len(entrances) != 1:
            return ()
        ((balancer, port, group),) = entrances
        name = self._name(balancer.name, balancer.arn, _bare(host))
        found = (self._known(name), self._known(listener_id(balancer.name, port)), self._known(group))
        return tuple(filter(None, found))

    def expects_gateway(self, record: Mapping[str, Any]) -> bool:
        """Whether the request went on to a gateway, which has logged it, too."""
        group = f"target-group/{record.get('cluster') or '-'}"
        return record.get("details") == "via_upstream" and group in self._nodes and group not in self._behind

    def through_load_balancer(self, record: Mapping[str, Any]) -> tuple[str, str, str, str]:
        """Listener, name, rule and target group; "" for those that it did not reach."""
        balancer = self._balancers.get(record.get("balancer", ""))
        if balancer is None:
            return "", "", "", ""
        port = int(record.get("listener_port") or 0)
        rule = str(record.get("rule") or "-")
        priority = int(rule) if rule.isdigit() else -1
        host = str(record.get("host_before") or "-")
        host = str(record.get("host") or "") if host == "-" else host
        return (
            self._known(listener_id(balancer.name, port)),
            self._known(self._name(balancer.name, balancer.arn, _bare(host))),
            self._known(rule_id(balancer.name, port, priority)),
            self._known(f"target-group/{record.get('cluster') or '-'}"),
        )

    def service_of_group(self, group: str) -> str:
        """The application directly behind a target group."""
        return self._known(service_id(self._behind.get(group, "")))

    def through_gateway(self, record: Mapping[str, Any]) -> tuple[str, str, str]:
        """Gateway, route and service; "" for those that it did not reach."""
        workload = self._workloads.get(record.get("node", ""), "")
        port = int(record.get("port") or 0)
        here = self._known(gateway_id(workload, port))
        gateway = self._edge.gateways.get(workload)
        if not here or gateway is None:
            return here, "", ""
        cluster = str(record.get("upstream_cluster") or "-")
        host = self._domains(gateway, port).find(_bare(str(record.get("authority") or "")))
        place = self._route(gateway, port, host, cluster, record) if host else None
        route = route_id(workload, port, host.name, place) if host and place is not None else ""
        service = "" if cluster == "-" else service_id(backend_name(cluster))
        return here, self._known(route), self._known(service)

    def _known(self, node: str) -> str:
        return node if node in self._nodes else ""

    def _name(self, balancer: str, arn: str, host: str) -> str:
        names = self._names[arn]
        if not names or len(names) > MOST_NAMES:
            return dns_id(balancer, "")
        return dns_id(balancer, host if host in names else f"*.{host.partition('.')[2]}")

    def _entrances(self) -> Mapping[str, list[tuple[NetworkLoadBalancer, int, str]]]:
        found: dict[str, list[tuple[NetworkLoadBalancer, int, str]]] = {}
        for balancer in self._edge.load_balancers:
            if not isinstance(balancer, NetworkLoadBalancer):
                continue
            for listener in balancer.listeners:
                for weighted in listener.forward.target_groups:
                    group = balancer.target_groups.get(weighted.target_group)
                    behind = self._edge.network.served(group) if group else None
                    if group and behind and (leads := self._edge.network.gateways.get(behind)):
                        at = gateway_id(leads.workload, leads.port)
                        found.setdefault(at, []).append((balancer, listener.port, target_group_id(group.reference)))
        return found

    # --- routes of gateways --------------------------------------------------------------------------------------

    def _domains(self, gateway: Gateway, port: int) -> _Domains:
        key = gateway.workload, port
        if key not in self._hosts:
            self._hosts[key] = _Domains(_virtual_hosts(gateway, port))
        return self._hosts[key]

    def _route(
        self, gateway: Gateway, port: int, host: VirtualHost, cluster: str, record: Mapping[str, Any]
    ) -> int | None:
        """The route's place in its virtual host. Its name and its cluster are often enough; if several have both alike,
        the path decides, as in `trace`."""
        name = str(record.get("route_name") or "").strip("-")
        key = gateway.workload, port, host.name, name, cluster
        if key not in self._routes:
            self._routes[key] = [
                (place, route)
                for place, route in enumerate(host.routes)
                if route.name == name and (cluster == "-" or cluster in _clusters(route))
            ]
        alike = self._routes[key]
        if len(alike) <= 1:
            return alike[0][0] if alike else None
        method, path = str(record.get("method") or "GET"), str(record.get("path") or "/").partition("?")[0]
        asked = (gateway.workload, str(port), host.name, name, cluster, method, path)
        if asked not in self._decided:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided[asked] = self._predicted(gateway, port, host, alike, record)
        return self._decided[asked]

    def _predicted(
        self,
        gateway: Gateway,
        port: int,
        host: VirtualHost,
        alike: list[tuple[int, Route]],
        record: Mapping[str, Any],
    ) -> int | None:
        """Headers are not logged, so of routes that differ in headers only, it is the first."""
        request = Request(
            port=port,
            authority=str(record.get("authority") or ""),
            target=str(record.get("path") or "/"),
            tls=bool(record.get("tls")) and record.get("tls") != "-",
            method=str(record.get("method") or "GET"),
        )
        decided = routing.decide(gateway, request, credentials=frozenset(gateway.credentials))
        for place, route in alike:
            if route is decided.route:
                return place
        return alike[0][0]


class _Domains:
    """Virtual hosts by the name in a request, as Envoy finds them: exact, longest suffix, any."""

    def __init__(self, hosts: Iterator[VirtualHost]) -> None:
        self._exact: dict[str, VirtualHost] = {}
        for host in hosts:
            for domain in host.domains:
                self._exact.setdefault(domain.lower() if domain.startswith("*") else _bare(domain), host)

    def find(self, name: str) -> VirtualHost | None:
        if name in self._exact:
            return self._exact[name]
        rest = name
        while rest:
            rest = rest.partition(".")[2]
            if (found := self._exact.get(f"*.{rest}")) is not None:
                return found
        return self._exact.get("*")


def _virtual_hosts(gateway: Gateway, port: int) -> Iterator[VirtualHost]:
    for listener in gateway.listeners:
        if listener.port == port:
            for chain in listener.filter_chains:
                if isinstance(chain.filter, Http):
                    yield from gateway.routes[chain.filter.routes].virtual_hosts


def _clusters(route: Route) -> frozenset[str]:
    if isinstance(route.action, Forward):
        return frozenset(each.cluster for each in route.action.clusters)
    return frozenset()


def _bare(authority: str) -> str:
    """The name in lower case, without a port."""
    name, colon, port = authority.rpartition(":")
    return (name if colon and port.isdigit() else authority).lower().rstrip(".")
