"""What a probe sees from outside, as values: names, connections, TLS, and the answer to one request at each address."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

Speaker: TypeAlias = Literal["load balancer", "gateway", "backend", "unknown"]


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """One DNS server's answer for the host. `rcode` is empty if it sent none, and `error` says why.

    `others` are the record types that exist at a name without an address. `negative_ttl` is for how many seconds a
    resolver may keep the answer that there is nothing.
    """

    server: str
    rcode: str
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    authoritative: bool = False
    others: tuple[str, ...] = ()
    negative_ttl: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Who answers for the host. `zone` is empty if no server is delegated to; `resolver` is the client's own."""

    host: str
    zone: str = ""
    servers: tuple[NameAnswer, ...] = ()
    resolver: NameAnswer | None = None
    asked: bool = True  # false for an address, which needs no DNS

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where a client connects: the addresses of its resolver, else those of the zone's servers."""
        answers = (self.resolver,) if self.resolver and self.resolver.addresses else self.servers
        return tuple(dict.fromkeys(address for each in answers if each for address in each.addresses))


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """A server's certificate. `key` is the SHA-256 of its public key, in hex."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    key: str
    chain: int = 1  # certificates that the server sent


@dataclass(frozen=True, slots=True)
class Handshake:
    """A TLS connection. `distrust` is why OpenSSL, as a client that verifies, refuses it; else empty."""

    version: str
    cipher: str
    alpn: str
    certificate: PresentedCertificate | None
    distrust: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection, and TLS over it. `error` is of TCP, `tls_error` of the handshake."""

    address: str
    port: int
    seconds: float = 0.0
    error: str = ""
    tls: Handshake | None = None
    tls_error: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request at one address, and its answer. Header names are lower case; `body` is the first 64 KiB.

    Times are in seconds from the start of the request: `first_byte` is when the answer's head had arrived.
    """

    address: str
    protocol: str
    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    first_byte: float = 0.0
    seconds: float = 0.0
    error: str = ""
    incomplete: str = ""
    """Why the body ended early."""
    grpc_status: int | None = None

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def speaker(self) -> Speaker:
        """Who made the answer. Each hop replaces or keeps `server` in its own way, so it tells them apart."""
        if self.status is None:
            return "unknown"
        server = self.header("server").lower()
        if server.startswith("awselb"):
            return "load balancer"
        if self.header("x-envoy-upstream-service-time") or self.status == 101:
            return "backend"  # no hop of its own accord changes protocols
        if server == "istio-envoy":
            return "gateway"
        return "load balancer" if not server and self.status in _OWN_STATUSES else "backend"


_OWN_STATUSES = frozenset({460, 461, 463, 464, 561, 562})


@dataclass(frozen=True, slots=True)
class Asked:
    """The request. `trace_id` is the Root of its X-Amzn-Trace-Id, to search logs; `agent` its User-Agent."""

    url: str
    scheme: str
    host: str
    port: int
    target: str
    method: str
    headers: tuple[tuple[str, str], ...]
    protocol: str
    kind: Literal["http", "websocket", "grpc"]
    trace_id: str
    agent: str
    newest_tls: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that was seen. `direct` is the TLS hop behind the load balancer, by the gateway's address."""

    asked: Asked
    names: Names
    connections: tuple[Connection, ...]
    exchanges: tuple[Exchange, ...]
    direct: Mapping[str, Connection] = field(default_factory=dict)
    again: Exchange | None = None
    """The same request by HTTP/1.1, where the first was HTTP/2 and failed."""

    @property
    def answer(self) -> Exchange | None:
        """The answer that a client most needs explained: the first that failed, else the first."""
        failed = (each for each in self.exchanges if each.status is None or each.status >= 400)
        return next(failed, next(iter(self.exchanges), None))


_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)


def in_a_vpc(address: str) -> bool:
    """Whether it is an address of a private network: RFC 1918, RFC 6598, RFC 4193."""
    found = ipaddress.ip_address(address)
    return any(found in network for network in _PRIVATE)
