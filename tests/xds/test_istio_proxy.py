"""What an istiod of the user sends, as an Envoy of this machine gets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.filter_pb2 import Filter as ClusterFilter
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.data.accesslog.v3.accesslog_pb2 import AccessLogType
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.any_pb2 import Any as AnyMessage
from xds.type.v3.typed_struct_pb2 import TypedStruct

from lockgate.xds.istio_proxy import Place, adapted, has_proxy_protocol, probe
from lockgate.xds.protobuf import pack
from lockgate.xds.snapshot import CLUSTER, LISTENER, ROUTE, SECRET

PLACE = Place({8443: ("127.0.0.1", 23443), 15021: ("127.0.0.1", 25021)}, "/tmp/watched")
ALPN = AnyMessage(type_url="type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig")
EXCHANGE = AnyMessage(type_url="type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange")
PEERS = pack(TypedStruct(type_url="type.googleapis.com/io.istio.http.peer_metadata.Config"))


def listener(port: int, *chains: list[Filter], default: list[Filter] | None = None) -> Listener:
    made = Listener(name=f"0.0.0.0_{port}", filter_chains=[FilterChain(filters=each) for each in chains])
    made.address.socket_address.address, made.address.socket_address.port_value = "0.0.0.0", port
    made.additional_addresses.add().address.socket_address.address = "::"
    if default is not None:
        made.default_filter_chain.CopyFrom(FilterChain(filters=default))
    return made


def adapt(message: Any, type_url: str = LISTENER) -> tuple[Any, list[str]]:
    left_out: list[str] = []
    return type(message).FromString(adapted(type_url, message.SerializeToString(), PLACE, left_out.append)), left_out


def test_a_listener_moves_and_loses_what_only_istios_envoy_has() -> None:
    router = HttpFilter(name="router", typed_config=pack(Router()))
    ours = [HttpFilter(name="alpn", typed_config=ALPN), HttpFilter(name="peers", typed_config=PEERS), router]
    manager = Filter(name="http", typed_config=pack(HttpConnectionManager(http_filters=ours)))
    exchange = Filter(name="exchange", typed_config=EXCHANGE)
    made, left_out = adapt(listener(8443, [exchange, manager]))
    socket = made.address.socket_address
    assert (socket.address, socket.port_value, len(made.additional_addresses)) == ("127.0.0.1", 23443, 0)
    (http,) = made.filter_chains[0].filters
    kept = HttpConnectionManager.FromString(http.typed_config.value)
    assert [each.name for each in kept.http_filters] == ["router"] and kept.skip_xff_append
    assert [each.name for each in kept.access_log] == ["envoy.access_loggers.stats", "envoy.access_loggers.file"]
    assert left_out == ["exchange", "alpn", "peers"]


def test_connections_are_counted_and_a_port_without_a_service_is_anywhere() -> None:
    proxy = TcpProxy(cluster="a")
    proxy.access_log.add(name="theirs")
    tcp = Filter(name="tcp", typed_config=pack(proxy))
    made, left_out = adapt(listener(9000, default=[tcp]))
    assert (made.address.socket_address.port_value, left_out) == (0, [])
    counted = TcpProxy.FromString(made.default_filter_chain.filters[0].typed_config.value)
    theirs, *own = counted.access_log
    assert (theirs.name, [each.name for each in own]) == ("theirs", ["envoy.access_loggers.stats"] * 2)
    assert list(theirs.filter.log_type_filter.types) == [AccessLogType.TcpConnectionEnd]
    assert counted.access_log_options.flush_access_log_on_connected


def test_clusters_lose_filters_and_other_resources_stay() -> None:
    mine = Cluster(name="a", filters=[ClusterFilter(name="exchange", typed_config=EXCHANGE)])
    assert adapt(mine, CLUSTER) == (Cluster(name="a"), ["exchange"])
    assert adapt(Cluster(name="b"), CLUSTER) == (Cluster(name="b"), [])
    assert adapted(SECRET, b"anything", PLACE, print) == b"anything"


def test_clients_on_the_loopback_are_named_unless_the_proxy_protocol_names_them() -> None:
    made, _ = adapt(RouteConfiguration(name="a"), ROUTE)
    (added,) = made.request_headers_to_add
    assert (added.header.key, "DIRECT_REMOTE" in added.header.value) == ("x-forwarded-for", True)
    proxied = listener(8443)
    assert not has_proxy_protocol(proxied.SerializeToString())
    proxied.listener_filters.add(name="envoy.filters.listener.proxy_protocol")
    assert has_proxy_protocol(proxied.SerializeToString())
    untouched = RouteConfiguration(name="a").SerializeToString()
    assert adapted(ROUTE, untouched, replace(PLACE, peers=False), print) == untouched


def test_the_probe_is_where_its_service_leads() -> None:
    made = Listener.FromString(probe(PLACE) or b"")
    assert (made.name, made.address.socket_address.port_value) == ("readiness", 25021)
    assert probe(Place({})) is None
