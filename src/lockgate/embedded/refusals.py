"""Refusals in front of an application, for any protocol: a status and one line of text."""

from __future__ import annotations

from lockgate.embedded.asgi import Application, Receive, Scope, Send


def without_websockets(application: Application) -> Application:
    """`application`, with WebSockets refused."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await refuse(scope, send, 501, "WebSockets are not served here")
        else:
            await application(scope, receive, send)

    return served


async def refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answers an HTTP request or a WebSocket handshake with a line of text."""
    body = f"lockgate: {reason}\n".encode("ascii", "backslashreplace")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    response = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{response}.start", "status": status, "headers": headers})
    await send({"type": f"{response}.body", "body": body})
