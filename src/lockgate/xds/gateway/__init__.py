"""A `Gateway` as the Envoy configuration that istiod would send.

It omits Istio's own filters, which stock Envoy lacks, and clusters that no route references, which nothing outside can
observe. Names are Istio's; addresses are this machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.gateway import model
from lockgate.gateway.clusters import SYSTEM_CA
from lockgate.gateway.credentials import Credential
from lockgate.gateway.telemetry.model import Collector
from lockgate.resources.faults import Origin
from lockgate.resources.memo import Memo
from lockgate.xds.gateway.clusters import cluster, load_assignment
from lockgate.xds.gateway.listeners import Settings, filter_chain, listener, readiness
from lockgate.xds.gateway.logs import AccessLog
from lockgate.xds.gateway.patched import patched
from lockgate.xds.gateway.pieces import ListenerPieces, RoutePieces
from lockgate.xds.gateway.routes import Form, route_configuration, sees_the_peer, virtual_host
from lockgate.xds.gateway.secrets import secret
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Entry, Snapshot, Source

__all__ = ["AccessLog", "snapshot"]

READINESS = "readiness"


def snapshot(
    gateway: model.Gateway,
    *,
    binds: Mapping[int, tuple[str, int]],
    credentials: Mapping[str, Credential],
    access_log: AccessLog | None = None,
    system_ca: str = SYSTEM_CA,
    named: bool = True,
    memo: Memo | None = None,
) -> Snapshot:
    """The complete configuration of one gateway's Envoy.

    `binds` maps a port as Istio sees it (8443, 15021) to the address and port on this machine. A listener without an
    entry is omitted, because no Service leads to it. `credentials` holds the material by SDS name. If a credential is
    missing, its chains have no certificate, as on a cluster. `system_ca` is the file of the CAs that clusters trust by
    default. With `named`, each route names its VirtualService, as istiod's routes do; without it, only if something of
    the gateway may read that. With the same `memo`, unchanged resources are reused.
    """
    memo = memo or Memo()
    memo.turn()
    collector = access_log.collector if access_log else None
    service = _service_in_traces(gateway.workload) if collector else ""
    settings = memo.made(Settings, gateway.http, gateway.filters, gateway.telemetry, access_log, service)
    named = named or collector is not None or _may_read_metadata(gateway)
    listeners = {
        item.name: _listener(item, binds[item.port], settings, memo) for item in gateway.listeners if item.port in binds
    }
    if status := binds.get(gateway.status_port):
        listeners[READINESS] = Entry.of(readiness(status), "readiness probe")
    made = Snapshot(
        {
            CLUSTER: memo.made(_clusters, gateway.clusters, system_ca, collector, memo),
            ENDPOINT: memo.succeeding(ENDPOINT, gateway.endpoints, _load_assignments).entries,
            SECRET: {
                name: memo.made(_secret, credentials[name], name)
                for name in sorted(gateway.credentials)
                if name in credentials
            },
            LISTENER: listeners,
            ROUTE: {name: _routes(item, gateway, named, memo) for name, item in gateway.routes.items()},
        }
    )
    return patched(made, gateway, binds, memo) if gateway.patches else made


def _listener(item: model.Listener, address: tuple[str, int], settings: Settings, memo: Memo) -> Entry:
    chains = [memo.made(filter_chain, chain, item.name, item.port, settings) for chain in item.filter_chains]
    body = listener(item, address, chains, settings)
    return Entry.of(body, _source(item.origin), ListenerPieces(item, address, settings))


def _clusters(
    items: Mapping[str, model.Cluster], system_ca: str, collector: Collector | None, memo: Memo
) -> dict[str, Entry]:
    made = {name: memo.made(_cluster, item, system_ca) for name, item in items.items()}
    if collector is not None:
        from lockgate.xds.gateway import tracing  # few edges need its types

        made[tracing.CLUSTER_NAME] = Entry.of(tracing.cluster(collector), "the collector of spans")
    return made


def _service_in_traces(workload: str) -> str:
    """As Istio names services: ``istio-ingressgateway.istio-system``, from the Pod's namespace and generated name."""
    namespace, _, pod = workload.partition("/")
    parts = pod.split("-")
    return f"{'-'.join(parts[:-2]) if len(parts) > 2 else pod}.{namespace}"


def _cluster(item: model.Cluster, system_ca: str) -> Entry:
    return Entry.of(cluster(item, system_ca), _source(item.origin))


@dataclass(frozen=True, slots=True)
class _Assigned:
    """The endpoints of all clusters, and their entries."""

    items: Mapping[str, tuple[model.Endpoint, ...]]
    entries: dict[str, Entry]


def _load_assignments(items: Mapping[str, tuple[model.Endpoint, ...]], earlier: _Assigned | None) -> _Assigned:
    """Found again by identity: a `Memo` would compare tuples by value, and there may be thousands of endpoints."""
    before, entries = (earlier.items, earlier.entries) if earlier else ({}, {})
    made = {
        name: entries[name] if before.get(name) is endpoints else _load_assignment(name, endpoints)
        for name, endpoints in items.items()
    }
    return _Assigned(items, made)


def _load_assignment(name: str, endpoints: tuple[model.Endpoint, ...]) -> Entry:
    return Entry.of(load_assignment(name, endpoints), f"endpoints of {name}")


def _secret(item: Credential, name: str) -> Entry:
    return Entry.of(secret(name, item), f"credential {name}")


def _routes(item: model.RouteConfiguration, gateway: model.Gateway, named: bool, memo: Memo) -> Entry:
    # A patch may add header changes of its own, so the peer comes before them, where it is for Istio's Envoy.
    alone = gateway.http.proxy_protocol or bool(gateway.patches)
    peer = not alone and not any(memo.each(item.name, sees_the_peer, item.virtual_hosts))
    form = memo.made(Form, gateway.http, named, peer)
    parts = memo.each(item.name, virtual_host, item.virtual_hosts, form)
    return memo.depending(
        ("routes", item.name),
        [parts, form, item.origin],
        lambda: Entry.of(route_configuration(item.name, parts, form), _source(item.origin), RoutePieces(item, form)),
    )


def _may_read_metadata(gateway: model.Gateway) -> bool:
    """Whether patches, modules or formats of logs may read what routes say of themselves."""
    modules = gateway.filters.modules if gateway.filters else ()
    logs = gateway.telemetry.access_logs
    return bool(gateway.patches or modules) or any("metadata" in f"{log.sink}{log.expression}".lower() for log in logs)


def _source(origin: Origin | None) -> Source:
    return Source(str(origin) if origin else "", origin)
