"""Clusters and their endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, Locality, TransportSocket
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.http.header_formatters.preserve_case.v3.preserve_case_pb2 import (
    PreserveCaseFormatterConfig,
)
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from lockgate.gateway import model
from lockgate.gateway.credentials import FILE_CA, SYSTEM
from lockgate.xds.gateway.listeners import SAN_TYPES
from lockgate.xds.gateway.metadata import made_from
from lockgate.xds.protobuf import Message, ads, duration, pack, serialised, uint32

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(item: model.Cluster, system_ca: str) -> bytes:
    pool = item.pool
    message = cluster_pb2.Cluster(
        name=item.name,
        alt_stat_name=item.name + ";",
        connect_timeout=duration(pool.connect_timeout),
        circuit_breakers=_circuit_breakers(pool),
    )
    if item.destination_rule:
        message.metadata.CopyFrom(made_from(item.destination_rule))
    match item.discovery:
        case "EDS":
            message.type = cluster_pb2.Cluster.EDS
            message.eds_cluster_config.eds_config.CopyFrom(ads(fetch_timeout=0))
            message.eds_cluster_config.service_name = item.name
        case "STRICT_DNS" | "LOGICAL_DNS":
            message.type = getattr(cluster_pb2.Cluster, item.discovery)
            message.respect_dns_ttl = True
            message.dns_lookup_family = cluster_pb2.Cluster.V4_ONLY
            message.dns_refresh_rate.CopyFrom(duration(item.dns_refresh))
            message.load_assignment.CopyFrom(_assignment(item.name, item.dns_endpoints))
        case "ORIGINAL_DST":
            message.type = cluster_pb2.Cluster.ORIGINAL_DST
        case _:
            assert_never(item.discovery)
    # Istio turns Envoy's panic off: with few endpoints left, requests fail instead of going to unhealthy ones.
    message.common_lb_config.healthy_panic_threshold.value = 0
    if item.locality_weighted:
        message.common_lb_config.locality_weighted_lb_config.SetInParent()
    if item.discovery == "ORIGINAL_DST":
        message.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    else:
        _load_balancing(message, item.load_balancing)
    if item.outlier_detection:
        _outlier_detection(message, item.outlier_detection)
    if pool.keepalive:
        _keepalive(message, pool.keepalive)
    if options := _http_options(item):
        message.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(options))
    if pool.buffer is not None:
        message.per_connection_buffer_limit_bytes.value = pool.buffer
    socket = _tls(item.tls, item.protocol, system_ca) if item.tls else None
    if item.proxy_protocol:
        socket = _proxy_protocol(item.proxy_protocol, socket)
    if socket:
        message.transport_socket.CopyFrom(socket)
    return serialised(message)


def load_assignment(name: str, endpoints: Iterable[model.Endpoint]) -> bytes:
    return serialised(_assignment(name, endpoints))


def _assignment(name: str, endpoints: Iterable[model.Endpoint]) -> Message:
    groups: dict[tuple[model.Locality, int], list[model.Endpoint]] = {}
    for endpoint in endpoints:
        groups.setdefault((endpoint.locality, endpoint.priority), []).append(endpoint)
    localities = [_locality(where, priority, found) for (where, priority), found in groups.items()]
    return ClusterLoadAssignment(cluster_name=name, endpoints=localities)


def _locality(where: model.Locality, priority: int, endpoints: list[model.Endpoint]) -> Message:
    hosts = [
        LbEndpoint(
            endpoint=Endpoint(
                address=Address(socket_address=SocketAddress(address=endpoint.address, port_value=endpoint.port))
            ),
            load_balancing_weight=uint32(endpoint.weight),
        )
        for endpoint in endpoints
    ]
    share = endpoints[0].share
    return LocalityLbEndpoints(
        locality=Locality(region=where.region, zone=where.zone, sub_zone=where.subzone),
        lb_endpoints=hosts,
        load_balancing_weight=uint32(sum(each.weight for each in endpoints) if share is None else share),
        priority=priority,
    )


def _circuit_breakers(pool: model.ConnectionPool) -> Message:
    limits = CircuitBreakers.Thresholds(
        max_connections=uint32(pool.max_connections),
        max_pending_requests=uint32(pool.max_pending_requests),
        max_requests=uint32(pool.max_requests),
        max_retries=uint32(pool.max_retries),
        track_remaining=True,
    )
    if budget := pool.retry_budget:
        limits.retry_budget.budget_percent.value = budget.percent
        limits.retry_budget.min_retry_concurrency.value = budget.minimum
    return CircuitBreakers(thresholds=[limits])


def _load_balancing(message: Message, balancing: model.LoadBalancing) -> None:
    match balancing:
        case model.Simple(policy, warmup):
            message.lb_policy = getattr(cluster_pb2.Cluster, policy)
            if warmup is None or policy == "RANDOM":
                return
            config = message.least_request_lb_config if policy == "LEAST_REQUEST" else message.round_robin_lb_config
            slow = config.slow_start_config
            slow.slow_start_window.CopyFrom(duration(warmup.seconds))
            slow.aggression.default_value = warmup.aggression
            slow.aggression.runtime_key = "lockgate.slow_start.aggression"
            slow.min_weight_percent.value = warmup.minimum_percent
        case model.RingHash(minimum_size):
            message.lb_policy = cluster_pb2.Cluster.RING_HASH
            if minimum_size is not None:
                message.ring_hash_lb_config.minimum_ring_size.value = minimum_size
        case model.Maglev(table_size):
            message.lb_policy = cluster_pb2.Cluster.MAGLEV
            if table_size is not None:
                message.maglev_lb_config.table_size.value = table_size
        case _:
            assert_never(balancing)


def _outlier_detection(message: Message, outlier: model.OutlierDetection) -> None:
    detection = message.outlier_detection
    detection.enforcing_success_rate.value = 0
    if outlier.consecutive_5xx is not None:
        detection.consecutive_5xx.value = outlier.consecutive_5xx
        detection.enforcing_consecutive_5xx.value = 100 if outlier.consecutive_5xx else 0
    if outlier.consecutive_gateway is not None:
        detection.consecutive_gateway_failure.value = outlier.consecutive_gateway
        detection.enforcing_consecutive_gateway_failure.value = 100 if outlier.consecutive_gateway else 0
    if outlier.split_local_origin:
        detection.split_external_local_origin_errors = True
        if outlier.consecutive_local_origin:
            detection.consecutive_local_origin_failure.value = outlier.consecutive_local_origin
            detection.enforcing_consecutive_local_origin_failure.value = 100
        detection.enforcing_local_origin_success_rate.value = 0
    if outlier.interval is not None:
        detection.interval.CopyFrom(duration(outlier.interval))
    if outlier.base_ejection_time is not None:
        detection.base_ejection_time.CopyFrom(duration(outlier.base_ejection_time))
    if outlier.max_ejection_percent is not None:
        detection.max_ejection_percent.value = outlier.max_ejection_percent
    message.common_lb_config.healthy_panic_threshold.value = outlier.min_health_percent


def _keepalive(message: Message, keepalive: model.TcpKeepalive) -> None:
    target = message.upstream_connection_options.tcp_keepalive
    target.SetInParent()
    if keepalive.probes is not None:
        target.keepalive_probes.value = keepalive.probes
    if keepalive.time is not None:
        target.keepalive_time.value = int(keepalive.time)
    if keepalive.interval is not None:
        target.keepalive_interval.value = int(keepalive.interval)


def _http_options(item: model.Cluster) -> Message | None:
    """None where Envoy's defaults (HTTP/1.1, no limits, Host not used for TLS) are what is wanted."""
    options = HttpProtocolOptions()
    pool = item.pool
    if pool.idle_timeout is not None:
        options.common_http_protocol_options.idle_timeout.CopyFrom(duration(pool.idle_timeout))
    if pool.max_connection_duration is not None:
        options.common_http_protocol_options.max_connection_duration.CopyFrom(duration(pool.max_connection_duration))
    if pool.max_requests_per_connection is not None:
        options.common_http_protocol_options.max_requests_per_connection.value = pool.max_requests_per_connection
    if item.tls and not item.tls.sni:
        options.upstream_http_protocol_options.auto_sni = True
        options.upstream_http_protocol_options.auto_san_validation = item.tls.verify_host
    http1 = _http1(item.preserve_header_case)
    http2 = Http2ProtocolOptions()
    if ping := pool.http2_keepalive:
        http2.connection_keepalive.SetInParent()
        if ping.interval is not None:
            http2.connection_keepalive.interval.CopyFrom(duration(ping.interval))
        if ping.timeout is not None:
            http2.connection_keepalive.timeout.CopyFrom(duration(ping.timeout))
    if pool.max_concurrent_streams is not None:
        http2.max_concurrent_streams.value = pool.max_concurrent_streams
    match item.protocol:
        case "HTTP1":
            if not options.ByteSize() and not item.preserve_header_case:
                return None
            options.explicit_http_config.http_protocol_options.CopyFrom(http1)
        case "HTTP2":
            options.explicit_http_config.http2_protocol_options.CopyFrom(http2)
        case "DOWNSTREAM":
            options.use_downstream_protocol_config.http_protocol_options.CopyFrom(http1)
            options.use_downstream_protocol_config.http2_protocol_options.CopyFrom(http2)
        case _:
            assert_never(item.protocol)
    return options


