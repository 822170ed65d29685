"""Listeners: the socket, TLS to clients, HTTP connections and their limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.common.set_filter_state.v3.value_pb2 import FilterStateValue
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config as HeaderToMetadata
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from lockgate.loadbalancer.forwarding import DEFAULT_PORTS, desync_mode, keeps_host
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.policies import DEFAULT, POLICIES, policy
from lockgate.xds.flows import LOAD_BALANCERS
from lockgate.xds.loadbalancer.access_log import access_logs, connection_logs
from lockgate.xds.loadbalancer.actions import calls_functions, final_action, script_of
from lockgate.xds.loadbalancer.answers import own_answers_filter
from lockgate.xds.loadbalancer.authorization import authenticates, authorization_filter
from lockgate.xds.loadbalancer.clients import TrustStore, ask_for_certificate
from lockgate.xds.loadbalancer.counting import counters
from lockgate.xds.loadbalancer.errors import local_replies
from lockgate.xds.loadbalancer.generations import newest
from lockgate.xds.loadbalancer.names import LUA, PEER, REWRITES, SIZE_HEADER, listener_name
from lockgate.xds.loadbalancer.plaintext import plain_http
from lockgate.xds.loadbalancer.script import FRESH, PLAIN, REFUSALS, source, speaks_http2
from lockgate.xds.loadbalancer.tls import parameters, preserved_case
from lockgate.xds.loadbalancer.waf import waf_filters
from lockgate.xds.protobuf import Message, boolean, duration, header, pack, uint32
from lockgate.xds.telemetry import request_log

REQUEST_HEADERS_KB: Final = 64
STREAMS: Final = 128  # concurrent streams of one HTTP/2 connection
REQUESTS: Final = 10_000  # requests of one HTTP/2 connection, then GOAWAY ("Status code 000")


@dataclass(frozen=True, slots=True)
class Socket:
    """The address on which a listener really listens."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Material:
    """A certificate as PEM: the chain, leaf first, and its key."""

    chain: str
    key: str = field(repr=False)


def listener(
    balancer: LoadBalancer,
    listener: Listener,
    at: Socket,
    served: frozenset[str],
    store: TrustStore | None,
    records: str,
    spans: str = "",
) -> Message:
    """`served` are the certificates whose material Envoy has; `records` is the file for log records, or "", and `spans`
    that for records of which spans are made."""
    chain = FilterChain(filters=[_peer(), _connection(balancer, listener, records, spans)])
    others = None
    if listener.protocol == "HTTPS":
        chain.transport_socket.name = "envoy.transport_sockets.tls"
        chain.transport_socket.typed_config.CopyFrom(pack(_tls(balancer, listener, served, store)))
        others = plain_http(listener)
    made = EnvoyListener(
        name=listener_name(balancer, listener.port),
        stat_prefix=listener_name(balancer, listener.port).replace(":", "_"),
        address={"socket_address": {"address": at.address, "port_value": at.port}},
        listener_filters=_inspection(balancer, listener),
        filter_chains=[chain],
        default_filter_chain=others,
        access_log=connection_logs(balancer, listener, records),
    )
    newest(made)
    return made


def _inspection(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    """Inspects the TLS handshake, so that Envoy can distinguish TLS from plain HTTP and log the server name. Only a web
    ACL needs the handshake's fingerprints."""
    if listener.protocol != "HTTPS":
        return []
    inspector = TlsInspector()
    if _fingerprints(balancer):
        inspector.enable_ja3_fingerprinting.value = inspector.enable_ja4_fingerprinting.value = True
    return [ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pack(inspector))]


def _fingerprints(balancer: LoadBalancer) -> frozenset[str]:
    if balancer.web_acl is None:
        return frozenset()
    from lockgate.loadbalancer.waf.model import fingerprints

    return fingerprints(balancer.web_acl)


def secret(arn: str, material: Material) -> Message:
    return Secret(
        name=arn,
        tls_certificate=TlsCertificate(
            certificate_chain={"inline_string": material.chain}, private_key={"inline_string": material.key}
        ),
    )


def _tls(balancer: LoadBalancer, listener: Listener, served: frozenset[str], store: TrustStore | None) -> Message:
    """The default certificate comes first: clients get it if they send no server name, or one without a certificate."""
    context = DownstreamTlsContext()
    common = context.common_tls_context
    common.tls_params.CopyFrom(parameters(policy(listener.ssl_policy) or POLICIES[DEFAULT]))
    common.alpn_protocols.extend(["h2", "http/1.1"] if speaks_http2(balancer, listener) else ["http/1.1"])
    for arn in listener.certificates:
        if arn in served:
            common.tls_certificate_sds_secret_configs.append(
                SdsSecretConfig(name=arn, sds_config={"ads": {}, "resource_api_version": "V3"})
            )
    ask_for_certificate(context, listener, store)
    return context


def _peer() -> Message:
    """Stores the peer's address once per connection, for rules that use it."""
    value = FilterStateValue(
        object_key=PEER,
        factory_key="envoy.network.ip",
        format_string={"text_format_source": {"inline_string": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}},
    )
    config = SetFilterState(on_new_connection=[value])
    return Filter(name="envoy.filters.network.set_filter_state", typed_config=pack(config))


