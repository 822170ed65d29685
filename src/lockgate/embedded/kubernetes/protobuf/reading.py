"""Reads messages as JSON, with the fields that Go's JSON has."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.protobuf.messages import SCALARS, Field, fields_of
from lockgate.embedded.kubernetes.protobuf.wire import Malformed, fields, read_varint
from lockgate.resources.model import JsonObject

Read: TypeAlias = Callable[[Any], Any]  # of a raw value: an int, or a view of bytes
_DEEPEST = 200  # like `bodies.check_depth`


def read(message: str, data: memoryview, depth: int = 0) -> JsonObject:
    """Raises `Malformed`. Unknown fields are ignored, as by Go."""
    if depth > _DEEPEST:
        raise Malformed(f"exceeded max depth {_DEEPEST}")
    by_number, always = _table(message)
    result: JsonObject = dict(always)
    for number, raw in fields(data):
        field = by_number.get(number)
        if field is None:
            continue
        try:
            _add(result, field, raw, depth + 1)
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise Malformed(f"{message}.{field.name}: {error}") from error
    return result


def _add(result: JsonObject, field: Field, raw: Any, depth: int) -> None:
    match field.many:
        case "*":
            result.setdefault(field.name, []).extend(_value(field.of, each, depth) for each in _each(field.of, raw))
        case "%":
            entry = dict(fields(raw))
            key: Any = entry.get(1, b"")
            value = _value(field.of, entry.get(2, memoryview(b"")), depth)
            result.setdefault(field.name, {})[_text(key)] = value
        case _:
            value = _value(field.of, raw, depth)
            if field.name == "":
                result.update(value)
            elif field.pointer or field.always or not _is_zero(value):
                result[field.name] = value


def _each(of: str, raw: Any) -> Iterator[Any]:
    """The items of a repeated field: one, or packed numbers."""
    if of not in "iz" or isinstance(raw, int):
        yield raw
        return
    at = 0
    while at < len(raw):
        number, at = read_varint(raw, at)
        yield number


def _value(of: str, raw: Any, depth: int) -> Any:
    reader = _READERS.get(of)
    return reader(raw) if reader else _SPECIAL[of](raw, depth) if of in _SPECIAL else read(of, raw, depth)


def _is_zero(value: Any) -> bool:
    return value is None or value == 0 or value == "" or value == {}


@cache
def _table(message: str) -> tuple[dict[int, Field], JsonObject]:
    """Fields by number, and the scalars that JSON always contains, with their zero values."""
    own = fields_of(message)
    zero = {field.name: _ZERO[field.of] for field in own if field.always and field.of in SCALARS}
    return {field.number: field for field in own}, zero


_ZERO: dict[str, Any] = {"s": "", "b": "", "i": 0, "z": False, "d": 0}


def _text(raw: Any) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _bytes(raw: Any) -> str:
    return base64.b64encode(raw).decode()


def _integer(raw: Any) -> int:
    if not isinstance(raw, int):
        raise Malformed("wrong wireType")
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _flag(raw: Any) -> bool:
    return bool(_integer(raw))


def _double(raw: Any) -> float | int:
    number: float = struct.unpack("<d", struct.pack("<Q", raw))[0]
    return int(number) if number.is_integer() else number


def _moment(raw: Any) -> datetime | None:
    parts = dict(fields(raw))
    if not parts:
        return None
    return datetime.fromtimestamp(_integer(parts.get(1, 0)), UTC).replace(microsecond=_integer(parts.get(2, 0)) // 1000)


def _time(raw: Any) -> str | None:
    moment = _moment(raw)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _micro_time(raw: Any) -> str | None:
    moment = _moment(raw)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _int_or_string(raw: Any) -> int | str:
    parts = dict(fields(raw))
    return _text(parts.get(3, b"")) if parts.get(1) == 1 else _integer(parts.get(2, 0))


def _quantity(raw: Any) -> str:
    return _text(dict(fields(raw)).get(1, b"")) or "0"


def _json(raw: Any) -> Any:
    """JSON text in a message: arbitrary values of defaults, managed fields and extensions."""
    text = bytes(dict[int, Any](fields(raw)).get(1, b"")).decode("utf-8", "replace")
    return json.loads(text) if text else None


def _extra(raw: Any) -> list[str]:
    return [_text(value) for _, value in fields(raw)]


def _or_bool(raw: Any, depth: int) -> Any:
    parts = dict(fields(raw))
    return read(_SCHEMA, parts[2], depth) if 2 in parts else _flag(parts.get(1, 0))  # type: ignore[arg-type]


def _or_array(raw: Any, depth: int) -> Any:
    parts: list[tuple[int, Any]] = list(fields(raw))
    listed = [read(_SCHEMA, each, depth) for number, each in parts if number == 2]
    return listed or next((read(_SCHEMA, each, depth) for number, each in parts if number == 1), None)


def _or_strings(raw: Any, depth: int) -> Any:
    parts: list[tuple[int, Any]] = list(fields(raw))
    listed = [_text(each) for number, each in parts if number == 2]
    return listed or next((read(_SCHEMA, each, depth) for number, each in parts if number == 1), None)


_SCHEMA = "apiextensions/v1.JSONSchemaProps"
_READERS: dict[str, Read] = {
    "s": _text,
    "b": _bytes,
    "i": _integer,
    "z": _flag,
    "d": _double,
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _micro_time,
    "meta/v1.FieldsV1": _json,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": _quantity,
    "runtime.RawExtension": _json,
    "apiextensions/v1.JSON": _json,
    "ExtraValue": _extra,
}
_SPECIAL: dict[str, Callable[[Any, int], Any]] = {
    "apiextensions/v1.JSONSchemaPropsOrBool": _or_bool,
    "apiextensions/v1.JSONSchemaPropsOrArray": _or_array,
    "apiextensions/v1.JSONSchemaPropsOrStringArray": _or_strings,
}
