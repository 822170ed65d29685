"""The console's page and API, as a Starlette application over a `Source`.

Who may use it: whoever has the token, which `lockgate up` prints as part of the address. The first request exchanges it
for a cookie, so that it does not stay in the address bar. Programs send it as a bearer token. The server around this
application refuses foreign `Host` headers, and the policy of the page allows nothing but its own files.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lockgate.console.export import exported
from lockgate.console.messages import Message, NotHere, Source
from lockgate.embedded.asgi import Application, Receive, Scope, Send

PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LIMIT = 512 * 1024  # bytes of a body
_ALIVE = 15.0  # s between comments on a silent stream, so that a connection that is gone is noticed


def application(source: Source, *, token: str) -> Application:
    """Without a `token`, everybody on this machine may use it."""
    files = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*") if path.suffix in _TYPES}

    async def page(request: Request) -> Response:
        path = files.get(request.path_params.get("path", "") or "index.html")
        if path is None:
            return PlainTextResponse("there is no such page", 404)
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix])

    async def events(_: Request) -> Response:
        return StreamingResponse(_stream(source), media_type="text/event-stream")

    async def node(request: Request) -> Response:
        return JSONResponse(await source.node(request.query_params.get("id", "")))

    async def one_request(request: Request) -> Response:
        number = request.query_params.get("id", "")
        return JSONResponse(await source.request(int(number) if number.isdigit() else 0))

    async def graph(request: Request) -> Response:
        return JSONResponse(await source.graph(request.query_params.get("match", "")[:200]))

    async def attempt(request: Request) -> Response:
        return JSONResponse(await source.attempt(json.loads(await _body(request))))

    async def everything(_: Request) -> Response:
        return JSONResponse([[each.name, each.data] for each in await source.everything()])

    async def export(_: Request) -> Response:
        html = exported(await source.everything())
        return Response(
            html, media_type="text/html", headers={"Content-Disposition": 'attachment; filename="lockgate.html"'}
        )

    async def not_here(_: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 404)

    async def refused(_: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 400)

    routes = [
        Route("/events", events),
        Route("/api/node", node),
        Route("/api/request", one_request),
        Route("/api/graph", graph),
        Route("/api/attempt", attempt, methods=["POST"]),
        Route("/api/everything", everything),
        Route("/export.html", export),
        Route("/", page),
        Route("/{path:path}", page),
    ]
    served = Starlette(routes=routes, exception_handlers={NotHere: not_here, ValueError: refused})
    return _guarded(served, token)


def _guarded(served: Starlette, token: str) -> Application:
    """Passes on what has the token, and adds the headers that every answer has."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(each for each in extra if each[0] not in names)]
            await send(message)

        if scope["type"] != "http":
            return
        answer = _refusal(Request(scope), token) if token else None
        run: Callable[..., Awaitable[None]] = served if answer is None else answer
        await run(scope, receive, with_headers)

    return guarded


def _refusal(request: Request, token: str) -> Response | None:
    name = f"lockgate-{request.url.port or 80}"  # cookies do not know ports
    given = request.query_params.get("token", "")
    if given and request.url.path == "/" and _same(given, token):
        answer = RedirectResponse("/", 303)
        answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
        return answer
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    by_cookie = _same(request.cookies.get(name, ""), token)
    if request.method not in ("GET", "HEAD") and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return PlainTextResponse("this is for the console's own page only", 403)
    if by_cookie or _same(bearer, token):
        return None
    text = "Open the address that `lockgate up` or `lockgate console` prints: it has the token of this edge.\n"
    return PlainTextResponse(text, 401)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LIMIT:
            raise ValueError(f"a body of at most {_LIMIT} bytes is read")
    return body


async def _stream(source: Source) -> AsyncIterator[str]:
    """Server-sent events."""
    messages = source.messages()
    waiting: asyncio.Future[Message] | None = None
    try:
        yield "retry: 1000\n\n"
        while True:
            waiting = waiting or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait({waiting}, timeout=_ALIVE)
            if not done:
                yield ": alive\n\n"
                continue
            try:
                message = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield message.as_event()
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})
        await messages.aclose()
