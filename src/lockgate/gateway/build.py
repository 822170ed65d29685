"""Builds a `Gateway` from Istio's resources, as istiod does for one gateway workload.

There is one processor per kind of source, in this order: Gateways give the servers (`servers`), VirtualServices are
bound to them (`binding`) and translated (`routes`, `l4`), Services and ServiceEntries are looked up (`registry`), and
DestinationRules configure their clusters (`destinations`, `clusters`). With the same `Memo`, a second build rebuilds
only what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain as chained
from itertools import compress
from operator import is_
from sys import intern
from typing import Final, TypeAlias

from lockgate.gateway.binding import Bindings
from lockgate.gateway.credentials import SCHEME, files, is_authority, secret_names
from lockgate.gateway.destinations import Destinations, Rule, destinations
from lockgate.gateway.discovery import discovered
from lockgate.gateway.endpoints import Workloads, endpoints, workloads
from lockgate.gateway.hosts import fully_qualified, narrower
from lockgate.gateway.l4 import covers, tcp_chains, tls_chains
from lockgate.gateway.locality import Place, of_nodes, of_pod
from lockgate.gateway.mesh import HttpSettings, Mesh, http_settings
from lockgate.gateway.model import NOWHERE, DownstreamTls, FilterChain, Gateway, Http, Listener, RouteConfiguration
from lockgate.gateway.patches import Patch, clusters_of, metadata, patches
from lockgate.gateway.policies.build import Keys, Policies, filters
from lockgate.gateway.policies.model import Filters, Jwt
from lockgate.gateway.proxy_config import Variables, proxy_config, variables
from lockgate.gateway.registry import Host, Hosts, hosts
from lockgate.gateway.revisions import of_revision
from lockgate.gateway.routes import Lookup, Reference, Rules, Server, translate
from lockgate.gateway.servers import BoundServer, Servers, servers
from lockgate.gateway.telemetry.build import telemetry
from lockgate.gateway.telemetry.model import Telemetry
from lockgate.gateway.tls import downstream_tls
from lockgate.gateway.upstreams import Clusters, clusters, resolve
from lockgate.gateway.virtual_hosts import Part, VirtualHosts, hosts_of, part
from lockgate.gateway.wasm import Modules
from lockgate.gateway.workload import PROXY_CONFIG, Workload
from lockgate.resources import core, istio
from lockgate.resources.codes import gateway as codes
from lockgate.resources.codes import istio as istio_codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject, ObjectKey


@dataclass(frozen=True, slots=True)
class Sources:
    """All objects that affect a gateway. `secrets` are the (namespace, name) pairs of existing Secrets.

    With a `Memo`, a list that is the same object as in the previous build is not processed again.
    """

    gateways: Sequence[istio.Gateway] = field(default_factory=list)
    virtual_services: Sequence[istio.VirtualService] = field(default_factory=list)
    destination_rules: Sequence[istio.DestinationRule] = field(default_factory=list)
    service_entries: Sequence[istio.ServiceEntry] = field(default_factory=list)
    services: Sequence[core.Service] = field(default_factory=list)
    endpoint_slices: Sequence[core.EndpointSlice] = field(default_factory=list)
    pods: Sequence[core.Pod] = field(default_factory=list)
    nodes: Sequence[core.Node] = field(default_factory=list)
    namespaces: Sequence[core.Namespace] = field(default_factory=list)
    workload_entries: Sequence[istio.WorkloadEntry] = field(default_factory=list)
    proxy_configs: Sequence[istio.ProxyConfig] = field(default_factory=list)
    secrets: Collection[tuple[str, str]] = ()
    authorization_policies: Sequence[istio.AuthorizationPolicy] = field(default_factory=list)
    request_authentications: Sequence[istio.RequestAuthentication] = field(default_factory=list)
    envoy_filters: Sequence[istio.EnvoyFilter] = field(default_factory=list)
    telemetries: Sequence[istio.Telemetry] = field(default_factory=list)
    wasm_plugins: Sequence[istio.WasmPlugin] = field(default_factory=list)
    keys: Keys = None  # by which JWTs are verified; None if nothing fetches them
    modules: Modules = None  # of WasmPlugins; None if nothing fetches them


@dataclass(frozen=True, slots=True)
class Built:
    gateway: Gateway
    faults: tuple[Fault, ...] = field(default=())


def build(
    sources: Sources,
    workload: Workload,
    *,
    mesh: Mesh | None = None,
    memo: Memo | None = None,
) -> Built:
    """The gateway for `workload`, and the faults of its sources."""
    building = _Building(sources, workload, mesh or Mesh(), memo or Memo())
    gateway = building.run()
    return Built(gateway, tuple(dict.fromkeys(building.faults)))


class _Building:
    def __init__(self, sources: Sources, workload: Workload, mesh: Mesh, memo: Memo) -> None:
        memo.turn()
        sources = replace(sources, **of_revision(sources, workload.revision, memo))
        sources = replace(sources, **discovered(sources, mesh, memo))
        self._sources = sources
        self._workload = workload
        self._mesh = mesh
        self._memo = memo
        viewer = workload.namespace
        self._hosts: Hosts = memo.made(hosts, sources.services, sources.service_entries, mesh, viewer, memo)
        self._destinations = memo.made(destinations, sources.destination_rules, workload, mesh, memo)
        self._servers: Servers = memo.made(servers, sources.gateways, workload, memo)
        self._bindings = memo.made(Bindings, sources.virtual_services, mesh, viewer, memo)
        nodes = memo.stable("nodes", memo.made(of_nodes, sources.nodes))
        self._workloads: Workloads = memo.made(workloads, sources.pods, nodes)
        self._references: list[Sequence[References]] = []
        self._uncovered: dict[str, list[Rules]] = {}  # by Gateway, those without a host of its HTTP servers
        self._claims: list[tuple[str, Origin]] = []
        self.faults: list[Fault] = list(self._servers.faults)

    def run(self) -> Gateway:
        memo = self._memo
        routes = self._route_configurations()
        listeners = self._listeners()
        self._check_bindings()
        proxy = self._proxy_config()
        http = self._http_settings(proxy)
        filters = self._filters()
        telemetry = self._telemetry(proxy)
        patched = self._patches(proxy)
        references = memo.stable("references", memo.made(_merged, *self._references))
        used = memo.made(clusters, references, self._hosts, self._destinations, self._mesh, http, memo)
        self.faults += used.faults
        registered = memo.made(
            endpoints, self._sources.endpoint_slices, self._sources.workload_entries, self._workloads, memo
        )
        self.faults += registered.faults
        served = memo.made(resolve, used, registered, memo.stable("place", self._place()), memo)
        self.faults += served.faults
        credentials = _credentials(listeners, used, self._memo)
        secrets = {name: secret_names(name, self._workload.secret_volumes) for name in credentials}
        self._check_credentials(credentials, secrets)
        for name, origin in _misnamed(listeners).items():
            namespace, secret = self._workload.namespace, name.removeprefix(SCHEME)
            self.faults.append(codes.CA_CREDENTIAL_NAME.at(origin, namespace=namespace, name=secret))
            secrets.pop(name)
        return Gateway(
            workload=self._workload.name,
            namespace=self._workload.namespace,
            listeners=listeners,
            routes=routes,
            clusters=served.clusters,
            endpoints=served.endpoints,
            credentials=secrets,
            http=http,
            filters=filters,
            telemetry=telemetry,
            patches=patched,
        )

    def _place(self) -> Place:
        namespace, _, name = self._workload.name.partition("/")
        pod = self._workloads.pods.get((namespace, name))
        if pod is None:
            return Place(labels=self._workload.labels)
        found = of_pod(pod, self._workloads.nodes)
        return Place(found or NOWHERE, pod.spec.node_name, self._workload.labels)

    # --- HTTP routes ---------------------------------------------------------------------------------------------

    def _route_configurations(self) -> dict[str, RouteConfiguration]:
        memo = self._memo
        configurations: dict[str, VirtualHosts] = {}
        firsts: dict[tuple[str, str], BoundServer] = {}
        for server in self._servers.all():
            if not server.http:
                continue
            found = configurations.setdefault(
                server.routes, VirtualHosts(server.routes, server.server.port.number, server.origin)
            )
            # istiod translates a VirtualService once for all servers of a Gateway that share a route configuration.
            first = firsts.setdefault((server.routes, server.gateway), server)
            side = memo.made(_side, first, self._workload, self._mesh)
            bound = self._bindings.to(server.gateway)
            parts = memo.each("parts", _part, bound, server, side, self._hosts, self._destinations, memo)
            self._note_uncovered(server.gateway, compress(bound, map(_IS_NONE, parts)))
            self._references.append(memo.facts("references of parts", _references, parts, server))
            self.faults += chained.from_iterable(memo.facts("faults of parts", _faults, parts, server))
            self._claims += chained.from_iterable(memo.facts("claims of parts", _claims, parts, server))
            found.add(parts, memo.facts("hosts of parts", hosts_of, parts, server))
            if server.redirects:
                found.redirect([host.host.lower() for host in server.hosts], server.server.port.number)
        return {name: found.configuration(memo) for name, found in configurations.items()}

    def _note_uncovered(self, gateway: str, rules: Iterable[Rules]) -> None:
        before = self._uncovered.get(gateway)
        now = list(rules)
        self._uncovered[gateway] = now if before is None else [each for each in now if each in before]

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
            yield self._memo.made(_plain_chain, group[0])
            return
        for server in group:
            yield from self._server_chains(server)

    def _server_chains(self, server: BoundServer) -> Iterable[FilterChain]:
        settings = server.server.tls
        if settings and settings.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
            reason = "it is for clients with the mesh's own certificates, which no load balancer has"
            what = f"the server with tls.mode {settings.mode}"
            self.faults.append(codes.NOT_SUPPORTED.at(server.origin.under("tls", "mode"), what=what, reason=reason))
            return
        if server.http:
            yield self._memo.made(_https_chain, server, self._mesh)
            return
        tls = downstream_tls(settings, self._mesh) if settings else None
        side = self._memo.made(_side, server, self._workload, self._mesh)
        bound = self._bindings.to(server.gateway)
        passes = settings is not None and tls is None
        find = tls_chains if passes else tcp_chains
        found = find(server, _server_names(server), tls, bound, side, self._find)
        self._references.append([tuple(found.references.items())])
        self.faults += found.faults
        yield from found.chains

    def _find(self, name: str) -> tuple[Host | None, Rule | None]:
        host = self._hosts.by_name.get(name)
        return host, self._destinations.rule(host.hostname, host.namespace) if host else None

    def _add_chain(self, chains: list[FilterChain], chain: FilterChain, port: int) -> None:
        """Adds a chain. Envoy rejects a listener with two chains that match the same, so the later chain is omitted."""
        taken = {name for earlier in chains for name in earlier.server_names or ("any SNI",)}
        names = [name for name in chain.server_names or ("any SNI",) if name in taken]
        if names:
            origin = chain.origin or Origin(ObjectKey("", "", "", ""))
            self.faults.append(codes.SAME_SNI.at(origin, names=", ".join(names), port=port))
        else:
            chains.append(chain)

    # --- checks --------------------------------------------------------------------------------------------------

    def _check_bindings(self) -> None:
        """Reports hosts of VirtualServices that no server of their Gateway covers."""
        other: dict[str, list[BoundServer]] = {}
        for server in self._servers.all():
            other.setdefault(server.gateway, []).extend(() if server.http else (server,))
        for name, without_http in other.items():
            for rules in self._uncovered.get(name, self._bindings.to(name)):
                if not any(covers(server, rules.service, self._mesh.domain) for server in without_http):
                    named = ", ".join(rules.service.spec.hosts)
                    origin = Origin(rules.service.key, ("spec", "hosts"))
                    self.faults.append(istio_codes.HOSTS_NOT_IN_GATEWAY.at(origin, hosts=named, gateway=name))

    def _check_credentials(self, credentials: Mapping[str, Origin], secrets: Mapping[str, tuple[str, ...]]) -> None:
        existing = set(self._sources.secrets)
        namespace = self._workload.namespace
        for name, origin in credentials.items():
            found = secrets[name]
            if not found and not files(name):
                continue  # only the system's CAs
            if any((namespace, one) in existing for one in found):
                continue
            place = origin.under("tls", "credentialName" if name.startswith(SCHEME) else "serverCertificate")
            if found:
                self.faults.append(istio_codes.SECRET_NOT_FOUND.at(place, namespace=namespace, name=found[0]))
            else:
                paths = " and ".join(files(name))
                self.faults.append(istio_codes.FILE_NOT_FOUND.at(place, paths=paths))

    def _patches(self, proxy: JsonObject) -> tuple[Patch, ...]:
        filters = self._sources.envoy_filters
        node = self._memo.made(metadata, self._workload, proxy, self._mesh.trust_domain) if filters else {}
        found = self._memo.made(patches, filters, self._workload, self._mesh.root_namespace, node) if filters else ()
        self._references.append(self._memo.made(_patched, found, self._hosts))
        return self._memo.stable("patches", found)

    def _filters(self) -> Filters:
        sources = self._sources
        policies = self._memo.made(
            Policies, sources.authorization_policies, sources.request_authentications, sources.wasm_plugins
        )
        context = (self._workload, self._mesh, self._hosts, sources.keys, sources.modules)
        found, faults = self._memo.made(filters, policies, *context)
        self.faults += faults
        self._references.append([_named((one.host, one.port, origin) for one, origin in found.servers)])
        if not any(isinstance(each, Jwt) for each in found.http):
            self.faults += (istio_codes.CLAIM_NOT_READ.at(origin, claim=claim) for claim, origin in self._claims)
        return self._memo.stable("filters", found)

    def _telemetry(self, proxy: JsonObject) -> Telemetry:
        found, faults = self._memo.made(
            telemetry, self._sources.telemetries, self._workload, self._mesh, proxy, self._hosts
        )
        self.faults += faults
        self._references.append([_named(found.services)])
        return self._memo.stable("telemetry", found)

    def _http_settings(self, proxy: JsonObject) -> HttpSettings:
        if proxy is self._mesh.proxy:
            return self._mesh.http
        return self._memo.made(http_settings, self._mesh.config, proxy)

    def _proxy_config(self) -> JsonObject:
        """The same object as the mesh's if nothing overrides it."""
        annotation = self._workload.annotations.get(PROXY_CONFIG, "")
        configs, root = self._sources.proxy_configs, self._mesh.root_namespace
        found = self._memo.stable("variables", self._memo.made(variables, configs, self._workload, root))
        if not annotation and found == Variables({}, {}):
            return self._mesh.proxy
        try:
            return self._memo.made(proxy_config, self._mesh.proxy, annotation, found)
        except ValueError as error:
            namespace, _, name = self._workload.name.partition("/")
            origin = Origin(ObjectKey("", "Pod", namespace, name), ("metadata", "annotations", PROXY_CONFIG))
            self.faults.append(codes.PROXY_CONFIG_BROKEN.at(origin, reason=error))
            return self._mesh.proxy


