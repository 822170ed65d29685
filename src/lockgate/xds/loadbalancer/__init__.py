"""Load balancers as the configuration of one Envoy.

Listeners bind to the sockets that represent them on this machine. Rules become routes in strict priority order. Target
groups become clusters, with the targets' real addresses as endpoints. `tcp` and `udp` have Network Load Balancers,
which have no rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from lockgate.loadbalancer.model import Listener, LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkListener, NetworkLoadBalancer
from lockgate.resources.memo import Memo
from lockgate.xds.loadbalancer import waf as waf
from lockgate.xds.loadbalancer.authorization import CLUSTER_NAME, authentication_of, cluster_of, rule_key
from lockgate.xds.loadbalancer.clients import TrustStore
from lockgate.xds.loadbalancer.clusters import Endpoint, assignment, cluster
from lockgate.xds.loadbalancer.generations import with_earlier
from lockgate.xds.loadbalancer.listeners import Material, Socket, listener, secret
from lockgate.xds.loadbalancer.names import cluster_name, datagram_listener_name, listener_name
from lockgate.xds.loadbalancer.pieces import RulePieces
from lockgate.xds.loadbalancer.routes import route_configuration
from lockgate.xds.loadbalancer.tcp import tcp_cluster, tcp_listener
from lockgate.xds.loadbalancer.udp import udp_listener
from lockgate.xds.protobuf import Message, serialised
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Entry, Snapshot, Source

__all__ = [
    "Endpoint",
    "Material",
    "Socket",
    "TrustStore",
    "authentication_of",
    "cluster_name",
    "listener_name",
    "rule_key",
    "snapshot",
    "unserved",
]

Entries: TypeAlias = dict[str, dict[str, Entry]]
Files: TypeAlias = tuple[str, str]  # for records of requests, and for those of which spans are made


def snapshot(
    load_balancers: Sequence[AnyLoadBalancer],
    *,
    sockets: Mapping[tuple[str, int], Socket],
    certificates: Mapping[str, Material],
    endpoints: Mapping[str, Sequence[Endpoint]],
    trust_stores: Mapping[str, TrustStore] | None = None,
    authentication: Socket | None = None,
    waf_socket: str = "",
    records: str = "",
    spans: str = "",
    memo: Memo | None = None,
) -> Snapshot:
    """The complete Envoy configuration for `load_balancers`.

    `sockets` are by load balancer ARN and listener port, `certificates` by ARN, `endpoints` by target group reference.
    A listener without a socket is omitted. So is an HTTPS listener whose default certificate is not in `certificates`,
    or that verifies clients with a trust store that is not in `trust_stores`; `unserved` gives the reason.
    `authentication` is the service that rules with authenticate actions call; without it they answer 500. `waf_socket`
    is the unix socket of WAF, which is called for load balancers with a web ACL; without it their requests get 500.
    `records` is the file for request records, if an access log is enabled, and `spans` that of records of which spans
    are made. With the same `memo`, unchanged parts are
    reused.
    """
    memo = memo or Memo()
    memo.turn()
    found = _parts(load_balancers, sockets, certificates, endpoints, trust_stores or {}, (records, spans))
    parts = {name: memo.succeeding(name, inputs, _build) for name, inputs in found}
    merged: Entries = {}
    if authentication is not None:
        asked = serialised(cluster_of(authentication.address, authentication.port))
        merged[CLUSTER] = {CLUSTER_NAME: Entry.of(asked, "authentication")}
    if waf_socket:
        asked = serialised(waf.cluster_of(waf_socket))
        merged.setdefault(CLUSTER, {})[waf.CLUSTER_NAME] = Entry.of(asked, "WAF")
    for entries in parts.values():
        for type_url, named in entries.items():
            merged.setdefault(type_url, {}).update(named)
    return Snapshot(merged)


@dataclass(frozen=True, slots=True)
class _Listeners:
    load_balancer: LoadBalancer
    sockets: Mapping[int, Socket]
    served: tuple[str, ...]  # the available certificates
    stores: Mapping[str, TrustStore]
    files: Files


@dataclass(frozen=True, slots=True)
class _NetworkListeners:
    load_balancer: NetworkLoadBalancer
    sockets: Mapping[int, Socket]
    served: tuple[str, ...]
    records: str


@dataclass(frozen=True, slots=True)
class _Cluster:
    load_balancer: AnyLoadBalancer
    group: TargetGroup


@dataclass(frozen=True, slots=True)
class _Endpoints:
    group: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class _Secret:
    arn: str
    material: Material


_Part: TypeAlias = _Listeners | _NetworkListeners | _Cluster | _Endpoints | _Secret


def _parts(
    load_balancers: Sequence[AnyLoadBalancer],
    sockets: Mapping[tuple[str, int], Socket],
    certificates: Mapping[str, Material],
    endpoints: Mapping[str, Sequence[Endpoint]],
    trust_stores: Mapping[str, TrustStore],
    files: Files,
) -> Iterable[tuple[str, _Part]]:
    for balancer in load_balancers:
        here = {port: socket for (arn, port), socket in sockets.items() if arn == balancer.arn}
        for reference, group in balancer.target_groups.items():
            yield f"cluster {reference}", _Cluster(balancer, group)
            yield f"endpoints {reference}", _Endpoints(reference, tuple(endpoints.get(reference, ())))
        named = dict.fromkeys(arn for each in balancer.listeners for arn in each.certificates)
        served = tuple(arn for arn in named if arn in certificates)
        if isinstance(balancer, NetworkLoadBalancer):
            yield f"listeners {balancer.arn}", _NetworkListeners(balancer, here, served, files[0])
        else:
            stores = _stores(balancer, trust_stores)
            yield f"listeners {balancer.arn}", _Listeners(balancer, here, served, stores, files)
        for arn in served:
            yield f"secret {arn}", _Secret(arn, certificates[arn])


def _build(inputs: _Part, earlier: Entries | None) -> Entries:
    match inputs:
        case _Listeners(balancer, sockets, served, stores, files):
            made = _listeners(balancer, sockets, frozenset(served), stores, files)
            return _going_on(made, (earlier or {}).get(LISTENER, {}))
        case _NetworkListeners(network, sockets, served, records):
            return _network_listeners(network, sockets, frozenset(served), records)
        case _Cluster(owner, group):
            made = tcp_cluster(group, owner) if isinstance(owner, NetworkLoadBalancer) else cluster(group, owner)
            body = serialised(made)
            source = Source(f"target group {group.name}", balancer=owner.name)
            return {CLUSTER: {cluster_name(group.reference): Entry.of(body, source)}}
        case _Endpoints(reference, endpoints):
            name = cluster_name(reference)
            body = serialised(assignment(name, endpoints))
            return {ENDPOINT: {name: Entry.of(body, f"targets of {name}")}}
        case _Secret(arn, material):
            body = serialised(secret(arn, material))
            return {SECRET: {arn: Entry.of(body, f"certificate {arn}")}}


def _stores(balancer: LoadBalancer, stores: Mapping[str, TrustStore]) -> dict[str, TrustStore]:
    named = (each.mutual_authentication.trust_store for each in balancer.listeners if each.mutual_authentication)
    return {arn: stores[arn] for arn in named if arn in stores}


def unserved(
    listener: Listener | NetworkListener, certificates: Collection[str], trust_stores: Collection[str]
) -> str | None:
    """Why a listener cannot be served with the available certificates and trust stores; None if it can."""
    if listener.protocol not in ("HTTPS", "TLS"):
        return None
    if not listener.certificates or listener.certificates[0] not in certificates:
        return f"its certificate {next(iter(listener.certificates), '')} is not issued"
    mutual = listener.mutual_authentication if isinstance(listener, Listener) else None
    if mutual is not None and mutual.mode == "verify" and mutual.trust_store not in trust_stores:
        return f"its trust store {mutual.trust_store} cannot be read"
    return None


def _listeners(
    balancer: LoadBalancer,
    sockets: Mapping[int, Socket],
    served: frozenset[str],
    stores: Mapping[str, TrustStore],
    files: Files,
) -> Entries:
    entries: Entries = {LISTENER: {}, ROUTE: {}}
    for each in balancer.listeners:
        at = sockets.get(each.port)
        if at is None or unserved(each, served, stores):
            continue
        name = listener_name(balancer, each.port)
        store = stores.get(each.mutual_authentication.trust_store) if each.mutual_authentication else None
        listeners = RulePieces(balancer, each, partial(_listener, at, served, store, files))
        routes = RulePieces(balancer, each, route_configuration)
        for type_url, pieces in ((LISTENER, listeners), (ROUTE, routes)):
            entries[type_url][name] = Entry.of(pieces.whole(), _source(balancer, each), pieces)
    return entries


def _going_on(made: Entries, earlier: Mapping[str, Entry]) -> Entries:
    """With what open connections of the listeners go on with."""
    for name, entry in made[LISTENER].items():
        if (before := earlier.get(name)) is not None:
            made[LISTENER][name] = Entry.of(with_earlier(entry.body, before.body), entry.source, entry.pieces)
    return made


def _network_listeners(
    balancer: NetworkLoadBalancer, sockets: Mapping[int, Socket], served: frozenset[str], records: str
) -> Entries:
    entries: Entries = {LISTENER: {}}
    for each in balancer.listeners:
        at = sockets.get(each.port)
        if at is None or unserved(each, served, ()):
            continue
        if each.protocol != "UDP":
            made = serialised(tcp_listener(balancer, each, at, served, records))
            entries[LISTENER][listener_name(balancer, each.port)] = Entry.of(made, _source(balancer, each))
        if each.protocol in ("UDP", "TCP_UDP"):
            made = serialised(udp_listener(balancer, each, at))
            entries[LISTENER][datagram_listener_name(balancer, each.port)] = Entry.of(made, _source(balancer, each))
    return entries


def _listener(
    at: Socket,
    served: frozenset[str],
    store: TrustStore | None,
    files: Files,
    balancer: LoadBalancer,
    each: Listener,
) -> Message:
    return listener(balancer, each, at, served, store, *files)


def _source(balancer: AnyLoadBalancer, each: Listener | NetworkListener) -> Source:
    return Source(f"listener {balancer.name}:{each.port}", balancer=balancer.name, port=each.port)
