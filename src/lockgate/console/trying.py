"""The request box: a request is predicted, sent, and found again among those that the Envoys logged."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from lockgate.console.graph import Kind
from lockgate.console.requests import Request as Seen
from lockgate.runtime.replay import differences, send
from lockgate.runtime.running import RunningEdge
from lockgate.runtime.value import edge_value
from lockgate.trace.model import BadUrl, Request
from lockgate.trace.text import as_json
from lockgate.trace.walk import trace

_METHOD = re.compile(r"[A-Z]{1,20}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_LONGEST = 8000  # characters of a URL or a header's value
_MOST_HEADERS = 50
_PATIENCE = 3.0  # s, until a request that was sent is logged

COLUMN: Final[Mapping[str, Kind]] = {
    "dns": Kind.DNS,
    "listener": Kind.LISTENER,
    "certificate": Kind.LISTENER,
    "waf": Kind.RULE,
    "authentication": Kind.RULE,
    "rule": Kind.RULE,
    "redirect": Kind.RULE,
    "target group": Kind.TARGET_GROUP,
    "tls": Kind.TARGET_GROUP,
    "gateway": Kind.GATEWAY,
    "policy": Kind.GATEWAY,
    "patches": Kind.GATEWAY,
    "rate limit": Kind.GATEWAY,
    "virtual host": Kind.ROUTE,
    "route": Kind.ROUTE,
    "destination": Kind.SERVICE,
    "backend": Kind.SERVICE,
}
"""The column of the graph to which a hop of a trace belongs."""


def read_attempt(asked: Any) -> Request:
    """Raises ValueError, with a sentence."""
    if not isinstance(asked, dict):
        raise ValueError("a request is an object with method, url and headers")
    method, url, headers = asked.get("method", "GET"), asked.get("url", ""), asked.get("headers", [])
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ValueError("the method is a word in capital letters, such as GET")
    if not isinstance(url, str) or len(url) > _LONGEST:
        raise ValueError(f"the URL is a text of at most {_LONGEST} characters")
    if not isinstance(headers, list) or len(headers) > _MOST_HEADERS:
        raise ValueError(f"at most {_MOST_HEADERS} headers are sent")
    pairs = []
    for each in headers:
        if not isinstance(each, list) or len(each) != 2 or not all(isinstance(part, str) for part in each):
            raise ValueError("a header is a list of its name and its value")
        name, value = each
        if not _NAME.fullmatch(name) or len(value) > _LONGEST or not value.isprintable() or not value.isascii():
            raise ValueError(f"{name[:100]!r} is not a header that can be sent")
        pairs.append((name, value))
    try:
        return Request.of(url, method=method, headers=tuple(pairs), now=time.time())
    except BadUrl as error:
        raise ValueError(str(error)) from None


async def attempt(edge: RunningEdge, request: Request, find: Callable[[str], Seen | None]) -> dict[str, Any]:
    """`find` returns a logged request by the root of its trace ID."""
    value = await edge_value(edge)
    predicted = as_json(await asyncio.to_thread(trace, value, request), edge.locate)
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    named = any(name.lower() == "x-amzn-trace-id" for name, _ in request.headers)
    sent = request if named else replace(request, headers=(*request.headers, ("X-Amzn-Trace-Id", f"Root={root}")))
    began = time.monotonic()
    observed = await asyncio.to_thread(send, sent, edge.about())
    took = round((time.monotonic() - began) * 1000)
    seen: Seen | None = None
    while not named and observed.status is not None and time.monotonic() < began + _PATIENCE:
        if (seen := find(root)) is not None:
            break
        await asyncio.sleep(0.1)
    for hop in predicted["hops"]:
        hop["column"] = COLUMN.get(hop["hop"], Kind.CLIENT).label
    return {
        "predicted": predicted,
        "observed": {**asdict(observed), "ms": took},
        "seen": seen.as_json(0) if seen else None,
        "differences": list(differences(predicted, observed)),
    }