References: TypeAlias = tuple[tuple[Reference, Origin], ...]
_IS_NONE: Final = partial(is_, None)


def _references(part: Part | None, _server: BoundServer) -> References:
    return part.translated.references if part is not None else ()


def _faults(part: Part | None, _server: BoundServer) -> tuple[Fault, ...]:
    return part.translated.faults if part is not None else ()


def _claims(part: Part | None, _server: BoundServer) -> tuple[tuple[str, Origin], ...]:
    return part.translated.claims if part is not None else ()


def _named(services: Iterable[tuple[str, int, Origin | None]]) -> References:
    """The services that policies ask, and that get logs."""
    nowhere = Origin(ObjectKey("", "", "", ""))
    return tuple((Reference(host, port, ""), origin or nowhere) for host, port, origin in services)


def _patched(found: tuple[Patch, ...], known: Hosts) -> Sequence[References]:
    """The clusters of services that patches name, such as that of a rate limit service."""
    nowhere = Origin(ObjectKey("", "", "", ""))
    return [
        tuple(
            (Reference(*named), patch.origin or nowhere)
            for named in clusters_of(patch)
            if (host := known.by_name.get(named[0])) and host.port(named[1])
        )
        for patch in found
    ]


def _merged(*found: Sequence[References]) -> dict[Reference, Origin]:
    """Each reference with the first place that has it."""
    merged: dict[Reference, Origin] = {}
    for reference, origin in chained.from_iterable(chained.from_iterable(found)):
        merged.setdefault(reference, origin)
    return merged


