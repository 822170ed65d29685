"""How a probe reaches an edge: directly, or through a running edge's proxy, which knows its addresses' local ports."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CONNECT_SECONDS = 5.0
READ_SECONDS = 75.0  # an ALB's idle timeout is 60 s by default, and its 504 comes then


class NoConnection(OSError):
    """TCP does not connect. The message is one of ``refused``, ``timed out``, or says what failed."""


class Reach(Protocol):
    """Connects to an address and port. `trust` is a file of certificate authorities, and None for the system's."""

    @property
    def trust(self) -> str | None: ...

    async def connect(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        """Raises `NoConnection`."""
        ...


@dataclass(frozen=True, slots=True)
class Direct:
    trust: str | None = None

    async def connect(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        return await _connect(address, port)


@dataclass(frozen=True, slots=True)
class ThroughProxy:
    """`proxy` is host and port of a running edge's proxy."""

    proxy: tuple[str, int]
    trust: str | None

    async def connect(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        stream = await _connect(*self.proxy)
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        await stream.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode(), CONNECT_SECONDS)
        head = b""
        while b"\r\n\r\n" not in head and (chunk := await stream.read(4096, CONNECT_SECONDS)):
            head += chunk
        status, _, said = head.partition(b"\r\n")
        if b" 200 " in status + b" ":
            return stream
        await stream.aclose()
        raise NoConnection(_refusal(status, said))


def _refusal(status: bytes, rest: bytes) -> str:
    """What the proxy's answer means for the client of a real edge."""
    text = rest.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip().removeprefix("lockgate: ")
    if b" 502 " in status and "no listener" in text:
        return "timed out"  # on AWS nothing answers there
    if b" 403 " in status:
        return "no load balancer of this edge has the address"
    return text or "refused"


async def _connect(address: str, port: int) -> httpcore.AsyncNetworkStream:
    try:
        return await httpcore.AnyIOBackend().connect_tcp(address, port, timeout=CONNECT_SECONDS)
    except httpcore.ConnectTimeout as error:
        raise NoConnection("timed out") from error
    except httpcore.ConnectError as error:
        refused = "refused" in str(error).lower() or "Connect call failed" in str(error)
        raise NoConnection(
            "refused" if refused or "All connection attempts failed" in str(error) else str(error)
        ) from error


class Backend(httpcore.AsyncNetworkBackend):
    """httpcore's connections, all to one address."""

    def __init__(self, reach: Reach, address: str) -> None:
        self._reach = reach
        self._address = address

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._reach.connect(self._address, port)
        except NoConnection as error:
            raise httpcore.ConnectError(str(error)) from error

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("a probe uses TCP")

    async def sleep(self, seconds: float) -> None:
        await httpcore.AnyIOBackend().sleep(seconds)


def context(reach: Reach, *, verify: bool, alpn: tuple[str, ...], newest: str = "") -> ssl.SSLContext:
    """Without `verify` any certificate is taken, so that what comes after it can be seen. `newest` is a version of TLS,
    such as ``1.2``."""
    if verify:
        made = ssl.create_default_context(cafile=reach.trust)
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading all CAs would take 50 ms
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if newest:
        made.maximum_version = VERSIONS[newest]
    made.set_alpn_protocols(list(alpn))
    return made
