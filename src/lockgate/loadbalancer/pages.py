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
        463: "",
        464: "",
        500: "Internal Server Error",
        501: "Not Implemented",
        502: "Bad Gateway",
        503: "Service Temporarily Unavailable",
        504: "Gateway Time-out",
        505: "HTTP Version Not Supported",
        561: "Authentication Error",
    }
)


def page(status: int) -> str:
    """The body of an answer made by the load balancer; lines end in CRLF."""
    title = f"{status} {TITLES.get(status, '')}".rstrip()
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
