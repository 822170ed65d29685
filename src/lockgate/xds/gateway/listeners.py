"""Listeners, their filter chains, and the HTTP settings of a gateway.

Source: istio/istio `pilot/pkg/networking/core/listener_builder.go` and `gateway.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.config.listener.v3 import listener_components_pb2 as components
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.http.header_formatters.preserve_case.v3.preserve_case_pb2 import (
    PreserveCaseFormatterConfig,
)
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from lockgate.gateway import model
from lockgate.gateway.mesh import HttpSettings, Limits
from lockgate.gateway.policies.model import Filters
from lockgate.gateway.telemetry.model import Telemetry
from lockgate.xds.gateway.filters import http_filters, network_filters
from lockgate.xds.gateway.logs import AccessLog, of_connections, of_requests, of_unmatched
from lockgate.xds.gateway.routes import CORS, FAULT
from lockgate.xds.protobuf import Message, ads, boolean, duration, field, pack, serialised, uint32
from lockgate.xds.telemetry import connection_logs, ended, request_log

_HCM = "envoy.filters.network.http_connection_manager"
# Istio's matchers name no type, which Envoy reads as each of these.
SAN_TYPES = tuple(getattr(common_pb2.SubjectAltNameMatcher, name) for name in ("EMAIL", "DNS", "URI", "IP_ADDRESS"))
_TLS = "envoy.transport_sockets.tls"

# Istio keeps Envoy's default of 15 s. With a shorter timeout, a gateway whose certificate is not issued yet opens its
# port sooner. Until then clients see the same: a closed connection.
_SECRET_FETCH_TIMEOUT = 0.25


@dataclass(frozen=True, slots=True)
class Settings:
    """What all listeners of a gateway have in common. `own` are this edge's own access logs."""

    http: HttpSettings
    filters: Filters | None
    telemetry: Telemetry
    own: AccessLog | None
    service: str = ""  # the gateway's name in traces


def listener(
    item: model.Listener,
    address: tuple[str, int],
    chains: Iterable[bytes],
    settings: Settings,
) -> bytes:
    """A `Listener`, built from its serialised filter chains (field 3)."""
    http = settings.http
    message = Listener(
        name=item.name,
        address=_address(address),
        traffic_direction="OUTBOUND",
        max_connections_to_accept_per_socket_event=uint32(1),
    )
    if http.limits.connection_buffer is not None:
        message.per_connection_buffer_limit_bytes.value = http.limits.connection_buffer
    if http.proxy_protocol:
        message.listener_filters.add(name="envoy.filters.listener.proxy_protocol", typed_config=pack(ProxyProtocol()))
    if any(chain.tls or chain.passthrough or chain.server_names for chain in item.filter_chains):
        message.listener_filters.add(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
    message.access_log.extend(of_unmatched(settings.telemetry, settings.own))
    return serialised(message) + b"".join(field(3, chain) for chain in chains)


def filter_chain(chain: model.FilterChain, stat: str, port: int, settings: Settings) -> bytes:
    """A serialised `FilterChain`; `stat` names its listener, and `port` is its port as Istio sees it."""
    return serialised(_chain(chain, stat, port, settings))


def readiness(address: tuple[str, int]) -> bytes:
    """The readiness probe's port. It arrives by LDS, after CDS, so a response means the same as Istio's agent's 200."""
    manager = hcm_pb2.HttpConnectionManager(stat_prefix="readiness", server_name="istio-envoy")
    host = manager.route_config.virtual_hosts.add(name="readiness", domains=["*"])
    route = host.routes.add()
    route.match.path = "/healthz/ready"
    route.direct_response.status = 200
    manager.http_filters.add(name="envoy.filters.http.router", typed_config=pack(Router()))
    message = Listener(name="readiness", address=_address(address))
    message.filter_chains.add().filters.add(name=_HCM, typed_config=pack(manager))
    return serialised(message)


def _address(address: tuple[str, int]) -> Message:
    return Address(socket_address=SocketAddress(address=address[0], port_value=address[1]))


def _chain(chain: model.FilterChain, stat: str, port: int, settings: Settings) -> Message:
    message = components.FilterChain(transport_socket_connect_timeout=duration(15))
    if chain.server_names:
        message.filter_chain_match.server_names.extend(chain.server_names)
    if chain.tls:
        message.transport_socket.CopyFrom(TransportSocket(name=_TLS, typed_config=pack(_downstream_tls(chain.tls))))
    match chain.filter:
        case model.Http():
            manager = _connection_manager(chain.filter, chain.stat_prefix or f"outbound_{stat};", port, settings)
            manager.access_log.append(request_log(stat))
            for place, (name, config) in enumerate(http_filters(settings.filters, port)):
                manager.http_filters.insert(place, hcm_pb2.HttpFilter(name=name, typed_config=pack(config)))
            message.filters.add(name=_HCM, typed_config=pack(manager))
        case model.Tcp():
            for name, config in network_filters(settings.filters, port):
                message.filters.add(name=name, typed_config=pack(config))
            proxy = _tcp_proxy(chain.filter, stat, settings)
            message.filters.add(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))
        case _:
            assert_never(chain.filter)
    return message


