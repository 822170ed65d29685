"""Requests as the events that a load balancer sends to Lambda functions, and their results as responses.

Source: "Use Lambda functions as targets of an Application Load Balancer". Which fields a function may omit, and that
null is not the same as omitted, is from user reports (awsdocs/elb-application-load-balancers-user-guide#33,
aws-powertools/powertools-lambda-python#4671).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lockgate.loadbalancer.health import USER_AGENT
from lockgate.loadbalancer.pages import SERVER

Headers: TypeAlias = tuple[tuple[str, str], ...]
Event: TypeAlias = Mapping[str, object]

MOST_BYTES: Final = 1024 * 1024  # of a request's body, and of a result as JSON

_AS_IS: Final = ("application/json", "application/javascript", "application/xml")
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `query` as sent, not decoded; headers as the load balancer forwards them."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """`phrase` is the reason phrase; "" is the status's standard phrase."""

    status: int
    headers: Headers
    body: bytes
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A result that is not a valid response, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The function failed. The Runtime Interface Emulator marks failures only by the members of its result."""


def event(request: Request, target_group_arn: str, *, multi_value: bool) -> Event:
    """Raises `UnicodeDecodeError` for text that is not UTF-8."""
    headers = [(name.lower(), value) for name, value in request.headers if name.lower() not in _HOP_BY_HOP]
    body, encoded = _body(request.body, dict(headers))
    return {
        "requestContext": {"elb": {"targetGroupArn": target_group_arn}},
        "httpMethod": request.method,
        "path": request.path,
        **_many(_pairs(request.query), headers, multi_value),
        "body": body,
        "isBase64Encoded": encoded,
    }


def health_check_event(path: str, target_group_arn: str, *, multi_value: bool) -> Event:
    path, _, query = path.partition("?")
    return event(Request("GET", path, query, (("user-agent", USER_AGENT),)), target_group_arn, multi_value=multi_value)


def response(result: bytes, *, multi_value: bool) -> Response | Invalid | Raised:
    """The response that a function's result describes. Omitted fields have defaults; null is never valid."""
    try:
        found = json.loads(result)
    except (ValueError, RecursionError):
        return Invalid("it is not JSON")
    if not isinstance(found, dict):
        return Invalid("it is not an object")
    if {"errorMessage", "errorType"} <= found.keys():
        return Raised()
    status = found.get("statusCode")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        return Invalid(f"its statusCode is {json.dumps(status)}, not an integer from 200 to 599")
    name = "multiValueHeaders" if multi_value else "headers"
    headers = _headers(found.get(name, {}), multi_value)
    if headers is None:
        kind = "lists of strings" if multi_value else "strings"
        return Invalid(f"its {name} are not an object of {kind}")
    description = found.get("statusDescription", "")
    if not isinstance(description, str):
        return Invalid("its statusDescription is not a string")
    body = _decoded(found.get("body", ""), found.get("isBase64Encoded", False))
    if body is None:
        return Invalid("its body is not a string, or not base64 although isBase64Encoded is true")
    phrase = description.removeprefix(str(status)).strip()  # AWS's examples have "200 OK"
    printable = all(" " <= char <= "~" and char != "|" for char in phrase)
    return Response(status, headers, b"" if status in (204, 304) else body, phrase if printable else "")


def _body(body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body or ("content-encoding" not in headers and (kind.startswith("text/") or kind in _AS_IS)):
        return body.decode("utf-8"), False
    return b64encode(body).decode(), True


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in parts]


def _many(query: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]], multi_value: bool) -> Event:
    """If a name occurs more than once, the last value counts, or all of them with `multi_value`."""
    if not multi_value:
        return {"queryStringParameters": dict(query), "headers": dict(headers)}
    found: dict[str, dict[str, list[str]]] = {"multiValueQueryStringParameters": {}, "multiValueHeaders": {}}
    for into, pairs in zip(found.values(), (query, headers), strict=True):
        for name, value in pairs:
            into.setdefault(name, []).append(value)
    return found


def _headers(given: object, multi_value: bool) -> Headers | None:
    """With the load balancer's additions; None if they are not valid."""
    if not isinstance(given, dict):
        return None
    made: list[tuple[str, str]] = []
    for name, value in given.items():
        values = value if multi_value else [value]
        if not isinstance(values, list) or not all(_is_field(name, each) for each in values):
            return None
        if name.lower() not in _HOP_BY_HOP | {"content-length"}:
            made += [(name, each) for each in values]
    names = {name.lower() for name, _ in made}
    if "content-type" not in names:
        made.append(("Content-Type", "application/octet-stream"))
    if "server" not in names:
        made.append(("Server", SERVER))
    return tuple(made)


def _is_field(name: str, value: object) -> bool:
    """Whether it is a valid header field: the name is a token, the value has no control characters (RFC 9110, 5)."""
    token = bool(name) and all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in name)
    return (
        token and isinstance(value, str) and not any(char != "\t" and (char < " " or char == "\x7f") for char in value)
    )


def _decoded(body: object, encoded: object) -> bytes | None:
    if not isinstance(body, str) or not isinstance(encoded, bool):
        return None
    try:
        return b64decode(body, validate=True) if encoded else body.encode()
    except ValueError:
        return None
