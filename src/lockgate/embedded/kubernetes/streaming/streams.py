"""Subresources of Pods that are streams: ``log``, ``portforward``, and the refusal of ``exec`` and ``attach``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote

from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.embedded.hosts import MISDIRECTED, is_own
from lockgate.embedded.kubernetes.exchange import MethodNotAllowed, Request, encoded
from lockgate.embedded.kubernetes.refusals import not_found
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.kubernetes.streaming.logs import Line, LogOptions, selected
from lockgate.embedded.kubernetes.streaming.port_forward import PROTOCOL, TUNNEL, Pair, PortForward
from lockgate.embedded.kubernetes.targets import Target, target
from lockgate.embedded.upgrades import Upgrading
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import ApiError, BadRequest, NotFound

SPDY: Final = "spdy/3.1"
SUBRESOURCES: Final = ("log", "portforward", "exec", "attach")
_MOST: Final = 200  # port-forwards at a time
_CHUNK: Final = 64 * 1024


class PodAccess(Protocol):
    """What stands behind the Pods of an edge."""

    async def connect(self, pod: core.Pod, port: int) -> Pair:
        """A connection to a port of a Pod. Raises OSError, with the reason in words."""
        ...

    def log(self, pod: core.Pod) -> AsyncIterator[Line | None]:
        """The lines that a Pod has logged, None after the last existing one, and then new lines."""
        ...


class Streams:
    """`authenticate` raises `ApiError` for a request without a valid token."""

    def __init__(self, store: Store, access: PodAccess | None, authenticate: Callable[[Request], JsonObject]) -> None:
        self._store = store
        self._access = access
        self._authenticate = authenticate
        self.forwarding = 0  # clients now

    # --- over plain HTTP -----------------------------------------------------------------------------------------

    def log(self, request: Request, found: Target) -> AsyncGenerator[bytes, None]:
        """The text of a log. Raises `ApiError`."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        pod, access = self._pod(found)
        container = request.query.get("container", "")
        names = [each.name for each in (*pod.spec.init_containers, *pod.spec.containers)]
        if container and container not in names:
            raise BadRequest(f"container {container} is not valid for pod {pod.name}")
        if request.flag("previous"):
            raise BadRequest(f'previous terminated container "{container or names[-1]}" in pod "{pod.name}" not found')
        return selected(access.log(pod), LogOptions.of(request, self._store.clock()))

    def refuse(self, found: Target) -> ApiError:
        """Why a stream cannot be had with a plain request, or not at all."""
        try:
            self._pod(found)
        except ApiError as error:
            return error
        if found.subresource == "portforward":
            return BadRequest("Upgrade request required")
        text = f"{found.subresource} is not served here: Lockgate runs no containers, so Pod {found.namespace}/"
        return _NotServed(f"{text}{found.name} has no process. The echo or your own program answers for it.")

    # --- upgraded connections ------------------------------------------------------------------------------------

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].rstrip("/")
        request = Request("GET", path, {name: values[0] for name, values in query.items()}, headers)
        try:
            found = self._forwarded(request)
            if TUNNEL not in scope["subprotocols"]:
                offered = ", ".join(scope["subprotocols"]) or "none"
                raise BadRequest(
                    f"portforward needs the subprotocol {TUNNEL} of a WebSocket; the client offers {offered}"
                )
            pod, access = self._pod(found)
        except ApiError as error:
            await _refuse_websocket(send, error)
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": TUNNEL})

        async def read() -> bytes:
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return b""
                if message.get("bytes"):
                    return bytes(message["bytes"])

        async def write(data: bytes) -> None:
            await send({"type": "websocket.send", "bytes": data})

        await self._forward(PortForward(read, write, lambda port: access.connect(pod, port)))
        with suppress(Exception):  # the client may be gone
            await send({"type": "websocket.close", "code": 1000})

    async def take_over(self, upgrading: Upgrading) -> None:
        """Serves a connection whose first request upgrades to SPDY/3.1."""
        path, _, query = upgrading.target.partition("?")
        parameters = parse_qs(query, keep_blank_values=True, max_num_fields=100)
        request = Request(
            upgrading.method,
            unquote(path).rstrip("/"),
            {name: values[0] for name, values in parameters.items()},
            upgrading.headers,
        )
        reader, writer = upgrading.reader, upgrading.writer
        try:
            if not is_own(request.headers.get("host", ""), ()):
                raise _Misdirected("this server is only for this machine's own names")
            found = self._forwarded(request)
            pod, access = self._pod(found)
            offered = [each.strip() for each in request.headers.get("x-stream-protocol-version", PROTOCOL).split(",")]
            if PROTOCOL not in offered:
                raise _Unsupported(f"unable to upgrade: unable to negotiate protocol: client supports {offered}")
        except ApiError as error:
            writer.write(_response(f"{error.code} {error.reason}", encoded(error.status()), "application/json"))
            await writer.drain()
            return
        upgraded = {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": PROTOCOL}
        lines = "".join(f"{name}: {value}\r\n" for name, value in upgraded.items())
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode())
        rest = upgrading.rest

        async def read() -> bytes:
            nonlocal rest
            if rest:
                first, rest = rest, b""
                return first
            return await reader.read(_CHUNK)

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        await self._forward(PortForward(read, write, lambda port: access.connect(pod, port)))

    async def _forward(self, forwarding: PortForward) -> None:
        self.forwarding += 1
        try:
            await forwarding.run()
        finally:
            self.forwarding -= 1

    def _forwarded(self, request: Request) -> Target:
        """The Pod that a request forwards to. Raises `ApiError`."""
        self._authenticate(request)
        found = target(request.path)
        if found is None or (found.group, found.plural) != ("", "pods") or found.subresource not in SUBRESOURCES:
            raise BadRequest("connections are upgraded only for the portforward of a Pod; watches are served over HTTP")
        if found.subresource != "portforward":
            raise self.refuse(found)
        if self.forwarding >= _MOST:
            raise _TooMany(f"{_MOST} port-forwards are open already")
        return found

    def _pod(self, found: Target) -> tuple[core.Pod, PodAccess]:
        stored = self._store.storage.get(ObjectKey("", "Pod", found.namespace, found.name))
        if stored is None:
            raise not_found(core.Pod.KIND, found.name)
        if self._access is None:
            raise NotFound("the server could not find the requested resource")
        return stored.parsed(core.Pod), self._access


class _NotServed(ApiError):
    reason, code = "MethodNotAllowed", 405


class _Unsupported(ApiError):
    reason, code = "Forbidden", 403


class _Misdirected(ApiError):
    reason, code = "BadRequest", MISDIRECTED


class _TooMany(ApiError):
    reason, code = "TooManyRequests", 429


async def _refuse_websocket(send: Send, error: ApiError) -> None:
    body = encoded(error.status())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
