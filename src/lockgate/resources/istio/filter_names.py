"""Names that Envoy's filters had: patches may match them, and istiod takes them for those of today.

Source: istio/istio `pkg/config/xds/deprecated.go`.
"""

from __future__ import annotations

from typing import Final

_HTTP: Final = (
    "buffer",
    "cors",
    "csrf",
    "ext_authz",
    "fault",
    "grpc_http1_bridge",
    "grpc_json_transcoder",
    "grpc_web",
    "gzip",
    "health_check",
    "ip_tagging",
    "lua",
    "router",
    "squash",
)
_NETWORK: Final = (
    "client_ssl_auth",
    "ext_authz",
    "http_connection_manager",
    "mongo_proxy",
    "ratelimit",
    "redis_proxy",
    "tcp_proxy",
)
_LISTENER: Final = ("http_inspector", "original_dst", "original_src", "proxy_protocol", "tls_inspector")

_BEFORE: Final[dict[str, str]] = {
    **{f"envoy.filters.network.{name}": f"envoy.{name}" for name in _NETWORK},
    **{f"envoy.filters.http.{name}": f"envoy.{name}" for name in _HTTP},
    **{f"envoy.filters.listener.{name}": f"envoy.listener.{name}" for name in _LISTENER},
    "envoy.filters.http.dynamo": "envoy.http_dynamo_filter",
    "envoy.filters.http.ratelimit": "envoy.rate_limit",
}
_TODAY: Final = {before: name for name, before in _BEFORE.items()}


def is_called(name: str, wanted: str) -> bool:
    """Whether a filter with the name is the wanted one."""
    return wanted in (name, _BEFORE.get(name))


def name_today(name: str) -> str:
    return _TODAY.get(name, name)
