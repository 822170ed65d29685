"""Settings of a gateway: those of the mesh, and those of a ProxyConfig.

Source: istio/istio `pkg/config/mesh/mesh.go` for defaults, `pilot/pkg/networking/core/listener_builder.go` for effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from pydantic import ValidationError

from lockgate.gateway.durations import seconds
from lockgate.resources import istio
from lockgate.resources.meta import LabelSelector
from lockgate.resources.model import JsonObject, Model

_Kind = TypeVar("_Kind", bound=Model)

ForwardClientCert: TypeAlias = Literal[
    "SANITIZE_SET", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY"
]
_FORWARD_CLIENT_CERT: Mapping[str, ForwardClientCert] = {
    name: name for name in ("SANITIZE_SET", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY")
}


Underscores: TypeAlias = Literal["ALLOW", "REJECT_REQUEST", "DROP_HEADER"]
EscapedSlashes: TypeAlias = Literal["KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on clients' connections and requests: times in seconds, sizes in bytes. None means Envoy's default."""

    idle_timeout: float | None = None
    stream_idle_timeout: float = 0.0
    connection_duration: float | None = None
    stream_duration: float | None = None
    request_timeout: float | None = None
    headers_timeout: float | None = None
    drain_timeout: float | None = None
    concurrent_streams: int | None = None
    stream_window: int | None = None
    connection_window: int | None = None
    connection_buffer: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HttpSettings:
    """How the listeners of a gateway, above all their HTTP chains, handle connections and requests."""

    server_name: str | None = "istio-envoy"  # None keeps the backend's Server header
    trusted_proxies: int = 0
    forward_client_cert: ForwardClientCert = "SANITIZE_SET"
    proxy_protocol: bool = False
    normalize_path: bool = True
    merge_slashes: bool = False
    escaped_slashes: EscapedSlashes = "KEEP_UNCHANGED"
    underscores: Underscores = "ALLOW"  # headers whose names have underscores
    request_id: bool = True
    envoy_headers: bool = True
    attempt_count: bool = True
    preserve_header_case: bool = False
    x_forwarded_port: bool = False
    x_forwarded_host: bool = False  # the earlier host, where a route rewrites it
    http10: bool = False
    limits: Limits = Limits()
    tcp_idle_timeout: float | None = None  # of servers without HTTP


ISTIO_DEFAULTS = HttpSettings()


@dataclass(frozen=True, slots=True)
class TlsDefaults:
    """meshConfig.tlsDefaults: for servers that name no own values, and for TLS to services."""

    min_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The mesh settings that affect gateways. `config` is the meshConfig that they come from,
    and `proxy` its defaultConfig."""

    root_namespace: str = "istio-system"
    domain: str = "cluster.local"
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    connect_timeout: float = 10.0
    default_retries: istio.HTTPRetry | None = None
    h2_upgrade: bool = False
    keepalive: istio.TCPKeepalive | None = None
    tls: TlsDefaults = TlsDefaults()
    locality: istio.LocalityLoadBalancerSetting | None = None
    dns_refresh: float = 60.0
    cluster_buffer: int | None = None
    export_virtual_services: tuple[str, ...] = ("*",)
    export_destination_rules: tuple[str, ...] = ("*",)
    export_services: tuple[str, ...] = ("*",)
    discovery: tuple[LabelSelector, ...] = ()  # of namespaces
    http: HttpSettings = ISTIO_DEFAULTS
    config: JsonObject = field(default_factory=dict)
    proxy: JsonObject = field(default_factory=dict)


def mesh(config: JsonObject, *, domain: str = "cluster.local", namespace: str = "istio-system") -> Mesh:
    """The mesh from `meshConfig`, with Istio's defaults for omitted fields."""
    return Mesh(
        root_namespace=_text(config, "rootNamespace") or namespace,
        domain=domain,
        trust_domain=_text(config, "trustDomain") or "cluster.local",
        trust_domain_aliases=_list(config, "trustDomainAliases"),
        connect_timeout=seconds(config.get("connectTimeout")) or 10.0,
        default_retries=_typed(istio.HTTPRetry, _object(config, "defaultHttpRetryPolicy")),
        h2_upgrade=config.get("h2UpgradePolicy") == "UPGRADE",
        keepalive=_typed(istio.TCPKeepalive, _object(config, "tcpKeepalive")),
        tls=TlsDefaults(
            _text(_object(config, "tlsDefaults"), "minProtocolVersion"),
            _list(_object(config, "tlsDefaults"), "cipherSuites"),
            _list(_object(config, "tlsDefaults"), "ecdhCurves"),
        ),
        locality=_typed(istio.LocalityLoadBalancerSetting, _object(config, "localityLbSetting")),
        dns_refresh=seconds(config.get("dnsRefreshRate")) or 60.0,
        cluster_buffer=_size(_connection_settings(config), "clusterPerConnectionBufferLimitBytes"),
        export_virtual_services=_names(config, "defaultVirtualServiceExportTo"),
        export_destination_rules=_names(config, "defaultDestinationRuleExportTo"),
        export_services=_names(config, "defaultServiceExportTo"),
        discovery=_selectors(config),
        http=http_settings(config, _object(config, "defaultConfig")),
        config=config,
        proxy=_object(config, "defaultConfig"),
    )


