"""Requests that servers may interpret differently, and how each desync mitigation mode treats them.

Source: "Desync mitigation mode" in the Application Load Balancers guide, and aws/http-desync-guardian. Envoy's parser
rejects the severe classes first; only requests that it accepts get here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lockgate.loadbalancer.request import Request

Class: TypeAlias = Literal["Acceptable", "Ambiguous"]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A class of requests, and the reason, in AWS's words."""

    kind: Class
    reason: str


def suspicion(request: Request, mode: str) -> Suspicion | None:
    """None for a compliant request. Only the mode ``strictest`` checks the names and values of headers that do not
    frame the body.
    """
    return _framing(request) or (_headers(request) if mode == "strictest" else None)


def _framing(request: Request) -> Suspicion | None:
    if request.is_http2:
        return None
    length, coding = request.first("content-length"), request.first("transfer-encoding")
    without_body = request.method in ("GET", "HEAD")
    if coding and (without_body or request.protocol == "HTTP/1.0"):
        return Suspicion("Ambiguous", "UndefinedTransferEncodingSemantics")
    if without_body and length == "0":
        return Suspicion("Acceptable", "GetHeadZeroContentLength")
    if without_body and length:
        return Suspicion("Ambiguous", "UndefinedContentLengthSemantics")
    return None


def _headers(request: Request) -> Suspicion | None:
    names = [name.lower() for name, _ in request.headers]
    for name in names:
        letters = re.sub("[^a-z]", "", name)
        if letters in ("contentlength", "transferencoding") and name not in ("content-length", "transfer-encoding"):
            return Suspicion("Ambiguous", "SuspiciousHeader")
    if any(re.search("[\x01-\x08\x0a-\x1f\x7f-\xff]", value) for _, value in request.headers):
        return Suspicion("Acceptable", "NonCompliantHeader")
    return None
