"""The built-in backend: echoes each request, for Services whose application does not run here.

Each Service port has its own listener, so an answer can name the Service that it stands for. It serves HTTP/1.1 and
HTTP/2, with TLS where the manifests expect it, and answers datagrams on UDP ports.
gRPC calls are answered UNIMPLEMENTED, which load balancers consider healthy by default.
"""

from __future__ import annotations

import asyncio
import html
import json
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, cast

from lockgate.edge.network import ServicePort
from lockgate.embedded.asgi import Receive, Scope, Send, lifespan
from lockgate.embedded.http import Server, listen, serve
from lockgate.embedded.tls import KeyPair, any_host_context
from lockgate.resources.unicode import visible

_BODY_LIMIT = 1024 * 1024  # bytes of a request's body that are kept; the rest is only counted
_BODY_SHOWN = 16 * 1024
_DATAGRAM_SHOWN = 256
JOURNAL_LINES = 200
_LINE_SHOWN = 400  # characters


class Journal:
    """The last requests of a listener, each as a time and a line."""

    def __init__(self) -> None:
        self._lines: deque[tuple[datetime, str]] = deque(maxlen=JOURNAL_LINES)
        self._written = 0
        self._wake = asyncio.Event()

    def write(self, line: str) -> None:
        self._lines.append((datetime.now(UTC), line))
        self._written += 1
        self._wake.set()

    async def follow(self) -> AsyncIterator[tuple[datetime, str] | None]:
        """The lines that are kept, None, and then new ones. A reader that is too slow misses some."""
        seen = self._written
        for line in list(self._lines):
            yield line
        yield None
        while True:
            if seen == self._written:
                self._wake.clear()
                await self._wake.wait()
            new = min(self._written - seen, len(self._lines))
            seen = self._written
            for line in list(self._lines)[len(self._lines) - new :]:
                yield line