def _connection(balancer: LoadBalancer, listener: Listener, records: str, spans: str) -> Message:
    manager = HttpConnectionManager(
        stat_prefix=listener_name(balancer, listener.port),
        # Plain listeners do not speak HTTP/2, not even with prior knowledge.
        codec_type=HttpConnectionManager.AUTO if speaks_http2(balancer, listener) else HttpConnectionManager.HTTP1,
        rds={
            "config_source": {"ads": {}, "resource_api_version": "V3"},
            "route_config_name": listener_name(balancer, listener.port),
        },
        http_filters=_http_filters(balancer, listener, traced=bool(spans)),
        upgrade_configs=[{"upgrade_type": "websocket"}],
        local_reply_config=local_replies(balancer, listener),
        access_log=[
            *access_logs(balancer, listener, records, spans),
            *counters(balancer, listener),
            request_log(listener_name(balancer, listener.port), only_if=LOAD_BALANCERS),
        ],
    )
    # Set before a route is chosen, so that only requests with large headers have each header line checked.
    size = header(SIZE_HEADER, "%REQUEST_HEADERS_BYTES%%REQ(TRANSFER-ENCODING)%")
    early = HeaderMutation(mutations=[{"append": size}])
    manager.early_header_mutation_extensions.add(name=SIZE_HEADER, typed_config=pack(early))
    _identity(manager, balancer, listener)
    _limits(manager, balancer, listener)
    return Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))


def _http_filters(balancer: LoadBalancer, listener: Listener, *, traced: bool) -> list[Message]:
    filters = waf_filters(balancer, listener)
    if authenticates(listener):
        filters.append(authorization_filter())
    rules = (*listener.rules, None)
    if any((rule and rule.transforms) or calls_functions(balancer, final_action(listener, rule)) for rule in rules):
        filters.append(HttpFilter(name=REWRITES, typed_config=pack(HeaderToMetadata())))
    filters.append(HttpFilter(name=LUA, typed_config=pack(_scripts(balancer, listener, traced=traced))))
    filters.append(own_answers_filter(balancer, listener))
    router = Router(suppress_envoy_headers=True)
    filters.append(HttpFilter(name="envoy.filters.http.router", typed_config=pack(router)))
    return filters


def _scripts(balancer: LoadBalancer, listener: Listener, *, traced: bool) -> Message:
    """The plain script, and the scripts that rules name."""
    named = [script_of(balancer, listener, rule) for rule in (*listener.rules, None)]
    names = sorted({FRESH, REFUSALS, *(script.name for script in named if script is not None)})
    return Lua(
        default_source_code={"inline_string": source(PLAIN, balancer, listener, traced=traced)},
        source_codes={name: {"inline_string": source(name, balancer, listener, traced=traced)} for name in names},
        clear_route_cache=boolean(False),  # the rule is chosen once, before anything is changed
    )


def _identity(manager: Message, balancer: LoadBalancer, listener: Listener) -> None:
    """Disables what Envoy adds to or changes in a request and a load balancer does not."""
    manager.server_header_transformation = HttpConnectionManager.PASS_THROUGH
    manager.use_remote_address.CopyFrom(boolean(True))  # the client is untrusted: its x-envoy-* headers have no effect
    manager.skip_xff_append = True  # the script appends it; for loopback peers Envoy appends a wrong address
    manager.generate_request_id.CopyFrom(boolean(False))
    manager.preserve_external_request_id = True
    manager.normalize_path.CopyFrom(boolean(False))
    manager.merge_slashes = False
    manager.path_with_escaped_slashes_action = HttpConnectionManager.KEEP_UNCHANGED
    if listener.port in DEFAULT_PORTS and not keeps_host(balancer):
        manager.strip_any_host_port = True


def _limits(manager: Message, balancer: LoadBalancer, listener: Listener) -> None:
    idle = int(balancer.attributes.get("idle_timeout.timeout_seconds", "60"))
    keep_alive = int(balancer.attributes.get("client_keep_alive.seconds", "3600"))
    manager.stream_idle_timeout.FromSeconds(idle)
    manager.drain_timeout.FromMilliseconds(100)  # Envoy's delay before it closes an idle connection, 5 s by default
    manager.max_request_headers_kb.CopyFrom(uint32(REQUEST_HEADERS_KB))
    manager.common_http_protocol_options.CopyFrom(
        HttpProtocolOptions(
            idle_timeout=duration(idle),
            max_connection_duration=duration(keep_alive),
            max_headers_count=uint32(1000),  # AWS documents no maximum count; the limit is in bytes
            headers_with_underscores_action=HttpProtocolOptions.ALLOW,
            max_requests_per_connection=uint32(REQUESTS) if speaks_http2(balancer, listener) else None,
        )
    )
    manager.http1_safe_max_connection_duration = True
    manager.http_protocol_options.accept_http_10 = True
    manager.http_protocol_options.default_host_for_http_10 = balancer.dns_name
    manager.http_protocol_options.allow_custom_methods = True
    # Transfer-Encoding beside Content-Length is ambiguous; only the strictest mode refuses it.
    manager.http_protocol_options.allow_chunked_length = desync_mode(balancer) != "strictest"
    manager.http_protocol_options.header_key_format.CopyFrom(preserved_case())
    manager.http2_protocol_options.max_concurrent_streams.CopyFrom(uint32(STREAMS))
