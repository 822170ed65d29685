"""Serves backends the public key that verifies x-amzn-oidc-data: ``https://HOST/KID``, an ASGI application.

Source: "Authenticate users using an Application Load Balancer", "User claims encoding and signature verification".
"""

from __future__ import annotations

from collections.abc import Callable

from lockgate.controllers.elastic_load_balancing.platform import Receive, Scope, Send


def host_of(region: str) -> str:
    return f"public-keys.auth.elb.{region}.amazonaws.com"


class PublicKeys:
    """`public_key` returns the single key: (kid, PEM)."""

    def __init__(self, public_key: Callable[[], tuple[str, str]]) -> None:
        self._public_key = public_key

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        kid, pem = self._public_key()
        found = scope["path"] == f"/{kid}"
        body = pem.encode() if found else b""
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})