def http_settings(config: JsonObject, proxy: JsonObject) -> HttpSettings:
    """The HTTP settings of a workload with this ProxyConfig, in a mesh with this meshConfig."""
    topology = _object(proxy, "gatewayTopology")
    headers = _object(proxy, "proxyHeaders")
    metadata = _object(proxy, "proxyMetadata")
    connection = _object(proxy, "connectionSettings")
    server = _object(headers, "server")
    normalization = _text(_object(config, "pathNormalization"), "normalization")
    forward = _FORWARD_CLIENT_CERT.get(_text(topology, "forwardClientCertDetails"), "SANITIZE_SET")
    settings = {**_EDGE, **connection} if _text(connection, "profile") == "EDGE" else connection
    decodes = normalization == "DECODE_AND_MERGE_SLASHES"
    idle = metadata.get("ISTIO_META_IDLE_TIMEOUT") or None
    hops = topology.get("numTrustedProxies", 0)
    return HttpSettings(
        server_name=None if server.get("disabled") is True else _text(server, "value") or "istio-envoy",
        trusted_proxies=hops if isinstance(hops, int) and hops > 0 else 0,
        forward_client_cert=forward,
        proxy_protocol="proxyProtocol" in topology,
        normalize_path=normalization != "NONE",
        merge_slashes=_flag(settings, "httpMergeSlashes", decodes or normalization == "MERGE_SLASHES"),
        escaped_slashes=_ESCAPED_SLASHES.get(
            _text(settings, "httpPathWithEscapedSlashesAction"),
            "UNESCAPE_AND_FORWARD" if decodes else "KEEP_UNCHANGED",
        ),
        underscores=_UNDERSCORES.get(_text(settings, "httpHeadersWithUnderscoresAction"), "ALLOW"),
        request_id=_object(headers, "requestId").get("disabled") is not True,
        envoy_headers=_object(headers, "envoyDebugHeaders").get("disabled") is not True,
        attempt_count=_object(headers, "attemptCount").get("disabled") is not True,
        preserve_header_case=headers.get("preserveHttp1HeaderCase") is True,
        x_forwarded_port=_object(headers, "xForwardedPort").get("enabled") is True,
        x_forwarded_host=_object(headers, "xForwardedHost").get("enabled") is True,
        http10=_text(metadata, "ISTIO_META_HTTP10") == "1",
        limits=Limits(
            idle_timeout=seconds(settings.get("httpIdleTimeout") or idle),
            stream_idle_timeout=seconds(settings.get("httpStreamIdleTimeout")) or 0.0,
            connection_duration=seconds(settings.get("httpMaxConnectionDuration")),
            stream_duration=seconds(settings.get("httpMaxStreamDuration")),
            request_timeout=seconds(settings.get("httpRequestTimeout")),
            headers_timeout=seconds(settings.get("httpRequestHeadersTimeout")),
            drain_timeout=seconds(settings.get("httpDrainTimeout")),
            concurrent_streams=_size(settings, "httpMaxConcurrentStreams"),
            stream_window=_size(settings, "http2InitialStreamWindowSize"),
            connection_window=_size(settings, "http2InitialConnectionWindowSize"),
            connection_buffer=_size(settings, "listenerPerConnectionBufferLimitBytes"),
        ),
        tcp_idle_timeout=seconds(idle),
    )


# The values of the EDGE profile for gateways (istio/istio `pilot/pkg/networking/core/connection_settings.go`).
_EDGE: JsonObject = {
    "listenerPerConnectionBufferLimitBytes": 32768,
    "httpIdleTimeout": "3600s",
    "httpStreamIdleTimeout": "300s",
    "httpRequestTimeout": "300s",
    "httpRequestHeadersTimeout": "60s",
    "httpMaxConcurrentStreams": 100,
    "http2InitialStreamWindowSize": 65536,
    "http2InitialConnectionWindowSize": 1048576,
    "httpHeadersWithUnderscoresAction": "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
    "httpMergeSlashes": True,
    "httpPathWithEscapedSlashesAction": "UNESCAPE_AND_REDIRECT",
}
_ESCAPED_SLASHES: Mapping[str, EscapedSlashes] = {
    "KEEP_UNCHANGED": "KEEP_UNCHANGED",
    "REJECT_REQUEST": "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT": "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD": "UNESCAPE_AND_FORWARD",
}
_UNDERSCORES: Mapping[str, Underscores] = {
    "HEADERS_WITH_UNDERSCORES_ALLOW": "ALLOW",
    "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST": "REJECT_REQUEST",
    "HEADERS_WITH_UNDERSCORES_DROP_HEADER": "DROP_HEADER",
}


def _connection_settings(config: JsonObject) -> JsonObject:
    return _object(_object(config, "defaultConfig"), "connectionSettings")


def _typed(kind: type[_Kind], value: JsonObject) -> _Kind | None:
    try:
        return kind.model_validate(value) if value else None
    except ValidationError:
        return None  # a webhook would have refused it


def _flag(config: JsonObject, name: str, default: bool) -> bool:
    value = config.get(name)
    return value if isinstance(value, bool) else default


def _size(config: JsonObject, name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _list(config: JsonObject, name: str) -> tuple[str, ...]:
    value = config.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _object(config: JsonObject, name: str) -> JsonObject:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _text(config: JsonObject, name: str) -> str:
    value = config.get(name)
    return value if isinstance(value, str) else ""


def _names(config: JsonObject, name: str) -> tuple[str, ...]:
    value = config.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) and value else ("*",)


def _selectors(config: JsonObject) -> tuple[LabelSelector, ...]:
    given = config.get("discoverySelectors")
    objects = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    found = [_typed(LabelSelector, each) if each else LabelSelector() for each in objects]
    return tuple(each for each in found if each is not None)