def _http1(preserve_case: bool) -> Message:
    options = Http1ProtocolOptions()
    if preserve_case:
        formatter = options.header_key_format.stateful_formatter
        formatter.name = "preserve_case"
        formatter.typed_config.CopyFrom(pack(PreserveCaseFormatterConfig()))
    return options


def _proxy_protocol(version: str, inner: Message | None) -> Message:
    """A transport socket that sends the PROXY protocol's header before anything else."""
    config = ProxyProtocolUpstreamTransport()
    config.config.version = getattr(ProxyProtocolConfig, version)
    if inner is None:
        inner = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=pack(RawBuffer()))
    config.transport_socket.CopyFrom(inner)
    return TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=pack(config))


def _tls(tls: model.UpstreamTls, protocol: model.UpstreamProtocol, system_ca: str) -> Message:
    context = tls_pb2.UpstreamTlsContext(sni=tls.sni)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3
    common.tls_params.cipher_suites.extend(tls.cipher_suites)
    common.tls_params.ecdh_curves.extend(tls.ecdh_curves)
    if protocol == "HTTP2":
        common.alpn_protocols.append("h2")
    if tls.certificate:
        common.tls_certificate_sds_secret_configs.append(_sds(tls.certificate))
    if tls.verify:
        names = [
            common_pb2.SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=name))
            for name in tls.subject_alt_names
            for kind in SAN_TYPES
        ]
        if tls.ca:
            combined = common.combined_validation_context
            if tls.ca.startswith(FILE_CA + SYSTEM):
                combined.default_validation_context.trusted_ca.filename = system_ca
            combined.default_validation_context.match_typed_subject_alt_names.extend(names)
            combined.validation_context_sds_secret_config.CopyFrom(_sds(tls.ca))
        else:
            common.validation_context.trusted_ca.CopyFrom(DataSource(filename=system_ca))
            common.validation_context.match_typed_subject_alt_names.extend(names)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def _sds(name: str) -> Message:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads())
