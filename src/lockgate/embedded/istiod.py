"""istiod's HTTP ports, as Kiali and istioctl ask them: ready, version, and the debug pages that say what is known.

Source: istio/istio `pilot/pkg/bootstrap/monitoring.go`, `pilot/pkg/xds/debug.go`, `pkg/ctrlz`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from lockgate.dataplane.debugging import ConnectedProxy, synchronization
from lockgate.embedded.asgi import Receive, Scope, Send, lifespan

_PAGES: Final = ("/ready", "/version", "/debug/syncz", "/debug/clusterz", "/scopej")


class IstiodPages:
    """`proxies` are the connected ones, `cluster` is the cluster's name."""

    def __init__(self, proxies: Callable[[], list[ConnectedProxy]], *, cluster: str, version: str) -> None:
        self._proxies = proxies
        self._cluster = cluster
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        path = re.sub("/+", "/", scope["path"])  # istioctl asks for //version
        found = self.page(path) if scope["method"] in ("GET", "HEAD") else None
        status = 200 if found is not None else 405 if path in _PAGES else 404
        text = f"Lockgate's istiod serves {', '.join(_PAGES)} here\n".encode()
        await _answer(send, status, found if found is not None else text)

    def page(self, path: str) -> bytes | None:
        """None for a page that is not served."""
        match path:
            case "/ready":
                return b""
            case "/version":
                return f"{self._version}-lockgate-Clean".encode()
            case "/debug/syncz":
                return _json(synchronization(self._proxies()))
            case "/debug/clusterz":
                return _json([{"id": self._cluster, "syncStatus": "synced"}])
            case "/scopej":
                return _json([])  # there are no scopes of logging to set
        return None


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()


async def _answer(send: Send, status: int, body: bytes) -> None:
    kind = b"application/json" if body[:1] in (b"[", b"{") else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
