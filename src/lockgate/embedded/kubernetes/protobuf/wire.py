"""Protobuf's wire format: varints, tags, and the fields of a message."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5


class Malformed(ValueError):
    """Invalid bytes."""


def varint(number: int) -> bytes:
    """Negative numbers are written as 64 bits."""
    number &= (1 << 64) - 1
    if number < 0x80:
        return _SMALL[number]
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL: Final = [bytes((number,)) for number in range(0x80)]


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def delimited(start: bytes, body: bytes) -> bytes:
    """A field of bytes; `start` is its tag."""
    return start + varint(len(body)) + body


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and raw values: numbers without their type, or views of bytes. Raises `Malformed`."""
    at, end = 0, len(data)
    try:
        while at < end:
            key, at = read_varint(data, at)
            match key & 7:
                case 0:
                    value, at = read_varint(data, at)
                    yield key >> 3, value
                case 1:
                    yield key >> 3, struct.unpack_from("<Q", data, at)[0]
                    at += 8
                case 2:
                    size, at = read_varint(data, at)
                    if at + size > end:
                        raise Malformed("unexpected EOF")
                    yield key >> 3, data[at : at + size]
                    at += size
                case 5:
                    yield key >> 3, struct.unpack_from("<I", data, at)[0]
                    at += 4
                case other:
                    raise Malformed(f"illegal wireType {other}")
    except (IndexError, struct.error):
        raise Malformed("unexpected EOF") from None


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise Malformed("integer overflow")
