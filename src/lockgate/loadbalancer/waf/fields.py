"""The parts of a request that statements inspect, after text transformations.

Source: AWS WAF Developer Guide, "Request components" and "Oversize web request components".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.waf import json_body
from lockgate.loadbalancer.waf.model import (
    AllQueryArguments,
    Body,
    Component,
    Cookies,
    Fallback,
    Fingerprint,
    HeaderOrder,
    Headers,
    JsonBody,
    MatchScope,
    Method,
    Oversize,
    QueryString,
    Selection,
    SingleHeader,
    SingleQueryArgument,
    UriFragment,
    UriPath,
)
from lockgate.loadbalancer.waf.transformations import transformed

BODY_BYTES: Final = 8192  # of the body that a load balancer sends to WAF
HEADER_BYTES, HEADER_COUNT = 8192, 200  # of headers, and of cookies


@dataclass(frozen=True, slots=True)
class Inspected:
    """A request as WAF receives it. `body` is None for gRPC, and may exceed the inspected size.

    `fingerprints` are those of the client's TLS by kind (``ja3``), if available.
    """

    request: Request
    body: bytes | None = b""
    fingerprints: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The statement's outcome without inspection: the part is oversize, or a fallback applies."""

    is_met: bool


# The inspected texts; the statement matches if any does. None if the request has no such part.
Texts: TypeAlias = tuple[bytes, ...] | Decided | None


def texts(component: Component, inspected: Inspected) -> Texts:
    found = _raw(component, inspected)
    if not isinstance(found, tuple):
        return found
    return tuple(transformed(text, component.transformations) for text in found)


def _raw(component: Component, inspected: Inspected) -> Texts:
    request, field = inspected.request, component.field
    match field:
        case Method():
            return (_bytes(request.method),)
        case UriPath():
            return (_bytes(request.path.partition("#")[0]),)
        case QueryString():
            return None if request.query is None else (_bytes(request.query),)
        case UriFragment(fallback):
            _, mark, fragment = request.target.partition("#")
            return (_bytes(fragment),) if mark else Decided(_holds(fallback))
        case SingleHeader(name):
            return _some(_bytes(value) for value in _all(request, name))
        case Headers(selection, scope, oversize):
            return _mapping(headers_of(request), selection, scope, oversize, case_matters=False)
        case Cookies(selection, scope, oversize):
            return _mapping(cookies_of(request), selection, scope, oversize, case_matters=True)
        case HeaderOrder(oversize):
            pairs = headers_of(request)
            kept = _within_limits(pairs)
            if len(kept) < len(pairs) and oversize != "CONTINUE":
                return Decided(_holds(oversize))
            return (b":".join(_bytes(name.lower()) for name, _ in kept),)
        case SingleQueryArgument(name):
            arguments = _arguments(request, component.before_parsing)
            return _some(value for key, value in arguments if key.lower() == _bytes(name.lower()))
        case AllQueryArguments():
            return _some(value for _, value in _arguments(request, component.before_parsing))
        case Body(oversize):
            return _body(inspected, oversize)
        case JsonBody():
            return _json(inspected, field)
        case Fingerprint(kind, fallback):
            known = dict(inspected.fingerprints).get(kind)
            return (_bytes(known),) if known else Decided(_holds(fallback))
        case _:
            assert_never(field)


def headers_of(request: Request) -> tuple[tuple[str, str], ...]:
    """Includes Host, in first place if the request keeps it separately."""
    if not request.host or request.first("host") is not None:
        return request.headers
    return (("host", request.host), *request.headers)


def cookies_of(request: Request) -> tuple[tuple[str, str], ...]:
    pairs = (each.partition("=") for line in request.all("cookie") for each in line.split(";"))
    return tuple((name.strip(), value.strip()) for name, _, value in pairs if name.strip())


def _all(request: Request, name: str) -> Sequence[str]:
    return [value for key, value in headers_of(request) if key.lower() == name.lower()]


def _arguments(request: Request, before_parsing: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Names and values as on the wire, unless a transformation runs before parsing."""
    if not request.query:
        return []
    whole = transformed(_bytes(request.query), before_parsing)
    pairs = (each.partition(b"=") for each in whole.split(b"&") if each)
    return [(name, value) for name, _, value in pairs]


def _mapping(
    pairs: Sequence[tuple[str, str]], selection: Selection, scope: MatchScope, oversize: Oversize, *, case_matters: bool
) -> Texts:
    kept = _within_limits(pairs)
    if len(kept) < len(pairs) and oversize != "CONTINUE":
        return Decided(_holds(oversize))

    def folded(name: str) -> str:
        return name if case_matters else name.lower()

    names = {folded(name) for name in selection.names}
    chosen = [
        pair for pair in kept if selection.kind == "all" or (folded(pair[0]) in names) == (selection.kind == "included")
    ]
    keys = (_bytes(name) for name, _ in chosen) if scope != "VALUE" else ()
    values = (_bytes(value) for _, value in chosen) if scope != "KEY" else ()
    return _some((*keys, *values))


def _within_limits(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    kept, size = [], 0
    for name, value in pairs[:HEADER_COUNT]:
        size += len(name) + len(value)
        if size > HEADER_BYTES:
            break
        kept.append((name, value))
    return kept


def _body(inspected: Inspected, oversize: Oversize) -> Texts:
    if not inspected.body:
        return None
    if len(inspected.body) > BODY_BYTES and oversize != "CONTINUE":
        return Decided(_holds(oversize))
    return (inspected.body[:BODY_BYTES],)


def _json(inspected: Inspected, field: JsonBody) -> Texts:
    found = _body(inspected, field.oversize)
    if not isinstance(found, tuple):
        return found
    parsed = json_body.parse(found[0])
    if not parsed.is_whole and field.fallback is not None:
        return found if field.fallback == "EVALUATE_AS_STRING" else Decided(_holds(field.fallback))
    desired = None if field.paths is None else [json_body.pointer(path) for path in field.paths]
    return _some(
        element.text
        for element in parsed.elements
        if field.scope in ("ALL", element.kind) and (desired is None or _is_under(element, desired))
    )


def _is_under(element: json_body.Element, pointers: Sequence[json_body.Path]) -> bool:
    """A pointer's own keys are not inspected."""
    least = 1 if element.kind == "KEY" else 0
    return any(element.path[: len(each)] == each and len(element.path) >= len(each) + least for each in pointers)


def _some(found: Iterable[bytes]) -> tuple[bytes, ...] | None:
    return tuple(found) or None


def _holds(behaviour: Fallback | Oversize) -> bool:
    return behaviour == "MATCH"


def _bytes(text: str) -> bytes:
    return text.encode("latin-1", "replace")