def _side(server: BoundServer, workload: Workload, mesh: Mesh) -> Server:
    return Server(server.gateway, server.server.port.number, workload, mesh, server.server.tls is not None)


def _part(
    rules: Rules,
    server: BoundServer,
    side: Server,
    known: Hosts,
    destinations: Destinations,
    memo: Memo,
) -> Part | None:
    """The routes that one VirtualService adds to one server."""
    covered = _covered(server, rules.service, side.mesh.domain)
    if not covered:
        return None
    lookup: Lookup = tuple(
        (name, host, destinations.rule(host.hostname, host.namespace) if host else None)
        for name, host in ((name, known.by_name.get(name)) for name in rules.hosts)
    )
    translated = memo.made(translate, rules, side, lookup)
    return memo.made(part, covered, translated, server.server.port.number, server.redirects)


def _covered(server: BoundServer, service: istio.VirtualService, domain: str) -> tuple[str, ...]:
    """The hosts that both have: for each pair the narrower host, in order and in lower case, as Envoy compares them."""
    found: dict[str, None] = {}
    for host in server.hosts:
        if host.namespace and host.namespace != service.namespace:
            continue
        for own in service.spec.hosts:
            if (both := narrower(fully_qualified(own, service.namespace, domain), host.host)) is not None:
                found[intern(both.lower())] = None
    return tuple(found)


