"""Writes JSON as messages. Fields that a message does not have are left out, as a cluster would not have kept them."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.protobuf.messages import Field, fields_of
from lockgate.embedded.kubernetes.protobuf.wire import BYTES, FIXED64, VARINT, delimited, tag, varint
from lockgate.resources.model import JsonObject

Write: TypeAlias = Callable[[Any], bytes]  # the field of a value, with its tag


class Unwritable(ValueError):
    """A value has another type than its field."""


def write(message: str, value: JsonObject) -> bytes:
    """Raises `Unwritable`."""
    by_name, inlined = _table(message)
    parts: list[bytes] = []
    for name, item in value.items():
        if item is not None and (field := by_name.get(name)):
            try:
                parts.append(field(item))
            except Unwritable as error:
                raise Unwritable(f"{name}.{error}") from error
            except (TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
                raise Unwritable(f"{name}: {error}") from error
    for start, inner in inlined:
        if body := write(inner, value):
            parts.append(delimited(start, body))
    return b"".join(parts)


@cache
def _table(message: str) -> tuple[dict[str, Write], tuple[tuple[bytes, str], ...]]:
    """Writers by JSON name, and inlined messages with their tags."""
    own = fields_of(message)
    inlined = tuple((tag(field.number, BYTES), field.of) for field in own if not field.name)
    return {field.name: _writer(field) for field in own if field.name}, inlined


def _writer(field: Field) -> Write:
    match field.many:
        case "*":
            one = _single(field.number, field.of)
            return lambda items: b"".join([one(item) for item in items])
        case "%":
            start, key, value = tag(field.number, BYTES), _single(1, "s"), _single(2, field.of)
            return lambda items: b"".join([delimited(start, key(name) + value(item)) for name, item in items.items()])
        case _:
            return _single(field.number, field.of)


def _single(number: int, of: str) -> Write:
    match of:
        case "i" | "z":
            start = tag(number, VARINT)
            return lambda value: start + varint(_whole(value))
        case "d":
            start = tag(number, FIXED64)
            return lambda value: start + struct.pack("<d", value)
        case _:
            start = tag(number, BYTES)
            body = _BODIES.get(of) or partial(write, of)
            return lambda value: delimited(start, body(value))


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} is not a number")
    return value


def _text(value: Any) -> bytes:
    encoded: bytes = value.encode("utf-8", "replace")
    return encoded


def _time(value: Any) -> bytes:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    whole = moment.astimezone(UTC)
    seconds = int(whole.replace(microsecond=0).timestamp())
    return b"\x08" + varint(seconds) + b"\x10" + varint(whole.microsecond * 1000)


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(b"\x1a", value.encode())
    return b"\x08\x00\x10" + varint(_whole(value)) + b"\x1a\x00"


def _quantity(value: Any) -> bytes:
    return delimited(b"\x0a", str(value).encode())


def _json(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return delimited(b"\x0a", text.encode("utf-8", "replace"))


def _extra(value: Any) -> bytes:
    return b"".join([delimited(b"\x0a", each.encode()) for each in value])


def _schema(start: bytes, value: Any) -> bytes:
    return delimited(start, write("apiextensions/v1.JSONSchemaProps", value))


def _or_bool(value: Any) -> bytes:
    return b"\x08" + varint(value) if isinstance(value, bool) else b"\x08\x01" + _schema(b"\x12", value)


def _or_array(value: Any) -> bytes:
    return b"".join(_schema(b"\x12", each) for each in value) if isinstance(value, list) else _schema(b"\x0a", value)


def _or_strings(value: Any) -> bytes:
    return (
        b"".join(delimited(b"\x12", each.encode()) for each in value)
        if isinstance(value, list)
        else _schema(b"\x0a", value)
    )


_BODIES: dict[str, Write] = {
    "s": _text,
    "b": lambda value: base64.b64decode(value, validate=True),
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _time,
    "meta/v1.FieldsV1": _json,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": _quantity,
    "runtime.RawExtension": _json,
    "apiextensions/v1.JSON": _json,
    "ExtraValue": _extra,
    "apiextensions/v1.JSONSchemaPropsOrBool": _or_bool,
    "apiextensions/v1.JSONSchemaPropsOrArray": _or_array,
    "apiextensions/v1.JSONSchemaPropsOrStringArray": _or_strings,
}
