"""The forward proxy: programs on this machine use it to reach the edge's hosts by name, without changes to its DNS.

The edge's own DNS server resolves the host. A port of a load balancer's address is mapped to the real port of its
listener. Other hosts are refused unless the proxy is open. Clients that send nothing are disconnected after a limited
time, and clients over the connection limit get a 503. Source: RFC 9110 sections 7.2 and 9.3.6.
"""

from __future__ import annotations

import asyncio
import logging
import re
import resource
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger("lockgate.proxy")

_HEAD_LIMIT = 64 * 1024  # bytes of a request line and headers
_CHUNK = 64 * 1024
_MOST_CONNECTIONS = 4096
_MOST_REFUSALS = 256  # concurrent clients that get a 503 because the proxy is full; more are disconnected
_FULL_EVERY = 60.0  # s between two log lines about it


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts in seconds: for a request's head, for connecting to an origin, for an idle connection, and for a client
    after its origin has closed. `idle` is longer than a load balancer's longest idle timeout (4,000 s)."""

    head: float = 10.0
    connect: float = 10.0
    idle: float = 4200.0
    ending: float = 30.0


def most_connections() -> int:
    """The limit of connections. It follows from the process's limit of open files: a connection needs two, and the rest
    of the edge needs some."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft < 0 else max(64, min(_MOST_CONNECTIONS, (soft - 512) // 3))


_HOP_BY_HOP = {b"proxy-connection", b"proxy-authorization", b"keep-alive", b"connection"}
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/?#\s]+)(?::(?P<port>\d{1,5}))?")


class Refused(Exception):
    """The proxy's own answer: an HTTP status and one line with the reason."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request to a proxy, in absolute form or CONNECT."""

    method: str
    host: str
    port: int
    target: str  # as sent to the origin: origin form
    version: str
    headers: tuple[bytes, ...]