def _downstream_tls(tls: model.DownstreamTls) -> Message:
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(tls.alpn)
    for name in tls.credentials:
        common.tls_certificate_sds_secret_configs.append(_sds(name))
    params = common.tls_params
    if tls.min_version:
        params.tls_minimum_protocol_version = getattr(common_pb2.TlsParameters, tls.min_version)
    if tls.max_version:
        params.tls_maximum_protocol_version = getattr(common_pb2.TlsParameters, tls.max_version)
    params.cipher_suites.extend(tls.cipher_suites)
    params.ecdh_curves.extend(tls.ecdh_curves)
    if tls.validation:
        context.require_client_certificate.value = tls.validation.required
        combined = common.combined_validation_context
        combined.validation_context_sds_secret_config.CopyFrom(_sds(tls.validation.credential))
        default = combined.default_validation_context
        default.SetInParent()
        default.verify_certificate_spki.extend(tls.validation.spki)
        default.verify_certificate_hash.extend(tls.validation.hashes)
        for name in tls.validation.subject_alt_names:
            for kind in SAN_TYPES:
                default.match_typed_subject_alt_names.add(san_type=kind, matcher=StringMatcher(exact=name))
    return context


def _sds(name: str) -> Message:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads(fetch_timeout=_SECRET_FETCH_TIMEOUT))


