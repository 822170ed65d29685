"""The answers that a load balancer makes itself: their bodies, byte for byte, and their headers.

Source: observed 301 and 502 answers of load balancers in the field (internetstandards/Internet.nl#1291,
apache/apisix#11523); the other titles are those of the same server family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SERVER: Final = "awselb/2.0"
CONTENT_TYPE: Final = "text/html"

TITLES: Final[Mapping[int, str]] = MappingProxyType(
    {
        301: "Moved Permanently",
        302: "Found",
        400: "Bad Request",
        401: "Authorization Required",
        403: "Forbidden",
        405: "Not Allowed",
        408: "Request Time-out",
        413: "Request Entity Too Large",
        414: "Request-URI Too Large",
        500: "Internal Server Error",
        501: "Not Implemented",
        502: "Bad Gateway",
        503: "Service Temporarily Unavailable",
        504: "Gateway Time-out",
        505: "HTTP Version Not Supported",
        561: "Authentication Error",
    }
)


# In the status line some are worded otherwise, as load balancers and that family send them.
_REASONS: Final = MappingProxyType({302: "Moved Temporarily", 401: "Unauthorized"})


def page(status: int) -> str:
    """The body of an answer made by the load balancer; lines end in CRLF. Statuses of its own have none: gRPC clients
    say of 464 that it has no content type (connectrpc/connectrpc.com#67, zitadel/zitadel-charts#410).
    """
    if status not in TITLES:
        return ""
    title = f"{status} {TITLES[status]}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )


PLAIN_HTTP: Final = (
    "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n"
    "<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n"
)
"""What a client reads that speaks plain HTTP to an HTTPS port."""


def reason(status: int) -> str:
    """The reason phrase of an answer made by the load balancer; "" where it is HTTP's own, or none is known."""
    return _REASONS.get(status) or TITLES.get(status, "")


def content_type(status: int) -> str:
    """Of the page; "" where there is none."""
    return CONTENT_TYPE if status in TITLES else ""


def fixed_content_type(configured: str | None, body: str) -> str:
    """Of a fixed response: text is told with its charset, as load balancers are seen to send it."""
    kind = configured or ("text/plain" if body else "")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
