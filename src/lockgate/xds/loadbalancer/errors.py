"""What a client gets when Envoy answers by itself: the status, headers and page that a load balancer would send.

The statuses by cause are those of "Troubleshoot your Application Load Balancers".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)

from lockgate.loadbalancer.model import Listener
from lockgate.loadbalancer.pages import CONTENT_TYPE, SERVER, page
from lockgate.xds.loadbalancer.protobuf import Message, header, literal, uint32

# Envoy's response flags, and the status that a load balancer gives for the same cause. First match wins.
BY_FLAG: Final[Sequence[tuple[tuple[str, ...], int]]] = (
    (("UT", "UMSDR", "DT"), 504),
    (("UF", "UC", "UR", "UPE", "LR", "URX"), 502),
    (("UH", "NC", "UO", "NFCF"), 503),
    (("DPE",), 400),
)


def local_replies(listener: Listener) -> Message:
    mappers = [_mapper(_timeout_of_stream(504), 504, listener), _mapper(_timeout_of_stream(408), 408, listener)]
    mappers += [_mapper(_flags(flags), status, listener) for flags, status in BY_FLAG]
    mappers += [_mapper(_status(status), status, listener) for status in (301, 302)]
    return LocalReplyConfig(mappers=mappers)


def server_header(listener: Listener) -> list[Message]:
    """The header that answers of the load balancer's own making carry, unless the listener turns it off."""
    if listener.attributes.get("routing.http.response.server.enabled") == "false":
        return []
    return [header("server", SERVER)]


def _mapper(cause: Message, status: int, listener: Listener) -> Message:
    return ResponseMapper(
        filter=cause,
        status_code=uint32(status),
        body_format_override={
            "text_format_source": {"inline_string": literal(page(status))},
            "content_type": CONTENT_TYPE,
        },
        headers_to_add=server_header(listener),
    )


def _flags(flags: tuple[str, ...]) -> Message:
    return AccessLogFilter(response_flag_filter={"flags": list(flags)})


def _status(status: int) -> Message:
    return AccessLogFilter(
        status_code_filter={
            "comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "lockgate.none"}}
        }
    )


def _timeout_of_stream(status: int) -> Message:
    """The idle timeout: 504 when the target was to speak, 408 when the client was."""
    return AccessLogFilter(and_filter={"filters": [_flags(("SI",)), _status(status)]})
