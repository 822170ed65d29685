"""Maps Envoy's own responses to the load balancer's: status, headers and page.

The statuses by cause are those of "Troubleshoot your Application Load Balancers".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.pages import SERVER, content_type, page
from lockgate.xds.loadbalancer.answers import everywhere, mark, mark_as_it_is
from lockgate.xds.loadbalancer.log_filters import expression, flagged, status_is
from lockgate.xds.loadbalancer.names import TLS
from lockgate.xds.loadbalancer.waf import IS_CUSTOM
from lockgate.xds.protobuf import Message, header, literal, uint32

# Envoy's status for a cause, and the load balancer's. Causes for which a load balancer has several statuses are
# distinguished earlier, by response flag.
BY_STATUS: Final = {
    400: 400,
    401: 401,
    403: 403,
    404: 400,  # CONNECT, and OPTIONS *
    408: 408,
    413: 413,
    426: 400,
    431: 400,
    460: 500,  # internal status: authentication failed
    461: 561,  # internal status: the identity provider returned an error
    500: 500,
    501: 501,
    502: 502,
    503: 502,
    504: 504,
}
REDIRECTS: Final = (301, 302)

# Responses that rules define: they have the rule's own body.
_BY_RULE: Final = 'response.code_details == "direct_response" || response.code_details == "lua_response"'
# On one machine, TCP connections are accepted or refused at once. With TLS, a timeout is therefore the handshake's.
_NO_HANDSHAKE: Final = (
    f'response.code_details.contains("connection_timeout") && "{TLS}" in xds.cluster_metadata.filter_metadata'
)
_TIMED_OUT: Final = (
    'response.code_details.contains("connection_timeout") || response.code_details == "upstream_response_timeout"'
)
# Envoy parses the HTTP/2 preface on an HTTP/1.1 connection as a request for "*", which only OPTIONS may have.
_UNEXPECTED_VERSION: Final = 'response.code_details == "http1.invalid_url"'


def local_replies(balancer: LoadBalancer, listener: Listener) -> Message:
    """The first match wins. A rule's or WAF's own response is left unchanged, except that a redirect gets its page."""
    headers = [*server_header(listener), *added_headers(listener)]
    marked = everywhere(balancer, listener)

    def mapper(cause: Message, status: int) -> Message:
        marks = [mark(status, content_type(status))] if marked or status in REDIRECTS else []
        return _mapper(cause, status, [*headers, *marks])

    mappers = []
    if balancer.web_acl is not None:
        marks = [mark_as_it_is()] if marked else []
        mappers.append(ResponseMapper(filter=expression(IS_CUSTOM), headers_to_add=[*headers, *marks]))
    mappers += [mapper(status_is(status), status) for status in REDIRECTS]
    mappers.append(ResponseMapper(filter=expression(_BY_RULE)))
    mappers.append(mapper(expression(_NO_HANDSHAKE), 502))
    mappers.append(mapper(expression(_TIMED_OUT), 504))
    mappers.append(mapper(flagged("UH", "NC"), 503))
    mappers.append(mapper(expression(_UNEXPECTED_VERSION), 505))
    mappers += [mapper(status_is(ours), theirs) for ours, theirs in BY_STATUS.items()]
    return LocalReplyConfig(mappers=mappers)


def server_header(listener: Listener) -> list[Message]:
    """The header on the load balancer's own responses, unless the listener disables it."""
    if listener.attributes.get("routing.http.response.server.enabled") == "false":
        return []
    return [header("server", SERVER)]


# Listener attributes that add a response header. The header's name is in the attribute's, with dashes.
ADDED: Final = (
    "strict_transport_security",
    "access_control_allow_origin",
    "access_control_allow_methods",
    "access_control_allow_headers",
    "access_control_allow_credentials",
    "access_control_expose_headers",
    "access_control_max_age",
    "content_security_policy",
    "x_content_type_options",
    "x_frame_options",
)


def added_headers(listener: Listener) -> list[Message]:
    """Headers that the listener sets on every response, replacing the target's ("Header modification")."""
    return [header(name, literal(value)) for name, value in header_values(listener)]


def header_values(listener: Listener) -> Iterable[tuple[str, str]]:
    for name in ADDED:
        if value := listener.attributes.get(f"routing.http.response.{name}.header_value"):
            yield name.replace("_", "-"), value


def _mapper(cause: Message, status: int, headers: list[Message]) -> Message:
    return ResponseMapper(
        filter=cause,
        status_code=uint32(status),
        body_format_override={
            "text_format_source": {"inline_string": literal(page(status))},
            "content_type": content_type(status),
        },
        headers_to_add=headers,
    )
