"""Istio's resources to a `Gateway`: what istiod would make of them for one gateway workload.

One processor a kind of source, in order: Gateways give the servers (`servers`), VirtualServices are bound to them
(`binding`) and translated (`routes`, `l4`), Services and ServiceEntries are looked up (`registry`), DestinationRules
shape their clusters (`destinations`, `clusters`). With the same `Memo` a second build makes only what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lockgate.gateway import faults
from lockgate.gateway.binding import Bindings
from lockgate.gateway.clusters import cluster, endpoints, subset_endpoints
from lockgate.gateway.credentials import SCHEME, secret_names
from lockgate.gateway.destinations import Destinations, Rule, destinations
from lockgate.gateway.faults import Fault, Locate, fault
from lockgate.gateway.hosts import narrower
from lockgate.gateway.l4 import tcp_chains, tls_chains
from lockgate.gateway.memo import Memo
from lockgate.gateway.mesh import HttpSettings, Mesh, proxy_settings
from lockgate.gateway.model import (
    Cluster,
    DownstreamTls,
    Endpoint,
    FilterChain,
    Gateway,
    Http,
    Listener,
    Origin,
    RouteConfiguration,
)
from lockgate.gateway.registry import Host, Registry, registry
from lockgate.gateway.routes import Lookup, Reference, Rules, Server, Translated, translate
from lockgate.gateway.servers import BoundServer, Servers, servers
from lockgate.gateway.tls import downstream_tls
from lockgate.gateway.virtual_hosts import VirtualHosts
from lockgate.gateway.workload import PROXY_CONFIG, Workload
from lockgate.resources import kinds
from lockgate.resources.finding import Finding
from lockgate.resources.model import ObjectKey


@dataclass(frozen=True, slots=True)
class Sources:
    """All objects that bear on a gateway. `secrets` are the names (namespace, name) of those that exist."""

    gateways: Collection[kinds.Gateway] = ()
    virtual_services: Collection[kinds.VirtualService] = ()
    destination_rules: Collection[kinds.DestinationRule] = ()
    service_entries: Collection[kinds.ServiceEntry] = ()
    services: Collection[kinds.Service] = ()
    endpoint_slices: Collection[kinds.EndpointSlice] = ()
    pods: Collection[kinds.Pod] = ()
    secrets: Collection[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Built:
    gateway: Gateway
    findings: tuple[Finding, ...] = field(default=())


def build(
    sources: Sources,
    workload: Workload,
    *,
    mesh: Mesh | None = None,
    memo: Memo | None = None,
    locate: Locate = lambda key, path: None,
) -> Built:
    """The gateway that `workload` is, and what is wrong with its sources. `locate` finds a field's place in a file."""
    building = _Building(sources, workload, mesh or Mesh(), memo or Memo())
    gateway = building.run()
    told = dict.fromkeys(building.faults)
    return Built(gateway, tuple(one.finding(locate) for one in told))


