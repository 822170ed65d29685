"""Plain HTTP on an HTTPS port: answered in plain HTTP with a page that gives the reason."""

from __future__ import annotations

from typing import Final

from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    LocalReplyConfig,
)

from lockgate.loadbalancer.model import Listener
from lockgate.loadbalancer.pages import CONTENT_TYPE, PLAIN_HTTP
from lockgate.xds.loadbalancer.errors import added_headers, server_header
from lockgate.xds.loadbalancer.log_filters import status_is
from lockgate.xds.protobuf import Message, header, literal, pack, uint32

NAME: Final = "plain_http"


def plain_http(listener: Listener) -> Message:
    """The filter chain for connections without a TLS handshake: one request, one page, then it closes."""
    headers = [*server_header(listener), *added_headers(listener)]
    answer = Route(
        match={"prefix": ""},
        direct_response={"status": 400, "body": {"inline_string": PLAIN_HTTP}},
        response_headers_to_add=[*headers, header("content-type", CONTENT_TYPE)],
    )
    malformed = {
        "filter": status_is(400),
        "body_format_override": {
            "text_format_source": {"inline_string": literal(PLAIN_HTTP)},
            "content_type": CONTENT_TYPE,
        },
        "headers_to_add": headers,
    }
    manager = HttpConnectionManager(
        stat_prefix=NAME,
        codec_type=HttpConnectionManager.HTTP1,
        route_config={"name": NAME, "virtual_hosts": [{"name": "*", "domains": ["*"], "routes": [answer]}]},
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
        local_reply_config=LocalReplyConfig(mappers=[malformed]),
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        common_http_protocol_options={"max_requests_per_connection": uint32(1)},
        stream_idle_timeout={"seconds": 10},
    )
    return FilterChain(
        filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))]
    )
