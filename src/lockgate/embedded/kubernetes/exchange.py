"""An HTTP request to the API as a value, and its answers: JSON, a stream of JSON lines, or a `Status`."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.resources.status import ApiError, BadRequest
from lockgate.resources.unicode import visible

_AT_ONCE = 50  # items that are encoded without a pause
_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_CHUNK = 256 * 1024  # bytes of a body that are sent without a pause
BODY_LIMIT = 3 * 1024 * 1024  # kube-apiserver's `MaxRequestBodyBytes`
_encode = msgspec.json.Encoder().encode


class Unauthorized(ApiError):
    reason, code = "Unauthorized", 401


class MethodNotAllowed(ApiError):
    reason, code = "MethodNotAllowed", 405


class NotAcceptable(ApiError):
    reason, code = "NotAcceptable", 406


class TooLarge(ApiError):
    reason, code = "RequestEntityTooLarge", 413


class UnsupportedMediaType(ApiError):
    reason, code = "UnsupportedMediaType", 415


class TooManyRequests(ApiError):
    reason, code = "TooManyRequests", 429


class Timeout(ApiError):
    reason, code = "Timeout", 504


@dataclass(frozen=True, slots=True)
class Request:
    """`path` has no trailing slashes. Header names are in lower case. `query` has the first of repeated parameters,
    `all` every one."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    all: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        """A boolean parameter: anything but ``0`` and ``false`` is true, as in apimachinery's `conversion.go`."""
        return name in self.query and self.query[name].lower() not in ("0", "false")

    def check_timeout(self) -> None:
        """Raises `BadRequest` for a `timeout` that is no duration."""
        if (value := self.query.get("timeout")) and not _DURATION.fullmatch(value):
            shown = json.dumps(value[:64])
            raise BadRequest(f"invalid timeout specified in the request URL - time: invalid duration {shown}")

    def number(self, name: str, *, signed: bool = False) -> int | None:
        value = self.query.get(name)
        if not value:
            return None
        go = "ParseInt" if signed else "ParseUint"
        digits = value.removeprefix("-") if signed else value
        if not digits.isascii() or not digits.isdigit():
            raise BadRequest(f'strconv.{go}: parsing "{value[:64]}": invalid syntax')
        if len(digits) > 20 or int(digits) >= 1 << (63 if signed else 64):
            raise BadRequest(f'strconv.{go}: parsing "{value[:64]}": value out of range')
        return int(value)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Listing:
    """An answer that may be long: `items` are encoded one by one, and joined by `finish`."""

    items: Iterable[bytes]
    finish: Callable[[list[bytes]], Answer]

    async def answer(self) -> Answer:
        """Pauses regularly, so that other requests are served in between."""
        made: list[bytes] = []
        for item in self.items:
            made.append(item)
            if len(made) % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return self.finish(made)


def encoded(value: Any) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        # Decoders reject lone surrogates. Should one get here nevertheless, it must not break all later answers.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def cached(request: Request, body: bytes, content_type: str) -> Answer:
    """An answer with an `ETag`, or 304 without a body if the client has it."""
    mark = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = (("etag", mark), ("vary", "Accept"))
    if mark in request.headers.get("if-none-match", ""):
        return Answer(b"", 304, content_type, headers)
    return Answer(body, 200, content_type, headers)


async def read(scope: Scope, receive: Receive) -> Request:
    """Raises `TooLarge`, and `BadRequest` for a request that is incomplete or invalid."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away before its request was read")
        size += len(message.get("body", b""))
        if size > BODY_LIMIT:
            raise TooLarge(f"Request entity too large: limit is {BODY_LIMIT}")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    try:
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise BadRequest(f"unable to decode the query: {error}") from error
    path: str = scope["path"]
    return Request(
        method=scope["method"],
        path=path.rstrip("/") or "/",
        query={name: values[0] for name, values in query.items()},
        headers=headers,
        body=b"".join(parts),
        all={name: tuple(values) for name, values in query.items()},
    )


async def send_answer(send: Send, request: Request | None, result: Answer) -> None:
    headers = [("content-type", result.content_type), ("cache-control", "no-cache, private"), *result.headers]
    body = result.body
    # Like kube-apiserver, compresses only large answers, and only if the client accepts it.
    if len(body) > 128 * 1024 and request is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, compresslevel=1)
        headers += [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
    headers.append(("content-length", str(len(body))))
    raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": result.status, "headers": raw})
    for start in range(0, max(len(body), 1), _CHUNK):
        more = start + _CHUNK < len(body)
        await send({"type": "http.response.body", "body": body[start : start + _CHUNK], "more_body": more})
        if more:
            await asyncio.sleep(0)


def warning_headers(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("warning", text) for text in _warnings(texts))


def _warnings(texts: Sequence[str]) -> Iterator[str]:
    """The values of `Warning` headers: RFC 7234, section 5.5, in the form of apimachinery's `util/net`.

    If all together are longer than 4 KiB, each is cut to 256 characters, and those that still do not fit are omitted,
    as in kube-apiserver.
    """
    room = _WARNINGS
    cut = sum(map(len, texts)) > _WARNINGS
    for text in texts:
        shown = text[:_CUT] if cut else text
        room -= len(shown)
        if room < 0:
            return
        quoted = visible(shown).replace("\\", "\\\\").replace('"', '\\"')
        yield f'299 - "{quoted}"'


_WARNINGS, _CUT = 4096, 256  # characters