class _Listener:
    """`names` are those of its certificate; None without TLS. `start` makes its server when somebody connects: at rest,
    the server of one of a thousand Services would cost more than all objects of that Service."""

    def __init__(
        self, sock: socket.socket, names: tuple[str, ...] | None, start: Callable[[_Listener], Awaitable[Server]]
    ) -> None:
        self.names = names
        self.host, self.port = cast(tuple[str, int], sock.getsockname())
        self.socket = sock
        self._start = start
        self._server: asyncio.Task[Server] | None = None
        self.datagrams: asyncio.DatagramTransport | None = None  # on the same port
        asyncio.get_running_loop().add_reader(sock, self._connected)

    @cached_property
    def journal(self) -> Journal:
        return Journal()

    def _connected(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self._server = asyncio.ensure_future(self._start(self))

    async def stop(self) -> None:
        if self.datagrams is not None:
            self.datagrams.close()
        if self._server is None:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()
        else:
            await (await self._server).stop()


class Echo:
    """Listeners by Service port, opened on demand. `key_pair` makes a certificate, with its key, for DNS names.

    With `apart`, the workloads behind a Service port have addresses of their own, as Pods have: a real istiod drops
    an endpoint with the address of another one. Linux answers at all of 127.0.0.0/8.
    """

    def __init__(
        self, key_pair: Callable[[Sequence[str]], KeyPair], host: str = "127.0.0.1", *, apart: bool = False
    ) -> None:
        self._key_pair = key_pair
        self._host = host
        self._apart = apart and sys.platform == "linux"
        # By Service, and by port and workload.
        self._listeners: dict[tuple[str, str], dict[tuple[int, str], _Listener]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def listen(
        self,
        stands_for: ServicePort,
        names: tuple[str, ...] | None = None,
        workload: str = "",
        *,
        datagrams: bool = False,
    ) -> tuple[str, int]:
        """The address that answers for a Service port, or for one of the workloads behind it: the same one in every
        call with the same `names`.

        With `names`, it expects TLS. Its certificate has these names and the one that the client asks for. With
        `datagrams`, it answers those too; connections to the same port pass a load balancer's health check.
        """
        listeners = self._listeners.setdefault((stands_for.namespace, stands_for.service), {})
        slot = (stands_for.port, workload + (" udp" if datagrams else ""))
        there = listeners.get(slot)
        if there is None or there.names != names:
            start = partial(self._serve, stands_for, workload)
            listeners[slot] = now = _Listener(listen(self._host_of(slot, listeners), 0), names, start)
            if there is not None:
                now.journal = there.journal
                self._end(there)
            if datagrams:
                now.datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Datagrams(stands_for, workload, now.journal), local_addr=(now.host, now.port)
                )
        return listeners[slot].host, listeners[slot].port

    def _host_of(self, slot: tuple[int, str], known: Mapping[tuple[int, str], _Listener]) -> str:
        if slot in known:
            return known[slot].host
        others = sum(port == slot[0] for port, _ in known)
        return f"127.1.0.{others}" if self._apart and others else self._host

    async def _serve(self, stands_for: ServicePort, workload: str, listener: _Listener) -> Server:
        tls = None if listener.names is None else any_host_context(self._key_pair, listener.names)
        application = _application(stands_for, workload, listener.journal)
        return await serve(application, sock=listener.socket, tls=tls, hosts=None, websockets=True)

    def journal(self, port: int) -> Journal | None:
        """The requests of the listener on a local port."""
        listeners = (each for of_service in self._listeners.values() for each in of_service.values())
        return next((each.journal for each in listeners if each.port == port), None)

    def close(self, namespace: str, service: str) -> None:
        """Stops the servers of a Service."""
        for listener in self._listeners.pop((namespace, service), {}).values():
            self._end(listener)

    def _end(self, listener: _Listener) -> None:
        """Requests in progress get a short time to end, in the background."""
        ending = asyncio.create_task(listener.stop())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        for service in list(self._listeners):
            self.close(*service)
        await asyncio.gather(*self._ending, return_exceptions=True)


class _Datagrams(asyncio.DatagramProtocol):
    """Answers each datagram with one that describes it."""

    def __init__(self, stands_for: ServicePort, workload: str, journal: Journal) -> None:
        self._named = {"service": str(stands_for), **({"workload": workload} if workload else {})}
        self._journal = journal

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own does not inherit it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._journal.write(f"UDP {len(data)} bytes client={_address(addr)}")
        body = {"bytes": len(data), "text": data[:_DATAGRAM_SHOWN].decode("utf-8", "replace")}
        answer = {**self._named, "body": body, "connection": {"client": _address(addr)}}
        self._transport.sendto(json.dumps(answer).encode() + b"\n", addr)


def _application(stands_for: ServicePort, workload: str, journal: Journal) -> Any:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await lifespan(receive, send)
            case "http":
                journal.write(_line(scope))
                await _answer(stands_for, workload, scope, receive, send)
            case "websocket":
                journal.write(_line(scope))
                await _websocket(receive, send)

    return echo


def _line(scope: Scope) -> str:
    """A request as a line. Clients choose its parts, and terminals print it."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += f"?{scope['query_string'].decode('latin-1')}"
    method = scope.get("method", "WEBSOCKET")
    line = f"{method} {target} HTTP/{scope['http_version']} host={host} client={_address(scope.get('client'))}"
    return visible(line[:_LINE_SHOWN])


async def _answer(stands_for: ServicePort, workload: str, scope: Scope, receive: Receive, send: Send) -> None:
    body, size = await _body(receive)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    grpc = any(name == "content-type" and value.startswith("application/grpc") for name, value in headers)
    if grpc and scope["http_version"] == "2":
        await _unimplemented(stands_for, send)
        return
    request = {
        "service": str(stands_for),
        **({"workload": workload} if workload else {}),
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name, value] for name, value in headers],
        "body": {"bytes": size, "text": body[:_BODY_SHOWN].decode("utf-8", "replace")},
        "connection": {
            "http_version": scope["http_version"],
            "client": _address(scope.get("client")),
            "server": _address(scope.get("server")),
        },
    }
    browser = any(name == "accept" and "text/html" in value for name, value in headers)
    content = _page(request) if browser else json.dumps(request, indent=2) + "\n"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/html; charset=utf-8" if browser else b"application/json"),
                (b"content-length", str(len(content.encode())).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content.encode() if scope["method"] != "HEAD" else b""})


async def _unimplemented(stands_for: ServicePort, send: Send) -> None:
    message = f"Lockgate's echo stands in for {stands_for} and implements no method".encode()
    kind = [(b"content-type", b"application/grpc")]
    await send({"type": "http.response.start", "status": 200, "headers": kind, "trailers": True})
    await send({"type": "http.response.body", "body": b""})
    await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"12"), (b"grpc-message", message)]})


async def _body(receive: Receive) -> tuple[bytes, int]:
    kept, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(kept), size
        chunk = message.get("body", b"")
        size += len(chunk)
        if len(kept) < _BODY_LIMIT:
            kept += chunk
        if not message.get("more_body"):
            return bytes(kept), size


async def _websocket(receive: Receive, send: Send) -> None:
    """Sends every WebSocket message back."""
    while True:
        message = await receive()
        match message["type"]:
            case "websocket.connect":
                await send({"type": "websocket.accept"})
            case "websocket.receive":
                await send(
                    {
                        "type": "websocket.send",
                        "bytes": message.get("bytes"),
                        "text": message.get("text"),
                    }
                )
            case _:
                return


def _address(pair: tuple[str, int] | None) -> str:
    return f"{pair[0]}:{pair[1]}" if pair else ""


def _page(request: dict[str, Any]) -> str:
    def row(name: str, value: str) -> str:
        return f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"

    path = request["path"] + (f"?{request['query']}" if request["query"] else "")
    headers = "".join(row(name, value) for name, value in request["headers"])
    connection = "".join(row(name.replace("_", " "), value) for name, value in request["connection"].items())
    sent = request["body"]
    body = (
        f"<h2>Body <small>{sent['bytes']} bytes</small></h2><pre>{html.escape(sent['text'])}</pre>"
        if sent["bytes"]
        else ""
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(request["service"])}</title>
<style>
  :root {{ color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 3rem auto; padding: 0 1.2rem; }}
  h1 {{ font-size: 1.3rem; margin: 0; }} h2 {{ font-size: 1rem; margin: 2rem 0 .4rem; }}
  p {{ margin: .2rem 0 0; opacity: .75; }} code, td, pre {{ font-family: ui-monospace, monospace; font-size: .86rem; }}
  table {{ border-collapse: collapse; width: 100%; }}
  th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line);
    overflow-wrap: anywhere; }}
  th {{ font-weight: 500; white-space: nowrap; width: 1%; opacity: .75; }}
</style>
<h1>{html.escape(request["service"])} would answer here</h1>
<p>Lockgate's echo stands in for the Service's application. Yours: <code>--backend \
{html.escape(request["service"])}=http://127.0.0.1:PORT</code></p>
<h2>Request</h2><table>{row(request["method"], path)}</table>
<h2>Headers, as the application sees them</h2><table>{headers}</table>
<h2>Connection</h2><table>{connection}</table>
{body}
"""
