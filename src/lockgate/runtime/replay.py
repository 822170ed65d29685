"""Sends a predicted request through the edge's proxy, with the edge's CA, and compares the result with the
prediction."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockgate.trace.model import Request

if TYPE_CHECKING:
    import httpx

_PATIENCE = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Observed:
    """What a client observed. With `status` None the connection failed, and `error` says how.

    `backend` is ``namespace/service:port`` if the built-in echo answered, with the path and headers that it received.
    """

    status: int | None
    location: str = ""
    backend: str = ""
    target: str = ""
    error: str = ""


def send(request: Request, about: Mapping[str, Any]) -> Observed:
    """`about` is the supervisor's description of itself."""
    import httpx

    context = ssl.create_default_context(cafile=about["files"]["ca_bundle"])
    headers = [(name, value) for name, value in request.headers if name.lower() != "host"]
    if request.authority != request.place:
        headers.append(("Host", request.authority))
    try:
        with httpx.Client(
            proxy=about["addresses"]["proxy"],
            verify=context,
            http2=request.protocol == "HTTP/2",
            timeout=_PATIENCE,
            trust_env=False,
        ) as client:
            place = httpx.URL(scheme=request.scheme, host=request.host, port=request.port)
            url = place.copy_with(raw_path=request.target.encode())
            answer = client.request(request.method, url, headers=headers)
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        return Observed(None, error=f"{type(error).__name__}: {error}")
    return observed(answer)


def observed(answer: httpx.Response) -> Observed:
    """The body must have been read."""
    backend = target = ""
    if answer.headers.get("content-type", "").startswith("application/json"):
        backend, target = _echoed(answer)
    return Observed(answer.status_code, answer.headers.get("location", ""), backend, target)


def _echoed(answer: httpx.Response) -> tuple[str, str]:
    try:
        body = answer.json()
        return body["service"], body["path"] + (f"?{body['query']}" if body["query"] else "")
    except (ValueError, KeyError, TypeError):
        return "", ""


def differences(predicted: Mapping[str, Any], observed: Observed) -> Iterator[str]:
    """A sentence for each part of a prediction (`trace.text.as_json`) that the observation contradicts."""
    ending = predicted["ending"]
    status = ending["status"]
    if status is None and ending["backend"] is None:
        # The proxy answers for names that do not resolve and ports without a listener.
        if observed.status is not None and observed.status < 500:
            yield f"predicted that no answer comes, observed {observed.status}"
        return
    if observed.status is None:
        yield f"predicted {status or ending['backend']}, observed no answer ({observed.error})"
        return
    if status is not None and status != observed.status:
        yield f"predicted status {status}, observed {observed.status}"
    if (ending["location"] or "") != observed.location:
        yield f"predicted location {ending['location']}, observed {observed.location or 'none'}"
    if ending["backend"] and observed.backend:
        hops = {hop["hop"]: hop for hop in predicted["hops"]}
        shares = hops.get("destination", {}).get("shares") or {ending["backend"]: 1}
        named = {name.partition(" ")[0] for name in shares}
        if observed.backend not in named:
            yield f"predicted backend {ending['backend']}, observed {observed.backend}"
        elif (desired := hops.get("backend", {}).get("target")) and desired != observed.target:
            yield f"predicted that the backend sees {desired}, observed {observed.target}"
    elif ending["backend"] and observed.status >= 500:
        yield f"predicted backend {ending['backend']}, observed {observed.status}"
