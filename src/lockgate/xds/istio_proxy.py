"""What istiod sends a gateway, as an Envoy of this machine can take it.

istiod configures Istio's own build of Envoy in a Pod with an address of its own. Here several gateways share one
machine, and Envoy is the stock one. So a listener is bound to the port of this machine to which the Pod's Services
lead, and filters that only Istio's build has are left out: metadata exchange, Istio's metrics, ALPN towards sidecars.
For a client on the loopback Envoy would append this machine's own address to X-Forwarded-For; routes append the
client's instead, unless the PROXY protocol names it.

Source: istio/istio `pilot/pkg/xds/filters/filters.go`, `pilot/pkg/networking/telemetry`; istio/proxy
`source/extensions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from udpa.type.v1.typed_struct_pb2 import TypedStruct as UdpaTypedStruct
from xds.type.v3.typed_struct_pb2 import TypedStruct

from lockgate.gateway.telemetry.formats import WATCHED
from lockgate.xds.gateway.listeners import readiness
from lockgate.xds.protobuf import ADD, Message, header, pack, serialised
from lockgate.xds.telemetry import connection_logs, ended, request_log
from lockgate.xds.watched import watched_log

_STATUS_PORT: Final = 15021
_PROXY_PROTOCOL: Final = "envoy.filters.listener.proxy_protocol"
_PEER: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
_NOWHERE: Final = ("127.0.0.1", 0)  # any free port: no Service leads to the listener
_OF_ISTIO: Final = ("envoy.tcp.metadataexchange.", "envoy.extensions.network_filters.peer_metadata.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway runs. `binds` maps ports as Istio sees them to addresses of this machine; `watched` is the file
    of requests that somebody watches. `peers` is whether clients are on the loopback, as they are without the PROXY
    protocol."""

    binds: Mapping[int, tuple[str, int]]
    watched: str = ""
    peers: bool = True


def has_proxy_protocol(listener: bytes) -> bool:
    """Whether clients' addresses come from the PROXY protocol."""
    return any(each.name == _PROXY_PROTOCOL for each in Listener.FromString(listener).listener_filters)


def adapted(type_url: str, body: bytes, place: Place, left_out: Callable[[str], None]) -> bytes:
    """A resource for this machine. `left_out` is called with the name of each filter that Envoy does not have."""
    match type_url:
        case "type.googleapis.com/envoy.config.listener.v3.Listener":
            listener = Listener.FromString(body)
            _adapt_listener(listener, place, left_out)
            return serialised(listener)
        case "type.googleapis.com/envoy.config.cluster.v3.Cluster":
            cluster = Cluster.FromString(body)
            return serialised(cluster) if _without_istios(cluster.filters, left_out) else body
        case "type.googleapis.com/envoy.config.route.v3.RouteConfiguration" if place.peers:
            routes = RouteConfiguration.FromString(body)
            routes.request_headers_to_add.append(header("x-forwarded-for", _PEER, ADD))
            return serialised(routes)
    return body


def probe(place: Place) -> bytes | None:
    """The listener of the readiness probe, which Istio's agent has in Envoy's bootstrap."""
    address = place.binds.get(_STATUS_PORT)
    return readiness(address) if address else None


def _adapt_listener(listener: Message, place: Place, left_out: Callable[[str], None]) -> None:
    socket = listener.address.socket_address
    port = socket.port_value
    socket.address, socket.port_value = place.binds.get(port, _NOWHERE)
    del listener.additional_addresses[:]  # the other family's wildcard
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for chain in chains:
        _without_istios(chain.filters, left_out)
        for each in chain.filters:
            if each.typed_config.Is(HttpConnectionManager.DESCRIPTOR):
                manager = HttpConnectionManager.FromString(each.typed_config.value)
                _without_istios(manager.http_filters, left_out)
                manager.skip_xff_append = manager.skip_xff_append or place.peers
                manager.access_log.append(request_log(listener.name))
                if place.watched:
                    manager.access_log.append(watched_log({**WATCHED, "port": str(port)}, place.watched))
                each.typed_config.CopyFrom(pack(manager))
            elif each.typed_config.Is(TcpProxy.DESCRIPTOR):
                each.typed_config.CopyFrom(pack(_counted(TcpProxy.FromString(each.typed_config.value), listener.name)))


def _counted(proxy: Message, listener: str) -> Message:
    logs = [*map(ended, proxy.access_log), *connection_logs(listener)]
    del proxy.access_log[:]
    proxy.access_log.extend(logs)
    proxy.access_log_options.flush_access_log_on_connected = True
    return proxy


def _without_istios(filters: Message, left_out: Callable[[str], None]) -> bool:
    """Whether there were any."""
    kept = [each for each in filters if not _is_istios(each.typed_config)]
    for each in filters:
        if each not in kept:
            left_out(each.name)
    changed = len(kept) < len(filters)
    if changed:
        del filters[:]
        filters.extend(kept)
    return changed


def _is_istios(config: Message) -> bool:
    name = config.type_url
    for wrapper in (TypedStruct, UdpaTypedStruct):
        if config.Is(wrapper.DESCRIPTOR):
            name = wrapper.FromString(config.value).type_url
    name = name.rpartition("/")[2]
    return bool(name) and (not name.startswith("envoy.") or name.startswith(_OF_ISTIO))