def _server_names(server: BoundServer) -> tuple[str, ...]:
    """The SNI values that a chain matches, in lower case as in Envoy; a host ``*`` matches any SNI and none."""
    names = sorted({host.host.lower() for host in server.hosts})
    return () if "*" in names else tuple(names)


def _plain_chain(server: BoundServer) -> FilterChain:
    """The chain of all plain HTTP servers of a port. As in istiod, the first one's protocol decides about gRPC-Web."""
    return FilterChain(Http(server.routes, grpc_web=server.protocol == "GRPC-WEB"), origin=server.origin)


def _https_chain(server: BoundServer, mesh: Mesh) -> FilterChain:
    tls = downstream_tls(server.server.tls, mesh) if server.server.tls else None
    return FilterChain(
        Http(server.routes), _server_names(server), tls, stat_prefix=server.server.name, origin=server.origin
    )


def _credentials(listeners: Iterable[Listener], used: Clusters, memo: Memo) -> dict[str, Origin]:
    """The SDS names that are referenced, each with the first reference to it."""
    credentials: dict[str, Origin] = {}
    for listener in listeners:
        for chain in listener.filter_chains:
            if chain.tls and chain.origin:
                for name in _of_tls(chain.tls):
                    credentials.setdefault(name, chain.origin)
    for name, origin in memo.made(_of_clusters, used):
        credentials.setdefault(name, origin)
    return credentials


def _misnamed(listeners: Iterable[Listener]) -> dict[str, Origin]:
    """The CAs whose names mean a key pair, so that istiod never sends them as a CA."""
    return {
        chain.tls.validation.credential: chain.origin.under("tls", "caCertCredentialName")
        for listener in listeners
        for chain in listener.filter_chains
        if chain.tls and chain.tls.validation and chain.origin and not is_authority(chain.tls.validation.credential)
    }


def _of_tls(tls: DownstreamTls) -> Iterable[str]:
    yield from tls.credentials
    if tls.validation:
        yield tls.validation.credential


def _of_clusters(used: Clusters) -> list[tuple[str, Origin]]:
    return [
        (name, use.host.origin)
        for use in used.uses
        for name in ((use.cluster.tls.ca, use.cluster.tls.certificate) if use.cluster.tls else ())
        if name
    ]
