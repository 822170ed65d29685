"""The path of requests through an edge as a graph: client, DNS, listener, rule, target group, gateway, route, service.

>>> [node.title for node in graph_of(edge).nodes if node.kind is Kind.LISTENER]
['HTTPS 443', 'HTTP 80']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from lockgate.dns.model import Alias, Zone
from lockgate.edge.edge import Edge
from lockgate.edge.network import ServicePort
from lockgate.gateway import model as istio
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources.faults import Origin
from lockgate.trace.gateway_hops import backend_name, match_text
from lockgate.trace.load_balancer_hops import conditions_text
from lockgate.trace.table import action_text, route_leads
from lockgate.xds.loadbalancer.names import cluster_name, listener_name

MOST_NAMES = 8  # of one load balancer; more are one node


class Kind(IntEnum):
    """The columns of the graph, from left to right."""

    CLIENT = 0
    DNS = 1
    LISTENER = 2
    RULE = 3
    TARGET_GROUP = 4
    GATEWAY = 5
    ROUTE = 6
    SERVICE = 7

    @property
    def label(self) -> str:
        return "DNS" if self is Kind.DNS else self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Node:
    """`where` is the part of a manifest that makes it. `envoy` is the node ID of the Envoy that serves it, with the
    filters that select its part of the configuration (`xds.view`). `locks` are the certificates that it presents, keys
    of `Edge.certificates`."""

    id: str
    kind: Kind
    title: str
    detail: str = ""
    where: Origin | None = None
    envoy: tuple[str, tuple[str, ...]] = ("", ())
    locks: tuple[str, ...] = ()
    plain: bool = False
    """Whether connections to it are without TLS, where TLS is possible."""
    hosts: tuple[str, ...] = ()
    """The names that clients use here, for which its certificate must be valid."""


@dataclass(frozen=True, slots=True)
class Link:
    source: str
    target: str

    @property
    def id(self) -> str:
        return f"{self.source}>{self.target}"


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()
    by_id: Mapping[str, Node] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(nodes: Iterable[Node], links: Iterable[Link]) -> Graph:
        by_id = {node.id: node for node in nodes}
        kept = dict.fromkeys(link for link in links if link.source in by_id and link.target in by_id)
        return Graph(tuple(by_id.values()), tuple(kept), by_id)

    def around(self, text: str, most: int) -> Graph:
        """The nodes that contain `text`, with all that lead to them or come after them; at most `most` nodes."""
        chosen = [node.id for node in self.nodes if text.lower() in f"{node.title} {node.detail} {node.id}".lower()]
        kept: set[str] = set()
        for step in (self._after(), self._before()):
            reached, waiting = set(chosen), list(chosen)
            while waiting:
                fresh = step.get(waiting.pop(), set()) - reached
                reached |= fresh
                waiting += fresh
            kept |= reached
        nodes = [node for node in self.nodes if node.id in kept][:most]
        return Graph.of(nodes, self.links)

    def _after(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for link in self.links:
            found.setdefault(link.source, set()).add(link.target)
        return found

    def _before(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for link in self.links:
            found.setdefault(link.target, set()).add(link.source)
        return found


def graph_of(edge: Edge, workloads: Mapping[str, str]) -> Graph:
    """`workloads` has the gateway that each Envoy serves, by node ID."""
    building = _Building(edge, {workload: node for node, workload in sorted(workloads.items(), reverse=True)})
    building.everything()
    return Graph.of(building.nodes, building.links)


# --- the IDs of nodes, which are also how a request is found in the graph ----------------------------------------

CLIENT = "client"


def dns_id(balancer: str, name: str) -> str:
    return f"dns/{balancer}/{name}"


def listener_id(balancer: str, port: int) -> str:
    return f"listener/{balancer}/{port}"


def rule_id(balancer: str, port: int, priority: int) -> str:
    """The default rule has priority 0."""
    return f"rule/{balancer}/{port}/{priority}"


def target_group_id(reference: str) -> str:
    return f"target-group/{cluster_name(reference)}"


def gateway_id(workload: str, port: int) -> str:
    return f"gateway/{workload}/{port}"


def route_id(workload: str, port: int, virtual_host: str, place: int) -> str:
    return f"route/{workload}/{port}/{virtual_host}/{place}"


def service_id(name: str) -> str:
    return f"service/{name}"


def names_of(zones: Iterable[Zone], dns_name: str) -> list[str]:
    """The names that are aliases of a load balancer, without the closing dot."""
    own = dns_name.lower().rstrip(".")
    found = [
        each.name.rstrip(".")
        for zone in zones
        for each in zone.record_sets
        if isinstance(each.data, Alias) and each.data.dns_name.lower().rstrip(".").removeprefix("dualstack.") == own
    ]
    return list(dict.fromkeys(found))


class _Building:
    def __init__(self, edge: Edge, envoys: Mapping[str, str]) -> None:
        self._edge = edge
        self._envoys = envoys
        self.nodes: list[Node] = [Node(CLIENT, Kind.CLIENT, "client", "browsers, curl, tests")]
        self.links: list[Link] = []
        self._built: set[str] = set()

    def everything(self) -> None:
        for balancer in self._edge.load_balancers:
            self._balancer(balancer)
        reached = {node.id for node in self.nodes}
        for gateway in self._edge.gateways.values():
            ports = [each.port for each in gateway.listeners]
            if not any(gateway_id(gateway.workload, port) in reached for port in ports):
                for port in ports:
                    self._gateway(gateway.workload, port)

    def _link(self, source: str, target: str) -> None:
        self.links.append(Link(source, target))

    # --- load balancers ------------------------------------------------------------------------------------------

    def _balancer(self, balancer: AnyLoadBalancer) -> None:
        names = names_of(self._edge.zones, balancer.dns_name)
        entrances = list(self._names(balancer, names))
        for listener in balancer.listeners:
            here = listener_id(balancer.name, listener.port)
            envoy = ("alb", (f"listeners/{listener_name(balancer, listener.port)}",))
            if isinstance(listener, alb.Listener):
                self.nodes.append(
                    Node(
                        here,
                        Kind.LISTENER,
                        f"{listener.protocol} {listener.port}",
                        balancer.name,
                        listener.origin or balancer.origin,
                        envoy,
                        listener.certificates,
                        plain=listener.protocol == "HTTP",
                        hosts=tuple(names),
                    )
                )
                self._rules(balancer, listener)
            else:
                where = listener.origin or balancer.origin
                self.nodes.append(Node(here, Kind.LISTENER, f"TCP {listener.port}", balancer.name, where, envoy))
                self._forward(here, balancer, listener.forward)
            for entrance in entrances:
                self._link(entrance, here)

    def _names(self, balancer: AnyLoadBalancer, names: list[str]) -> Iterator[str]:
        if not names:
            here = dns_id(balancer.name, "")
            self.nodes.append(Node(here, Kind.DNS, balancer.dns_name, "no name in a zone leads here"))
            shown = [here]
        elif len(names) > MOST_NAMES:
            here = dns_id(balancer.name, "")
            self.nodes.append(Node(here, Kind.DNS, f"{len(names)} names", f"{names[0]}, {names[1]}, …"))
            shown = [here]
        else:
            shown = [dns_id(balancer.name, name) for name in names]
            self.nodes += [Node(dns_id(balancer.name, name), Kind.DNS, name, "alias A") for name in names]
        for here in shown:
            self._link(CLIENT, here)
            yield here

    def _rules(self, balancer: AnyLoadBalancer, listener: alb.Listener) -> None:
        assert isinstance(balancer, alb.LoadBalancer)
        whole = listener_id(balancer.name, listener.port)
        envoy = ("alb", (f"routes/{listener_name(balancer, listener.port)}",))
        everything = [(rule.priority, conditions_text(rule), rule.actions, rule.origin) for rule in listener.rules]
        default = (0, "", listener.default_actions, listener.origin or balancer.origin)
        for priority, conditions, actions, where in (*everything, default):
            here = rule_id(balancer.name, listener.port, priority)
            title = conditions or ("every request" if priority else "no rule matches")
            name = f"rule {priority}" if priority else "default"
            action = actions[-1]
            leads = "" if isinstance(action, alb.Forward) else f" · {action_text(self._edge, balancer, action)}"
            checks = " · login" if len(actions) > 1 else ""
            self.nodes.append(Node(here, Kind.RULE, title, f"{name}{checks}{leads}", where, envoy))
            self._link(whole, here)
            if isinstance(action, alb.Forward):
                self._forward(here, balancer, action)

    def _forward(self, source: str, balancer: AnyLoadBalancer, action: alb.Forward) -> None:
        for weighted in action.target_groups:
            group = balancer.target_groups.get(weighted.target_group)
            if group is None:
                continue
            here = target_group_id(group.reference)
            self._link(source, here)
            if here not in self._built:
                self._built.add(here)
                self._target_group(here, group)

    def _target_group(self, here: str, group: alb.TargetGroup) -> None:
        version = "" if group.protocol_version == "HTTP1" else f" {group.protocol_version}"
        envoy = ("alb", (f"clusters/{cluster_name(group.reference)}", f"endpoints/{cluster_name(group.reference)}"))
        detail = f"{group.protocol}{version} · {group.target_type}"
        self.nodes.append(Node(here, Kind.TARGET_GROUP, group.name, detail, group.origin, envoy))
        behind = self._edge.network.served(group)
        leads = self._edge.network.gateways.get(behind) if behind else None
        if leads is not None:
            self._gateway(leads.workload, leads.port, plain=group.protocol == "HTTP")
            self._link(here, gateway_id(leads.workload, leads.port))
        elif behind is not None:
            self._application(here, behind)

    def _application(self, source: str, behind: ServicePort) -> None:
        name = str(behind)
        self.nodes.append(Node(service_id(name), Kind.SERVICE, name))
        self._link(source, service_id(name))

    # --- gateways ------------------------------------------------------------------------------------------------

    def _gateway(self, workload: str, port: int, *, plain: bool = False) -> None:
        here = gateway_id(workload, port)
        gateway = self._edge.gateways.get(workload)
        if gateway is None or here in self._built:
            return
        self._built.add(here)
        listener = next((each for each in gateway.listeners if each.port == port), None)
        if listener is None:
            self.nodes.append(Node(here, Kind.GATEWAY, workload, f"does not listen on {port}"))
            return
        credentials = [each for chain in listener.filter_chains if chain.tls for each in chain.tls.credentials]
        secrets = [f"Secret {gateway.namespace}/{name}" for each in credentials for name in gateway.credentials[each]]
        origin = next((chain.origin for chain in listener.filter_chains if chain.origin), listener.origin)
        envoy = (self._envoys.get(workload, ""), (f"listeners/{listener.name}",))
        namespace, _, name = workload.partition("/")
        secure = "HTTPS" if credentials else "HTTP"
        self.nodes.append(
            Node(
                here,
                Kind.GATEWAY,
                name,
                f"{secure} {port} · {namespace}",
                origin,
                envoy,
                tuple(dict.fromkeys(secrets)),
                plain=plain or not credentials,
                hosts=tuple(_hosts(gateway, listener)),
            )
        )
        for chain in listener.filter_chains:
            match chain.filter:
                case istio.Http(routes):
                    for host in gateway.routes[routes].virtual_hosts:
                        self._virtual_host(gateway, here, port, routes, host)
                case istio.Tcp(clusters):
                    self._tcp(gateway, here, port, chain, [each.cluster for each in clusters])

    def _virtual_host(
        self, gateway: istio.Gateway, source: str, port: int, configuration: str, host: istio.VirtualHost
    ) -> None:
        domain = host.domains[0].partition(":")[0] if host.domains else host.name
        others = len({each.partition(":")[0] for each in host.domains}) - 1
        envoy = (self._envoys.get(gateway.workload, ""), (f"routes/{configuration}",))
        for place, route in enumerate(host.routes):
            here = route_id(gateway.workload, port, host.name, place)
            leads = "" if isinstance(route.action, istio.Forward) else f" · {route_leads(route)}"
            title = domain + (f" +{others}" if others > 0 else "")
            detail = match_text(route.match).removeprefix("path ") + leads
            self.nodes.append(Node(here, Kind.ROUTE, title, detail, route.origin, envoy))
            self._link(source, here)
            if isinstance(route.action, istio.Forward):
                for weighted in route.action.clusters:
                    self._service(gateway, here, weighted.cluster)

    def _tcp(
        self, gateway: istio.Gateway, source: str, port: int, chain: istio.FilterChain, clusters: list[str]
    ) -> None:
        names = ", ".join(chain.server_names) or "every connection"
        here = route_id(gateway.workload, port, names, 0)
        self.nodes.append(Node(here, Kind.ROUTE, names, "TCP", chain.origin))
        self._link(source, here)
        for cluster in clusters:
            self._service(gateway, here, cluster)

    def _service(self, gateway: istio.Gateway, source: str, cluster: str) -> None:
        name = backend_name(cluster)
        here = service_id(name)
        self._link(source, here)
        if here in self._built:
            return
        self._built.add(here)
        found = gateway.clusters.get(cluster)
        if found is None:
            detail = "this destination does not exist"
        else:
            count = len(gateway.endpoints.get(cluster) or found.dns_endpoints)
            detail = "1 endpoint" if count == 1 else f"{count or 'no'} endpoints"
            detail += f" · TLS{'' if found.tls.verify else ', not verified'}" if found.tls else ""
        envoy = (self._envoys.get(gateway.workload, ""), (f"clusters/{cluster}", f"endpoints/{cluster}"))
        self.nodes.append(Node(here, Kind.SERVICE, name, detail, found.origin if found else None, envoy))


def _hosts(gateway: istio.Gateway, listener: istio.Listener) -> Iterator[str]:
    """The names for which requests are routed, without wildcards."""
    for chain in listener.filter_chains:
        if isinstance(chain.filter, istio.Http):
            for host in gateway.routes[chain.filter.routes].virtual_hosts:
                domain = host.domains[0].partition(":")[0] if host.domains else "*"
                if "*" not in domain:
                    yield domain