def _connection_manager(item: model.Http, stat: str, port: int, settings: Settings) -> Message:
    http = settings.http
    manager = hcm_pb2.HttpConnectionManager(
        codec_type=hcm_pb2.HttpConnectionManager.AUTO,
        stat_prefix=stat,
        rds=hcm_pb2.Rds(route_config_name=item.routes, config_source=ads(fetch_timeout=0)),
        use_remote_address=boolean(True),
        # For a peer on the loopback Envoy would append this machine's address: `routes` appends the peer's.
        skip_xff_append=not http.proxy_protocol,
        xff_num_trusted_hops=http.trusted_proxies,
        forward_client_cert_details=getattr(hcm_pb2.HttpConnectionManager, http.forward_client_cert),
        normalize_path=boolean(http.normalize_path),
        merge_slashes=http.merge_slashes,
        stream_idle_timeout=duration(http.limits.stream_idle_timeout),
        proxy_100_continue=True,
    )
    if http.server_name is None:
        manager.server_header_transformation = hcm_pb2.HttpConnectionManager.PASS_THROUGH
    else:
        manager.server_name = http.server_name
    if http.forward_client_cert in ("SANITIZE_SET", "APPEND_FORWARD"):
        details = manager.set_current_client_cert_details
        details.subject.value = True
        details.cert = details.dns = details.uri = True
    manager.path_with_escaped_slashes_action = getattr(hcm_pb2.HttpConnectionManager, http.escaped_slashes)
    manager.upgrade_configs.add(upgrade_type="websocket")
    _limits(manager, http.limits)
    if settings.own and settings.own.collector:
        from lockgate.xds.gateway.tracing import tracing  # few edges need its types

        manager.tracing.CopyFrom(tracing(settings.own.collector, settings.telemetry.tracing, settings.service))
    if http.underscores != "ALLOW":
        manager.common_http_protocol_options.headers_with_underscores_action = getattr(
            HttpProtocolOptions, http.underscores
        )
    if not http.request_id:
        manager.generate_request_id.value = False
    if http.x_forwarded_port:
        manager.append_x_forwarded_port = True
    if http.http10:
        manager.http_protocol_options.accept_http_10 = True
    if http.preserve_header_case:
        formatter = manager.http_protocol_options.header_key_format.stateful_formatter
        formatter.name = "preserve_case"
        formatter.typed_config.CopyFrom(pack(PreserveCaseFormatterConfig()))
    manager.access_log.extend(of_requests(settings.telemetry.access_logs, settings.own, port))
    if item.grpc_web:
        manager.http_filters.add(name="envoy.filters.http.grpc_web", typed_config=pack(GrpcWeb()))
    # A request passes these filters only if its route configures them. Most do not, and would pay for both.
    manager.http_filters.add(name=FAULT, typed_config=pack(HTTPFault()), disabled=True)
    manager.http_filters.add(name=CORS, typed_config=pack(Cors()), disabled=True)
    router = Router(
        suppress_envoy_headers=not http.envoy_headers,
        # Counters by status code, which Istio's proxies leave out, too (`proxyStatsMatcher`). They are looked up by
        # name for each request: a twentieth of its CPU time.
        dynamic_stats=boolean(False),
    )
    manager.http_filters.add(name="envoy.filters.http.router", typed_config=pack(router))
    return manager


def _limits(manager: Message, limits: Limits) -> None:
    for target, name, seconds in (
        (manager.common_http_protocol_options, "idle_timeout", limits.idle_timeout),
        (manager.common_http_protocol_options, "max_connection_duration", limits.connection_duration),
        (manager.common_http_protocol_options, "max_stream_duration", limits.stream_duration),
        (manager, "request_timeout", limits.request_timeout),
        (manager, "request_headers_timeout", limits.headers_timeout),
        (manager, "drain_timeout", limits.drain_timeout),
    ):
        if seconds is not None:
            getattr(target, name).CopyFrom(duration(seconds))
    for name, number in (
        ("max_concurrent_streams", limits.concurrent_streams),
        ("initial_stream_window_size", limits.stream_window),
        ("initial_connection_window_size", limits.connection_window),
    ):
        if number is not None:
            getattr(manager.http2_protocol_options, name).value = number


def _tcp_proxy(item: model.Tcp, stat: str, settings: Settings) -> Message:
    proxy = TcpProxy(stat_prefix=item.clusters[0].cluster)
    if len(item.clusters) == 1:
        proxy.cluster = item.clusters[0].cluster
    else:
        for weighted in item.clusters:
            proxy.weighted_clusters.clusters.add(name=weighted.cluster, weight=weighted.weight)
    if item.hash_source:
        proxy.hash_policy.add().source_ip.SetInParent()
    if item.tunnel:
        proxy.tunneling_config.hostname = f"{item.tunnel.host}:{item.tunnel.port}"
        proxy.tunneling_config.use_post = item.tunnel.post
    idle = item.idle_timeout if item.idle_timeout is not None else settings.http.tcp_idle_timeout
    if idle is not None:
        proxy.idle_timeout.CopyFrom(duration(idle))
    if item.max_duration is not None:
        proxy.max_downstream_connection_duration.CopyFrom(duration(item.max_duration))
    proxy.access_log.extend(map(ended, of_connections(settings.telemetry.access_logs, settings.own)))
    proxy.access_log.extend(connection_logs(stat))
    proxy.access_log_options.flush_access_log_on_connected = True
    return proxy