class _Building:
    def __init__(self, sources: Sources, workload: Workload, mesh: Mesh, memo: Memo) -> None:
        memo.turn()
        self._sources = sources
        self._workload = workload
        self._mesh = mesh
        self._memo = memo
        pods = {(pod.namespace, pod.name): pod for pod in sources.pods}
        self._registry: Registry = registry(
            sources.services,
            sources.endpoint_slices,
            sources.service_entries,
            pods,
            mesh=mesh,
            viewer=workload.namespace,
            memo=memo,
        )
        self._destinations: Destinations = destinations(
            sources.destination_rules, workload=workload, mesh=mesh, memo=memo
        )
        self._servers: Servers = servers(sources.gateways, workload, memo)
        self._bindings = Bindings(sources.virtual_services, mesh, workload.namespace, memo)
        self._references: dict[Reference, Origin] = {}
        self.faults: list[Fault] = list(self._servers.faults)

    def run(self) -> Gateway:
        routes = self._route_configurations()
        listeners = self._listeners()
        self._check_bindings()
        clusters, served = self._clusters()
        wanted = _credentials(listeners, clusters.values())
        self._check_credentials(wanted)
        return Gateway(
            workload=self._workload.name,
            namespace=self._workload.namespace,
            listeners=listeners,
            routes=routes,
            clusters=clusters,
            endpoints=served,
            credentials=frozenset(wanted),
            http=self._http_settings(),
        )

    # --- HTTP routes ---------------------------------------------------------------------------------------------

    def _route_configurations(self) -> dict[str, RouteConfiguration]:
        configurations: dict[str, VirtualHosts] = {}
        for server in self._servers.all():
            if not server.http:
                continue
            hosts = configurations.setdefault(
                server.routes, VirtualHosts(server.routes, server.server.port.number, server.origin)
            )
            side = Server(server.gateway, server.server.port.number, self._workload, self._mesh)
            for service in self._bindings.to(server.gateway):
                covered = _covered(server, service)
                if not covered:
                    continue
                translated = self._translated(service, side)
                if translated.routes:
                    hosts.add(covered, translated, side.port, server.redirects)
            if server.redirects:
                hosts.redirect((host.host for host in server.hosts), side.port)
        return {name: hosts.configuration(self._memo) for name, hosts in configurations.items()}

    def _translated(self, service: kinds.VirtualService, side: Server) -> Translated:
        rules: Rules = self._bindings.rules(service)
        lookup: Lookup = tuple((name, *self._look_up(name)) for name in rules.hosts)
        translated = self._memo.made(translate, rules, side, lookup)
        self._note(translated)
        return translated

    def _look_up(self, name: str) -> tuple[Host | None, Rule | None]:
        host = self._registry.find(name)
        return host, self._destinations.rule(host.hostname, host.namespace) if host else None

    def _note(self, translated: Translated) -> None:
        for reference, origin in translated.references:
            self._references.setdefault(reference, origin)
        self.faults += translated.faults

    # --- listeners -----------------------------------------------------------------------------------------------

    def _listeners(self) -> tuple[Listener, ...]:
        chains: dict[tuple[str, int], list[FilterChain]] = {}
        origins: dict[tuple[str, int], Origin] = {}
        for group in self._servers.groups:
            key = (group[0].bind, group[0].port)
            origins.setdefault(key, group[0].origin)
            chains.setdefault(key, [])
            for chain in self._group_chains(group):
                self._add_chain(chains[key], chain, key[1])
        return tuple(
            Listener(f"{bind}_{port}", bind, port, tuple(found), origins[bind, port])
            for (bind, port), found in chains.items()
            if found
        )

    def _group_chains(self, group: list[BoundServer]) -> Iterable[FilterChain]:
        if group[0].plain_http:
            web = any(server.protocol == "GRPC-WEB" for server in group)
            yield self._memo.made(_plain_chain, group[0], web)
            return
        for server in group:
            yield from self._server_chains(server)

    def _server_chains(self, server: BoundServer) -> Iterable[FilterChain]:
        settings = server.server.tls
        if settings and settings.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
            what, reason = f"tls.mode {settings.mode}", "it needs the mesh's own certificates"
            self.faults.append(fault(faults.NOT_SUPPORTED, server.origin, "tls", "mode", what=what, reason=reason))
            return
        if server.http:
            yield self._memo.made(_https_chain, server, self._mesh)
            return
        tls = downstream_tls(settings, self._mesh) if settings else None
        side = Server(server.gateway, server.server.port.number, self._workload, self._mesh)
        services = self._bindings.to(server.gateway)
        passes = settings is not None and tls is None
        find = tls_chains if passes else tcp_chains
        found = find(server, _server_names(server), tls, services, side, self._registry.find)
        for reference, origin in found.references.items():
            self._references.setdefault(reference, origin)
        self.faults += found.faults
        yield from found.chains

    def _add_chain(self, chains: list[FilterChain], chain: FilterChain, port: int) -> None:
        """Envoy refuses a listener of which two chains match the same: the later one is left out."""
        taken = {name for earlier in chains for name in earlier.server_names or ("any SNI",)}
        names = [name for name in chain.server_names or ("any SNI",) if name in taken]
        if names:
            origin = chain.origin or Origin(ObjectKey("", "", "", ""))
            self.faults.append(fault(faults.SAME_SNI, origin, names=", ".join(names), port=port))
        else:
            chains.append(chain)

    # --- clusters ------------------------------------------------------------------------------------------------

    def _clusters(self) -> tuple[dict[str, Cluster], dict[str, tuple[Endpoint, ...]]]:
        clusters: dict[str, Cluster] = {}
        served: dict[str, tuple[Endpoint, ...]] = {}
        for reference, origin in self._references.items():
            host = self._registry.hosts.get(reference.host)
            port = host.port(reference.port) if host else None
            if host is None or port is None or host.alias:
                self._tell_missing(reference, host, origin)
                continue
            rule = self._destinations.rule(host.hostname, host.namespace)
            subset = rule.subsets.get(reference.subset) if rule else None
            if reference.subset and subset is None:
                self.faults.append(fault(faults.SUBSET_NOT_FOUND, origin, subset=reference.subset, host=reference.host))
                continue
            backends = self._registry.backends(host, port)
            inline = backends if host.discovery != "EDS" else ()
            if host.discovery != "EDS" and not backends:
                continue  # Istio makes no cluster that could never resolve
            made = self._memo.made(cluster, host, port, reference.subset, rule, self._mesh, inline)
            clusters[made.name] = made
            if host.discovery == "EDS":
                served[made.name] = (
                    subset_endpoints(backends, subset) if subset else self._memo.made(endpoints, backends)
                )
        return clusters, served

    def _tell_missing(self, reference: Reference, host: Host | None, origin: Origin) -> None:
        if host is None:
            self.faults.append(
                fault(faults.HOST_NOT_FOUND, origin, host=reference.host, namespace=origin.key.namespace)
            )
            return
        ports = ", ".join(str(port.number) for port in host.ports) or "none"
        self.faults.append(fault(faults.PORT_NOT_FOUND, origin, host=reference.host, port=reference.port, ports=ports))

    # --- checks --------------------------------------------------------------------------------------------------

    def _check_bindings(self) -> None:
        """Hosts of VirtualServices that no server of their Gateway covers. `check` tells of absent Gateways."""
        by_gateway: dict[str, list[BoundServer]] = {}
        for server in self._servers.all():
            by_gateway.setdefault(server.gateway, []).append(server)
        for name, bound in by_gateway.items():
            for service in self._bindings.to(name):
                if not any(_covered(server, service) for server in bound):
                    hosts = ", ".join(service.spec.hosts)
                    origin = Origin(service.key, ("spec", "hosts"))
                    self.faults.append(fault(faults.HOSTS_NOT_IN_GATEWAY, origin, hosts=hosts, gateway=name))

    def _check_credentials(self, wanted: Mapping[str, Origin]) -> None:
        known = set(self._sources.secrets)
        for name, origin in wanted.items():
            secrets = secret_names(name)
            if name.startswith(SCHEME) and not any((self._workload.namespace, one) in known for one in secrets):
                self.faults.append(
                    fault(
                        faults.SECRET_NOT_FOUND,
                        origin,
                        "tls",
                        "credentialName",
                        namespace=self._workload.namespace,
                        name=secrets[0],
                    )
                )

    def _http_settings(self) -> HttpSettings:
        annotation = self._workload.annotations.get(PROXY_CONFIG)
        if not annotation:
            return self._mesh.http
        try:
            return proxy_settings(self._mesh.config, annotation)
        except ValueError as error:
            namespace, _, name = self._workload.name.partition("/")
            origin = Origin(ObjectKey("", "Pod", namespace, name), ("metadata", "annotations", PROXY_CONFIG))
            self.faults.append(fault(faults.PROXY_CONFIG_BROKEN, origin, reason=error))
            return self._mesh.http


