"""The client's side of SPDY/3.1, for tests: frames by the specification, independent of the server's code."""

from __future__ import annotations

import struct
import zlib

from lockgate.embedded.kubernetes.streaming.spdy import DICTIONARY


class Client:
    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = b""

    def open(self, stream: int, *, fin: bool = False, **headers: str) -> bytes:
        pairs = b"".join(_sized(name) + _sized(value) for name, value in headers.items())
        block = self._deflate.compress(struct.pack(">I", len(headers)) + pairs) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, struct.pack(">IIH", stream, 0, 0) + block, flags=1 if fin else 0)

    def received(self, data: bytes) -> list[tuple[str, int, bytes, bool]]:
        """The server's frames: the kind, the stream, the payload and whether it is the last."""
        self._buffer += data
        found: list[tuple[str, int, bytes, bool]] = []
        while len(self._buffer) >= 8:
            word, flagged = struct.unpack(">II", self._buffer[:8])
            flags, length = flagged >> 24, flagged & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                break
            payload, self._buffer = self._buffer[8 : 8 + length], self._buffer[8 + length :]
            if not word >> 31:
                found.append(("data", word, payload, bool(flags & 1)))
                continue
            assert word >> 16 == 0x8003
            kind = {2: "reply", 3: "reset", 6: "ping", 7: "goaway", 9: "window"}[word & 0xFFFF]
            stream = struct.unpack(">I", payload[:4])[0]
            rest = payload[4:]
            if kind == "reply":
                rest = self._inflate.decompress(rest)
            found.append((kind, stream, rest, False))
        return found


def control(kind: int, payload: bytes, *, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, flags << 24 | len(payload)) + payload


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (1 if fin else 0) << 24 | len(payload)) + payload


def _sized(text: str) -> bytes:
    return struct.pack(">I", len(text.encode())) + text.encode()
