"""Mesh-wide settings of a gateway: meshConfig, and the `proxy.istio.io/config` annotation that overrides it.

Source: istio/istio `pkg/config/mesh/mesh.go` for defaults, `pilot/pkg/networking/core/listener_builder.go` for effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import ValidationError

from lockgate.gateway.durations import seconds
from lockgate.resources import istio, source
from lockgate.resources.chunks import Chunk
from lockgate.resources.model import JsonObject

ForwardClientCert: TypeAlias = Literal[
    "SANITIZE_SET", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY"
]
_FORWARD_CLIENT_CERT: Mapping[str, ForwardClientCert] = {
    name: name for name in ("SANITIZE_SET", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY")
}


@dataclass(frozen=True, slots=True, eq=False)
class HttpSettings:
    """How every HTTP chain of a gateway handles connections. None means Envoy's default."""

    server_name: str | None = "istio-envoy"  # None keeps the backend's Server header
    trusted_proxies: int = 0
    forward_client_cert: ForwardClientCert = "SANITIZE_SET"
    proxy_protocol: bool = False
    normalize_path: bool = True
    merge_slashes: bool = False
    unescape_slashes: bool = False
    request_id: bool = True
    envoy_headers: bool = True
    attempt_count: bool = True
    preserve_header_case: bool = False
    x_forwarded_port: bool = False
    http10: bool = False
    idle_timeout: float | None = None
    stream_idle_timeout: float = 0.0


ISTIO_DEFAULTS = HttpSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The mesh settings that affect gateways. `config` is the meshConfig that they come from."""

    root_namespace: str = "istio-system"
    domain: str = "cluster.local"
    trust_domain: str = "cluster.local"
    connect_timeout: float = 10.0
    default_retries: istio.HTTPRetry | None = None
    h2_upgrade: bool = False
    min_tls_version: str = ""
    export_virtual_services: tuple[str, ...] = ("*",)
    export_destination_rules: tuple[str, ...] = ("*",)
    export_services: tuple[str, ...] = ("*",)
    http: HttpSettings = ISTIO_DEFAULTS
    config: JsonObject = field(default_factory=dict)


def mesh(config: JsonObject, *, domain: str = "cluster.local", namespace: str = "istio-system") -> Mesh:
    """The mesh from `meshConfig`, with Istio's defaults for omitted fields."""
    return Mesh(
        root_namespace=_text(config, "rootNamespace") or namespace,
        domain=domain,
        trust_domain=_text(config, "trustDomain") or "cluster.local",
        connect_timeout=seconds(config.get("connectTimeout")) or 10.0,
        default_retries=_retries(_object(config, "defaultHttpRetryPolicy")),
        h2_upgrade=config.get("h2UpgradePolicy") == "UPGRADE",
        min_tls_version=_text(_object(config, "tlsDefaults"), "minProtocolVersion"),
        export_virtual_services=_names(config, "defaultVirtualServiceExportTo"),
        export_destination_rules=_names(config, "defaultDestinationRuleExportTo"),
        export_services=_names(config, "defaultServiceExportTo"),
        http=_http(config, _object(config, "defaultConfig")),
        config=config,
    )


def proxy_settings(config: JsonObject, annotation: str) -> HttpSettings:
    """The HTTP settings of one workload: the Pod's `proxy.istio.io/config` over `meshConfig`'s defaults.

    Raises `ValueError` if the annotation is not a YAML mapping.
    """
    try:
        own = source.load(Chunk("proxy.istio.io/config", 0, annotation), []) or {}
    except source.Unreadable as error:
        raise ValueError(error.fault.message) from error
    if not isinstance(own, dict):
        raise ValueError("not a mapping")
    return _http(config, _merge(_object(config, "defaultConfig"), own))


def _http(config: JsonObject, proxy: JsonObject) -> HttpSettings:
    topology = _object(proxy, "gatewayTopology")
    headers = _object(proxy, "proxyHeaders")
    metadata = _object(proxy, "proxyMetadata")
    connection = _object(proxy, "connectionSettings")
    server = _object(headers, "server")
    normalization = _text(_object(config, "pathNormalization"), "normalization")
    forward = _FORWARD_CLIENT_CERT.get(_text(topology, "forwardClientCertDetails"), "SANITIZE_SET")
    edge = _text(connection, "profile") == "EDGE"
    hops = topology.get("numTrustedProxies", 0)
    return HttpSettings(
        server_name=None if server.get("disabled") is True else _text(server, "value") or "istio-envoy",
        trusted_proxies=hops if isinstance(hops, int) and hops > 0 else 0,
        forward_client_cert=forward,
        proxy_protocol="proxyProtocol" in topology,
        normalize_path=normalization != "NONE",
        merge_slashes=edge or normalization in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"),
        unescape_slashes=normalization == "DECODE_AND_MERGE_SLASHES",
        request_id=_object(headers, "requestId").get("disabled") is not True,
        envoy_headers=_object(headers, "envoyDebugHeaders").get("disabled") is not True,
        attempt_count=_object(headers, "attemptCount").get("disabled") is not True,
        preserve_header_case=headers.get("preserveHttp1HeaderCase") is True,
        x_forwarded_port=_object(headers, "xForwardedPort").get("enabled") is True,
        http10=_text(metadata, "ISTIO_META_HTTP10") == "1",
        idle_timeout=seconds(connection.get("httpIdleTimeout") or metadata.get("ISTIO_META_IDLE_TIMEOUT") or None)
        or (3600.0 if edge else None),
        stream_idle_timeout=seconds(connection.get("httpStreamIdleTimeout")) or (300.0 if edge else 0.0),
    )


def _retries(policy: JsonObject) -> istio.HTTPRetry | None:
    try:
        return istio.HTTPRetry.model_validate(policy) if policy else None
    except ValidationError:
        return None  # a webhook would have refused it


def _object(config: JsonObject, name: str) -> JsonObject:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _text(config: JsonObject, name: str) -> str:
    value = config.get(name)
    return value if isinstance(value, str) else ""


def _names(config: JsonObject, name: str) -> tuple[str, ...]:
    value = config.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) and value else ("*",)


def _merge(base: JsonObject, over: JsonObject) -> JsonObject:
    merged = dict(base)
    for name, value in over.items():
        earlier = merged.get(name)
        merged[name] = _merge(earlier, value) if isinstance(earlier, dict) and isinstance(value, dict) else value
    return merged