class ForwardProxy:
    """`resolve(host)` returns the addresses of a name in the edge's DNS. `ports` maps their ports to the real ones.
    `own` are the hosts that the edge itself serves: it maps their names and ports to ports on 127.0.0.1."""

    def __init__(
        self,
        resolve: Callable[[str], Awaitable[list[str]]],
        ports: Callable[[], Mapping[tuple[str, int], tuple[str, int]]],
        *,
        own: Mapping[tuple[str, int], int] | None = None,
        open_to_all: bool = False,
        patience: Patience = Patience(),
        connections: int | None = None,
    ) -> None:
        self._resolve = resolve
        self._ports = ports
        self._own = own if own is not None else {}
        self._open = open_to_all
        self._server: asyncio.Server | None = None
        self._patience = patience
        self._most = connections
        self._connections: set[asyncio.Task[None]] = set()
        self._refusals: set[asyncio.Task[None]] = set()
        self._said_full = -_FULL_EVERY

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        from lockgate.embedded.http import listen

        if self._most is None:
            self._most = most_connections()
        sock = listen(host, port)
        self._server = await asyncio.start_server(self._accept, sock=sock, limit=_HEAD_LIMIT)
        self.host, self.port = sock.getsockname()[:2]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [*self._connections, *self._refusals]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None and self._most is not None
        full = len(self._connections) >= self._most
        held = self._refusals if full else self._connections
        held.add(task)
        try:
            if full:
                await self._turn_away(reader)
            else:
                await self._serve(reader, writer)
        except Refused as refusal:
            with suppress(TimeoutError):
                await asyncio.wait_for(_refuse(writer, refusal), self._patience.head)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client or an origin has gone away, which is normal
        except Exception:
            log.exception("a connection of the proxy")
        finally:
            held.discard(task)
            writer.close()

    async def _turn_away(self, reader: asyncio.StreamReader) -> None:
        """Raises `Refused`. Reads the request first, because closing with unread data resets the connection."""
        now = asyncio.get_running_loop().time()
        if now - self._said_full >= _FULL_EVERY:
            self._said_full = now
            log.warning("the proxy has %d connections, the most that it takes; it answers further ones 503", self._most)
        if len(self._refusals) > _MOST_REFUSALS:
            return
        with suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1.0)
        raise Refused(
            503,
            "Service Unavailable",
            f"the proxy has {self._most} connections, the most that it takes; try again when some have ended",
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(_read_head(reader), self._patience.head)
        except TimeoutError as error:
            raise Refused(
                408, "Request Timeout", f"no complete request within {self._patience.head:g} s of connecting"
            ) from error
        if request is None:
            return
        origin_reader, origin_writer = await self._connect(request)
        try:
            if request.method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                origin_writer.write(_forwarded(request))
            await _join(reader, writer, origin_reader, origin_writer, self._patience)
        finally:
            origin_writer.close()

    async def _connect(self, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connects to the host's real address. Raises `Refused`."""
        local = self._own.get((request.host, request.port))
        ports = self._ports()
        if local is not None:
            addresses = []
        elif any(address == request.host for address, _ in ports):  # the address in a Service's status
            addresses = [request.host]
        else:
            addresses = await self._resolve(request.host)
        if local is not None:
            reachable = [("127.0.0.1", local)]
        elif addresses:
            reachable = [at for address in addresses if (at := ports.get((address, request.port)))]
            if not reachable:
                # The load balancer has no listener on the port. As on AWS, nothing answers there.
                served = sorted({port for address, port in ports if address in addresses})
                raise Refused(
                    502,
                    "Bad Gateway",
                    f"{request.host} has no listener on port {request.port}; it listens on "
                    f"{', '.join(map(str, served)) or 'no port'}",
                )
        elif self._open:
            reachable = [(request.host, request.port)]
        else:
            raise Refused(
                403,
                "Forbidden",
                f"{request.host} is not a host of this edge; `lockgate up --open-proxy` lets other hosts through",
            )
        for address, port in reachable:
            with suppress(OSError, TimeoutError):
                return await asyncio.wait_for(asyncio.open_connection(address, port), self._patience.connect)
        raise Refused(502, "Bad Gateway", f"nothing answers at {request.host}:{request.port}")


async def _read_head(reader: asyncio.StreamReader) -> Request | None:
    """The request's head; None if the client sent nothing. Raises `Refused` for anything but a proxy request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise Refused(400, "Bad Request", "the request's head is incomplete") from error
    except asyncio.LimitOverrunError as error:
        raise Refused(431, "Request Header Fields Too Large", "the request's head is too large") from error
    line, *headers = head[:-4].split(b"\r\n")
    try:
        method, target, version = line.decode("ascii").split(" ")
    except ValueError as error:
        raise Refused(400, "Bad Request", "the request line is malformed") from error
    if method == "CONNECT":
        host, port = _authority(target, None)
        return Request(method, host, port, target, version, tuple(headers))
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise Refused(
            400,
            "Bad Request",
            "this is a forward proxy: it takes CONNECT host:port, or a request for http://host/…",
        )
    cut = next((index for index, sign in enumerate(rest) if sign in "/?"), len(rest))
    authority, path = rest[:cut], rest[cut:]
    host, port = _authority(authority, 80)
    if not path.startswith("/"):
        path = f"/{path}"
    return Request(method, host, port, path, version, tuple(headers))


def _authority(text: str, default_port: int | None) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else default_port
    if match is None or port is None or not 0 < port < 65536:
        raise Refused(400, "Bad Request", f"{text!r} is not host:port")
    return match["host"].strip("[]").rstrip(".").lower(), port


def _forwarded(request: Request) -> bytes:
    """The head for the origin: in origin form, without hop-by-hop headers, one request per connection.

    An upgrade keeps its Connection header, which it requires.
    """
    names = [header.split(b":", 1)[0].strip().lower() for header in request.headers]
    upgrade = b"upgrade" in names
    kept = [
        header
        for header, name in zip(request.headers, names, strict=True)
        if name not in _HOP_BY_HOP or (upgrade and name == b"connection")
    ]
    if not upgrade:
        kept.append(b"Connection: close")
    line = f"{request.method} {request.target} {request.version}".encode("ascii")
    return b"\r\n".join([line, *kept, b"", b""])


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    origin_reader: asyncio.StreamReader,
    origin_writer: asyncio.StreamWriter,
    patience: Patience,
) -> None:
    """Copies bytes both ways until both sides have ended. Raises `TimeoutError` after too long without a byte."""
    loop = asyncio.get_running_loop()
    allowed = patience.idle

    def heard() -> None:
        if not idle.expired():
            idle.reschedule(loop.time() + allowed)

    async def answer() -> None:
        nonlocal allowed
        await _carry(origin_reader, writer, heard)
        allowed = patience.ending  # nobody reads what the client may still send
        heard()

    async with asyncio.timeout(allowed) as idle, asyncio.TaskGroup() as both:
        both.create_task(_carry(reader, origin_writer, heard))
        both.create_task(answer())


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, heard: Callable[[], None]) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            heard()
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass
    finally:
        with suppress(OSError, RuntimeError):
            if sink.can_write_eof():
                sink.write_eof()


async def _refuse(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    body = f"lockgate: {refusal}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.reason}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
