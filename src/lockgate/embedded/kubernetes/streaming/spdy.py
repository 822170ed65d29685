"""SPDY/3.1, the server's side, without I/O: bytes in, events out, and frames to send.

Only Kubernetes still speaks it, and no maintained Python library does. A connection carries streams that the client
opens with headers (SYN_STREAM); the server replies (SYN_REPLY), both sides send DATA, and either side ends its half of
a stream with FIN, or the whole stream with RST_STREAM. Headers are compressed with one zlib stream per direction, which
starts with a dictionary that the protocol defines; so every header block must be read, even of refused streams.

The server reports the data that it has taken with WINDOW_UPDATE. It does not wait for the client's: Kubernetes' clients
never send any, and TCP holds back a server whose client does not read.

Source: "SPDY Protocol - Draft 3.1", sections 2.2 to 2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

MOST_STREAMS: Final = 256  # open ones of a connection
LONGEST_FRAME: Final = 1 << 20
LONGEST_HEADERS: Final = 16 * 1024  # inflated
_FIN: Final = 1
_VERSION: Final = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 6, 7, 8, 9
REFUSED_STREAM, PROTOCOL_ERROR = 3, 1
_UPDATED_AFTER: Final = 32 * 1024  # bytes: half of a window

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _sized(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


DICTIONARY: Final = b"".join(_sized(word.replace("_", " ").encode()) for word in _WORDS.split()) + _REST.encode()


class ProtocolError(Exception):
    """The client broke the protocol or a limit; the message says how. The connection must end."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opened a stream. `ended` is whether it sends no data on it."""

    stream: int
    headers: Mapping[str, str]
    ended: bool


@dataclass(frozen=True, slots=True)
class Data:
    stream: int
    data: bytes
    ended: bool


@dataclass(frozen=True, slots=True)
class Reset:
    stream: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The client opens no more streams."""


Event: TypeAlias = Opened | Data | Reset | Ended


class Connection:
    """One connection. After any call, `outgoing` returns the bytes to send."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._out: list[bytes] = []
        self._last = 0  # the client's last stream
        self._receiving: set[int] = set()
        self._sending: set[int] = set()
        self._taken: dict[int, int] = {}  # bytes that are not reported yet; stream 0 is the connection

    def receive(self, data: bytes) -> Iterator[Event]:
        """Raises `ProtocolError`."""
        self._buffer += data
        while len(self._buffer) >= 8:
            word, flagged = struct.unpack(">II", self._buffer[:8])
            flags, length = flagged >> 24, flagged & 0xFFFFFF
            if length > LONGEST_FRAME:
                raise ProtocolError(f"a frame of {length} bytes, more than {LONGEST_FRAME}")
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if word >> 31:
                if (word >> 16) & 0x7FFF != _VERSION:
                    raise ProtocolError(f"SPDY version {(word >> 16) & 0x7FFF}, not {_VERSION}")
                yield from self._control(word & 0xFFFF, flags, payload)
            else:
                yield from self._data(word, flags, payload)

    def outgoing(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    def reply(self, stream: int) -> None:
        """Accepts a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._frame(_SYN_REPLY, struct.pack(">I", stream) + block)

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends data on an open stream. With `end`, it is the last."""
        if stream not in self._sending:
            return  # it was reset meanwhile
        for start in range(0, max(len(data), 1), LONGEST_FRAME):
            part = data[start : start + LONGEST_FRAME]
            last = end and start + LONGEST_FRAME >= len(data)
            if part or last:
                self._out.append(struct.pack(">II", stream, (_FIN if last else 0) << 24 | len(part)) + part)
        if end:
            self._sending.discard(stream)

    def reset(self, stream: int, status: int) -> None:
        self._close(stream)
        self._frame(_RST_STREAM, struct.pack(">II", stream, status))

    def go_away(self, status: int) -> None:
        self._frame(_GOAWAY, struct.pack(">II", self._last, status))

    def took(self, stream: int, size: int) -> None:
        """Data of a stream was passed on, so that the client may send as much again."""
        for each in (stream, 0):
            self._taken[each] = self._taken.get(each, 0) + size
            if self._taken[each] >= _UPDATED_AFTER and (each == 0 or each in self._receiving):
                self._frame(_WINDOW_UPDATE, struct.pack(">II", each, self._taken.pop(each)))

    # --- the client's frames -------------------------------------------------------------------------------------

    def _control(self, kind: int, flags: int, payload: bytes) -> Iterator[Event]:
        match kind:
            case 1:
                yield from self._opened(flags, payload)
            case 3:
                stream, _ = _numbers(payload)
                self._close(stream)
                yield Reset(stream)
            case 6:
                (number,) = struct.unpack(">I", payload) if len(payload) == 4 else (0,)
                if number % 2:  # an even one answers a ping of ours
                    self._frame(_PING, payload)
            case 7:
                yield Ended()
            case 8:
                self._headers(payload[4:])
            case _:
                pass  # settings, windows, credentials: nothing here depends on them

    def _opened(self, flags: int, payload: bytes) -> Iterator[Event]:
        if len(payload) < 10:
            raise ProtocolError("a SYN_STREAM that is too short")
        stream = struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF
        headers = self._headers(payload[10:])
        if stream % 2 == 0 or stream <= self._last:
            raise ProtocolError(f"stream {stream} after {self._last}")
        self._last = stream
        if len(self._receiving | self._sending) >= MOST_STREAMS:
            self._frame(_RST_STREAM, struct.pack(">II", stream, REFUSED_STREAM))
            return
        self._sending.add(stream)
        if not flags & _FIN:
            self._receiving.add(stream)
        yield Opened(stream, headers, bool(flags & _FIN))

    def _data(self, stream: int, flags: int, payload: bytes) -> Iterator[Event]:
        if stream not in self._receiving:
            if stream == 0 or stream > self._last:
                raise ProtocolError(f"data of stream {stream}, which is not open")
            return  # it was reset; the client did not know yet
        if flags & _FIN:
            self._receiving.discard(stream)
        yield Data(stream, payload, bool(flags & _FIN))

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block, LONGEST_HEADERS)
        except zlib.error as error:
            raise ProtocolError(f"headers that cannot be inflated: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"headers of more than {LONGEST_HEADERS} bytes")
        try:
            return dict(_pairs(raw))
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise ProtocolError("invalid headers") from error

    def _close(self, stream: int) -> None:
        self._receiving.discard(stream)
        self._sending.discard(stream)
        self._taken.pop(stream, None)

    def _frame(self, kind: int, payload: bytes) -> None:
        self._out.append(struct.pack(">HHI", 0x8000 | _VERSION, kind, len(payload)) + payload)


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    (count,) = struct.unpack_from(">I", raw)
    at = 4
    for _ in range(count):
        texts: list[str] = []
        for _ in range(2):
            (size,) = struct.unpack_from(">I", raw, at)
            if at + 4 + size > len(raw):
                raise ValueError
            texts.append(raw[at + 4 : at + 4 + size].decode())
            at += 4 + size
        yield texts[0].lower(), texts[1].partition("\0")[0]


def _numbers(payload: bytes) -> tuple[int, int]:
    if len(payload) != 8:
        raise ProtocolError("a RST_STREAM of a wrong size")
    stream, status = struct.unpack(">II", payload)
    return stream & 0x7FFFFFFF, status