def _covered(server: BoundServer, service: kinds.VirtualService) -> tuple[str, ...]:
    """The hosts that a server and a VirtualService both have, each the narrower of two, in order."""
    found: dict[str, None] = {}
    for host in server.hosts:
        if host.namespace and host.namespace != service.namespace:
            continue
        for own in service.spec.hosts:
            if (both := narrower(own.lower(), host.host)) is not None:
                found[both] = None
    return tuple(found)


def _server_names(server: BoundServer) -> tuple[str, ...]:
    """The SNI that a chain takes; a host ``*`` takes every one, and none."""
    names = sorted({host.host for host in server.hosts})
    return () if "*" in names else tuple(names)


def _plain_chain(server: BoundServer, grpc_web: bool) -> FilterChain:
    return FilterChain(Http(server.routes, grpc_web), origin=server.origin)


def _https_chain(server: BoundServer, mesh: Mesh) -> FilterChain:
    tls = downstream_tls(server.server.tls, mesh) if server.server.tls else None
    return FilterChain(
        Http(server.routes), _server_names(server), tls, stat_prefix=server.server.name, origin=server.origin
    )


def _credentials(listeners: Iterable[Listener], clusters: Iterable[Cluster]) -> dict[str, Origin]:
    """The SDS names that are wanted, each with the first place that wants it."""
    wanted: dict[str, Origin] = {}
    for listener in listeners:
        for chain in listener.filter_chains:
            if chain.tls and chain.origin:
                for name in _of_tls(chain.tls):
                    wanted.setdefault(name, chain.origin)
    for item in clusters:
        for name in (item.tls.ca, item.tls.certificate) if item.tls else ():
            if name and item.origin:
                wanted.setdefault(name, item.origin)
    return wanted


def _of_tls(tls: DownstreamTls) -> Iterable[str]:
    yield from tls.credentials
    if tls.validation:
        yield tls.validation.credential
