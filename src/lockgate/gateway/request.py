"""A request as it reaches the gateway, and as Envoy's connection manager passes it on.

Source: Envoy's `source/common/http/conn_manager_utility.cc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the gateway receives it.

    `port` is the listener's as Istio sees it (8443); `target` is path and query; header names may be in any case. `sni`
    None is a TLS connection without SNI; `peer` is the peer's address.
    """

    port: int
    authority: str
    target: str = "/"
    tls: bool = False
    sni: str | None = None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    peer: str = "127.0.0.1"

    def header(self, name: str) -> str | None:
        """The header's value. Repeated headers are joined with commas, as Envoy compares them."""
        values = [value for own, value in self.headers if own.lower() == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Received:
    """A request as Envoy's connection manager passes it to the router. `forwarded` is X-Forwarded-Proto."""

    request: Request
    target: str
    scheme: str
    forwarded: str


def received(trusted: int, request: Request, target: str) -> Received:
    """X-Forwarded-Proto is the connection's scheme, unless there are `trusted` proxies before the gateway: then the
    header is kept, and if valid, it is the scheme."""
    connection = "https" if request.tls else "http"
    named = request.header("x-forwarded-proto") if trusted else None
    scheme = named if named in ("http", "https") else connection
    return Received(request, target, scheme, connection if named is None else named)


def client_address(trusted: int, request: Request) -> str:
    """The address of the client. With `trusted` proxies it is the address that the outermost of them added to
    X-Forwarded-For. Source: Envoy's `source/common/http/utility.cc`, getLastAddressFromXFF."""
    entries = (request.header("x-forwarded-for") or "").split(",")
    if not trusted or len(entries) < trusted:
        return request.peer
    try:
        return str(ip_address(entries[-trusted].strip(" \t")))
    except ValueError:
        return request.peer
