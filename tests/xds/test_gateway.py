"""A gateway value to protobufs: the parts that a test without Envoy can hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster as ClusterMessage
from envoy.config.listener.v3.listener_pb2 import Listener as ListenerMessage
from envoy.config.route.v3.route_pb2 import RouteConfiguration as RouteMessage
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret as SecretMessage

from lockgate.gateway.credentials import Authority, KeyPair
from lockgate.gateway.mesh import HttpSettings
from lockgate.gateway.model import (
    AddHeader,
    Cluster,
    DirectResponse,
    DownstreamTls,
    Endpoint,
    FilterChain,
    Forward,
    Gateway,
    HeaderChanges,
    Http,
    Listener,
    Prefix,
    Retry,
    Route,
    RouteConfiguration,
    RouteMatch,
    SetHeader,
    VirtualHost,
    WeightedCluster,
)
from lockgate.gateway.telemetry.formats import LogFormat
from lockgate.gateway.telemetry.model import AccessLog as TelemetryLog
from lockgate.gateway.telemetry.model import Collector, FileLog, Tag, Telemetry, Tracing
from lockgate.resources.memo import Memo
from lockgate.resources.model import ObjectKey
from lockgate.xds.flows import LOGGER
from lockgate.xds.gateway import AccessLog, snapshot
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Snapshot

BACKEND = "outbound|80||a.default.svc.cluster.local"
FORWARD = Route(RouteMatch(Prefix("/")), Forward((WeightedCluster(BACKEND),)))
GATEWAY = Gateway(
    workload="istio-system/gateway",
    namespace="istio-system",
    listeners=(
        Listener("0.0.0.0_8080", "0.0.0.0", 8080, (FilterChain(Http("http.8080")),)),
        Listener(
            "0.0.0.0_8443",
            "0.0.0.0",
            8443,
            (FilterChain(Http("https"), ("a.example",), DownstreamTls(("kubernetes://x",))),),
        ),
    ),
    routes={
        "http.8080": RouteConfiguration("http.8080", (VirtualHost("a.example:80", ("a.example",), (FORWARD,)),)),
        "https": RouteConfiguration("https", (VirtualHost("blackhole:443", ("*",)),)),
    },
    clusters={BACKEND: Cluster(BACKEND)},
    endpoints={BACKEND: (Endpoint("127.0.0.1", 1234),)},
    credentials={"kubernetes://x": ("x",)},
)
BINDS = {8080: ("127.0.0.1", 28080), 8443: ("127.0.0.2", 28443), 15021: ("127.0.0.1", 25021)}


def made(gateway: Gateway = GATEWAY, **arguments: Any) -> Snapshot:
    return snapshot(gateway, **{"binds": BINDS, "credentials": {}, **arguments})


def manager(of: Snapshot, name: str = "0.0.0.0_8080") -> Any:
    listener = ListenerMessage.FromString(of.resources[LISTENER][name].body)
    message = HttpConnectionManager()
    listener.filter_chains[0].filters[0].typed_config.Unpack(message)
    return message


@pytest.mark.parametrize(
    ("collector", "target"),
    [(Collector("127.0.0.1", 4317), ""), (Collector("::1", 4318, "/v1/traces"), "http://[::1]:4318/v1/traces")],
)
def test_spans_go_to_the_collector_with_the_tags_of_telemetry(collector: Collector, target: str) -> None:
    tags = (Tag("team", "literal", "edge"), Tag("tenant", "header", "x-tenant", "none"))
    asked = Tracing("otel", "opentelemetry", "{}", 1.0, tags, max_path_length=64)
    gateway = replace(
        GATEWAY, workload="istio-system/istio-ingressgateway-5d6f7-x2x4z", telemetry=Telemetry(tracing=asked)
    )
    made = snapshot(gateway, binds=BINDS, credentials={}, access_log=AccessLog(collector=collector), memo=Memo())
    cluster = ClusterMessage.FromString(made.resources[CLUSTER]["lockgate.otlp"].body)
    assert bool(cluster.typed_extension_protocol_options) == (not target), "gRPC needs HTTP/2"
    for manager in _managers(made):
        assert manager.tracing.random_sampling.value == 100
        assert manager.tracing.max_path_tag_length.value == 64
        assert [tag.tag for tag in manager.tracing.custom_tags][2:] == ["team", "tenant"]
        config = OpenTelemetryConfig()
        manager.tracing.provider.typed_config.Unpack(config)
        assert config.service_name == "istio-ingressgateway.istio-system"
        assert config.http_service.http_uri.uri == target


def test_without_a_collector_nothing_is_traced() -> None:
    asked = Tracing("otel", "opentelemetry", "{}", 1.0)
    made = snapshot(replace(GATEWAY, telemetry=Telemetry(tracing=asked)), binds=BINDS, credentials={}, memo=Memo())
    assert "lockgate.otlp" not in made.resources[CLUSTER]
    assert not any(manager.HasField("tracing") for manager in _managers(made))


def _managers(made: Snapshot) -> list[Any]:
    found = []
    for name in ("0.0.0.0_8080", "0.0.0.0_8443"):
        for chain in ListenerMessage.FromString(made.resources[LISTENER][name].body).filter_chains:
            manager = HttpConnectionManager()
            chain.filters[-1].typed_config.Unpack(manager)
            found.append(manager)
    assert len(found) == 2
    return found


def test_routes_and_clusters_name_what_they_were_made_from() -> None:
    service = ObjectKey("networking.istio.io", "VirtualService", "shop", "orders")
    rule = ObjectKey("networking.istio.io", "DestinationRule", "shop", "a")
    route = replace(FORWARD, virtual_service=service)
    routes = {"https": RouteConfiguration("https", (VirtualHost("a.example:80", ("a.example",), (FORWARD, route)),))}
    made = snapshot(
        replace(GATEWAY, routes=routes, clusters={BACKEND: Cluster(BACKEND, destination_rule=rule)}),
        binds=BINDS,
        credentials={},
        memo=Memo(),
    )
    plain, named = RouteMessage.FromString(made.resources[ROUTE]["https"].body).virtual_hosts[0].routes
    assert not plain.HasField("metadata")
    cluster = ClusterMessage.FromString(made.resources[CLUSTER][BACKEND].body)
    assert [dict(each.metadata.filter_metadata["istio"]) for each in (named, cluster)] == [
        {"config": "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/orders"},
        {"config": "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/a"},
    ]


@pytest.mark.parametrize(
    ("gateway", "named"),
    [
        ({}, False),
        ({"telemetry": Telemetry((TelemetryLog(FileLog(LogFormat("%PROTOCOL%"))),))}, False),
        ({"telemetry": Telemetry((TelemetryLog(FileLog(LogFormat("%METADATA(ROUTE:istio:config)%"))),))}, True),
        ({"telemetry": Telemetry((TelemetryLog(FileLog(LogFormat("")), expression="xds.route_metadata"),))}, True),
    ],
)
def test_routes_have_no_names_where_nothing_reads_them(gateway: Any, named: bool) -> None:
    route = replace(FORWARD, virtual_service=ObjectKey("networking.istio.io", "VirtualService", "shop", "orders"))
    routes = {"https": RouteConfiguration("https", (VirtualHost("a.example:80", ("a.example",), (route,)),))}
    of = made(replace(GATEWAY, routes=routes, **gateway), named=False)
    (host,) = RouteMessage.FromString(of.resources[ROUTE]["https"].body).virtual_hosts
    assert host.routes[0].HasField("metadata") is named


def test_listeners_bind_this_machines_ports_under_istios_names() -> None:
    listeners = made().resources[LISTENER]
    assert set(listeners) == {"0.0.0.0_8080", "0.0.0.0_8443", "readiness"}
    address = ListenerMessage.FromString(listeners["0.0.0.0_8443"].body).address.socket_address
    assert (address.address, address.port_value) == ("127.0.0.2", 28443)


def test_a_port_that_no_service_leads_to_is_not_bound() -> None:
    assert made(binds={8080: BINDS[8080]}).names(LISTENER) == {"0.0.0.0_8080"}


def test_istios_connection_manager() -> None:
    message = manager(made())
    assert message.server_name == "istio-envoy"
    assert message.use_remote_address.value
    assert message.normalize_path.value
    assert message.stream_idle_timeout.seconds == 0
    assert message.HasField("stream_idle_timeout")
    assert [upgrade.upgrade_type for upgrade in message.upgrade_configs] == ["websocket"]
    filters = [(one.name.rpartition(".")[2], one.disabled) for one in message.http_filters]
    assert filters == [("fault", True), ("cors", True), ("router", False)]


def test_the_mesh_changes_the_connection_manager() -> None:
    http = HttpSettings(server_name=None, trusted_proxies=2, merge_slashes=True, request_id=False, http10=True)
    message = manager(made(replace(GATEWAY, http=http)))
    assert message.xff_num_trusted_hops == 2
    assert message.merge_slashes
    assert not message.generate_request_id.value
    assert message.http_protocol_options.accept_http_10
    assert message.server_header_transformation == HttpConnectionManager.PASS_THROUGH


def test_access_logs_are_streamed_to_the_configured_cluster() -> None:
    message = manager(made(access_log=AccessLog("ads", "gateway")))
    assert [log.name for log in message.access_log] == ["envoy.access_loggers.http_grpc", LOGGER]
    assert [log.name for log in manager(made()).access_log] == [LOGGER]


def test_a_listener_logs_connections_that_match_no_chain() -> None:
    logs = (TelemetryLog(FileLog(LogFormat("a")), expression="true"), TelemetryLog(FileLog(LogFormat("b"))))
    for telemetry, filters in ((Telemetry(logs), [["NR", "true"], ["NR"]]), (Telemetry(logs, unmatched=False), [])):
        body = made(replace(GATEWAY, telemetry=telemetry)).resources[LISTENER]["0.0.0.0_8080"].body
        found = [each.filter for each in ListenerMessage.FromString(body).access_log]
        assert [_words(each) for each in found] == filters
        assert len(manager(made(replace(GATEWAY, telemetry=telemetry))).access_log) == 3


def _words(given: Any) -> list[str]:
    if given.HasField("and_filter"):
        return [word for each in given.and_filter.filters for word in _words(each)]
    if given.HasField("extension_filter"):
        expression = ExpressionFilter()
        given.extension_filter.typed_config.Unpack(expression)
        return [expression.expression]
    return list(given.response_flag_filter.flags)


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        (HeaderChanges(), ["x-forwarded-for"]),
        (HeaderChanges((SetHeader("x-a", "1"),)), ["x-a", "x-forwarded-for"]),  # in any order
        (HeaderChanges((SetHeader("x-a", "%REQ(X-FORWARDED-FOR)%"),)), ["x-forwarded-for", "x-a"]),
        (HeaderChanges((AddHeader("X-Forwarded-For", "1.2.3.4"),)), ["x-forwarded-for", "X-Forwarded-For"]),
        (HeaderChanges(remove=("x-forwarded-for",)), []),
    ],
)
def test_the_peer_is_appended_before_the_routes_own_changes(changes: HeaderChanges, keys: list[str]) -> None:
    route = replace(FORWARD, request_headers=changes)
    hosts = (VirtualHost("a", ("a.example",), (route,)), VirtualHost("b", ("b.example",), (FORWARD,)))
    of = made(replace(GATEWAY, routes={"http.8080": RouteConfiguration("http.8080", hosts)}))
    message = RouteMessage.FromString(of.resources[ROUTE]["http.8080"].body)
    for host, expected in zip(message.virtual_hosts, (keys, ["x-forwarded-for"]), strict=True):
        levels = (host.routes[0], host, message)  # in Envoy's order
        assert [one.header.key for level in levels for one in level.request_headers_to_add] == expected


def test_what_all_routes_have_in_common_is_said_once() -> None:
    retry = Retry(2, "connect-failure")
    forward, other = Forward((WeightedCluster("c"),), retry=retry), Forward((WeightedCluster("c"),), retry=None)
    for actions, shared in (((forward, forward), True), ((forward, other), False)):
        routes = tuple(Route(RouteMatch(Prefix(f"/{at}")), action) for at, action in enumerate(actions))
        configuration = RouteConfiguration("http.8080", (VirtualHost("a", ("a.example",), routes),))
        of = made(replace(GATEWAY, routes={"http.8080": configuration}))
        (host,) = RouteMessage.FromString(of.resources[ROUTE]["http.8080"].body).virtual_hosts
        assert host.HasField("retry_policy") is shared
        assert [each.route.HasField("retry_policy") for each in host.routes] == [
            not shared and action.retry is not None for action in actions
        ]


def test_secrets_are_those_that_are_there() -> None:
    assert made().names(SECRET) == set()
    pair = KeyPair(b"chain", b"key")
    of = made(credentials={"kubernetes://x": pair, "kubernetes://other": Authority(b"ca")})
    assert of.names(SECRET) == {"kubernetes://x"}
    message = SecretMessage.FromString(of.resources[SECRET]["kubernetes://x"].body)
    assert message.tls_certificate.private_key.inline_bytes == b"key"
    assert "key" not in repr(of.resources[SECRET]["kubernetes://x"])


def test_the_same_value_gives_the_same_bytes_and_with_a_memo_the_same_entries() -> None:
    assert made() == made()
    memo = Memo()
    first = made(memo=memo)
    answer = Route(RouteMatch(Prefix("/")), DirectResponse(200))
    routes = {**GATEWAY.routes, "https": RouteConfiguration("https", (VirtualHost("*:443", ("*",), (answer,)),))}
    second = made(replace(GATEWAY, routes=routes), memo=memo)
    assert second.resources[CLUSTER] is first.resources[CLUSTER]
    assert second.resources[ENDPOINT] is first.resources[ENDPOINT]
    assert second.resources[ROUTE]["http.8080"] == first.resources[ROUTE]["http.8080"]
    assert second.resources[ROUTE]["https"] != first.resources[ROUTE]["https"]
