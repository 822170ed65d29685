"""Serves every embedded HTTP API: an ASGI application on one loopback socket, with hypercorn, in this event loop.

A server answers only requests for its own hosts (see `lockgate.embedded.hosts`). A client that stops in the middle of
a request is disconnected after a limited time. hypercorn limits the size of a request's head, and each application
limits the size of its body.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockgate.embedded.asgi import Application, Receive, Scope, Send
from lockgate.embedded.hosts import only_for
from lockgate.embedded.refusals import without_websockets
from lockgate.embedded.upgrades import TakeOver, serve_with_upgrades
from lockgate.errors import CommandError

IDLE = 120.0  # s that a connection may be open without a complete request head
# The same for servers that accept any host. Their client is Envoy. The limit is longer than Envoy keeps an idle
# connection, so that no connection ends during a request.
IDLE_BEHIND_ENVOY = 3660.0
BODY_IDLE = 30.0  # s between two parts of a request's body


class PortInUse(CommandError):
    """The requested port is in use."""

    hint = "choose another with --port NAME=PORT, or leave it out for a free one"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is already in use")
        self.host = host
        self.port = port


class Server:
    """A running server, which listens on `port`."""

    def __init__(self, host: str, port: int, task: asyncio.Task[None], stopping: asyncio.Event) -> None:
        self.host = host
        self.port = port
        self._task = task
        self._stopping = stopping

    async def stop(self) -> None:
        self._stopping.set()
        done, _ = await asyncio.wait({self._task}, timeout=1.0)
        if not done:
            self._task.cancel()
        # hypercorn ends with InvalidStateError if a client kept its connection open, and with the errors of the last
        # connections, such as a client that continued to send.
        with suppress(asyncio.CancelledError, asyncio.InvalidStateError, OSError):
            await self._task


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. With `port` 0, it is on a free port. Raises `PortInUse`."""
    # asyncio sets TCP_NODELAY only on sockets with an explicit TCP protocol. Without it, each answer is delayed by
    # 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise PortInUse(host, port) from error
    sock.listen(512)
    return sock


async def serve(
    application: Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: tuple[Path, Path] | None = None,
    tls: ssl.SSLContext | None = None,
    hosts: Collection[str] | None = (),
    websockets: bool = False,
    idle: float | None = None,
    upgrade: tuple[str, TakeOver] | None = None,
    sock: socket.socket | None = None,
) -> Server:
    """Serve until `stop`, on `sock` if it listens already. HTTPS needs `tls`, or a `certificate` as (chain file, key
    file). Raises `PortInUse`.

    Requests are refused unless they are for this machine's loopback names or `hosts`; None accepts any host. The
    application gets WebSockets only with `websockets`. `upgrade` takes over connections that upgrade to a protocol, for
    whose host it must look itself. A connection may be open without a request for `idle` seconds;
    the default depends on whether any host is accepted.
    """
    from hypercorn.asyncio import run
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    from lockgate.embedded.connections import Connection

    vars(run)["TCPServer"] = Connection  # hypercorn has no setting for it
    sock = sock or listen(host, port)
    chosen = sock.getsockname()[1]
    config = Config()
    config.graceful_timeout = 0.2
    config.shutdown_timeout = 0.5
    config.keep_alive_timeout = (IDLE if hosts is not None else IDLE_BEHIND_ENVOY) if idle is None else idle
    # hypercorn ends a connection after 1,000 requests, over HTTP/2 with PROTOCOL_ERROR; `kubectl delete --all` may need
    # more.
    config.keep_alive_max_requests = 2**31
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    if certificate is not None:
        tls = _tls(*certificate)
    if tls is not None:
        config.certfile = config.keyfile = "in memory"  # hypercorn then asks for a context
        config.create_ssl_context = lambda: tls  # type: ignore[method-assign]
    application = application if websockets else without_websockets(application)
    if hosts is not None:  # else its client is Envoy, which has patience of its own
        application = only_for(hosts, _within_time(application))
    loop = asyncio.get_running_loop()
    if loop.get_exception_handler() is None:
        loop.set_exception_handler(_without_closings)
    stopping = asyncio.Event()
    if upgrade is not None:
        serving = serve_with_upgrades(application, config, sock, tls, *upgrade, stopping)
    else:
        config.bind = [f"fd://{sock.detach()}"]
        serving = hypercorn_serve(application, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]
    return Server(host, chosen, asyncio.create_task(serving, name=f"http:{chosen}"), stopping)


def _within_time(application: Application) -> Application:
    """`application`, for which a client that stops in the middle of a body counts as disconnected."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        complete = scope["type"] != "http"

        async def received() -> dict[str, Any]:
            nonlocal complete
            if complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), BODY_IDLE)
            except TimeoutError:
                message = {"type": "http.disconnect"}
            complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await application(scope, received, send)

    return served


def _without_closings(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Reports unhandled errors like asyncio, except for clients that do not end TLS when their connection is closed:
    hypercorn waits for them, so any client could fill the log. And except for connections that the end of a server
    cancels, which Python 3.11 reports as errors."""
    error = context.get("exception")
    slow = isinstance(error, TimeoutError) and "SSL shutdown" in str(error)
    if not slow and not isinstance(error, asyncio.CancelledError):
        loop.default_exception_handler(context)


def _tls(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(chain, key)
    return context
