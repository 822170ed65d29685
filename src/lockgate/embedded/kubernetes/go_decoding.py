"""Reads clients' JSON of built-in kinds as Go does: types, nulls, unknown fields.

A null is the zero value: it is dropped, or empty in a map. The first value of a wrong type is the error. Only Go knows
whether a number has 32 or 64 bits, so here all have 32 in messages.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime
from typing import Any

from lockgate.embedded.kubernetes.protobuf.messages import Field, fields_of, message_of
from lockgate.embedded.kubernetes.refusals import undecodable
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject, Kind

_GO: dict[str, str] = {"s": "string", "b": "[]uint8", "i": "int32", "z": "bool", "d": "float64"}
_ZERO: dict[str, Any] = {"s": "", "b": "", "i": 0, "z": False, "d": 0}
# Types with a JSON form of their own. What they contain is checked elsewhere.
_FREE = frozenset({"runtime.RawExtension", "ExtraValue", "resource.Quantity", "meta/v1.FieldsV1", "intstr.IntOrString"})


class _Mismatch(Exception):
    """A value that Go cannot read."""


def decoded(kind: Kind, version: str, body: JsonObject) -> tuple[JsonObject, list[Path]] | None:
    """An object as Go reads it, and its unknown fields; None for users' kinds. Raises `BadRequest`."""
    message = message_of(kind.api_version, kind.kind)
    if message is None:
        return None
    unknown: list[Path] = []
    head: JsonObject = {name: body[name] for name in ("apiVersion", "kind") if name in body}
    content = {name: value for name, value in body.items() if name not in head}
    try:
        return {**head, **_struct(message, content, (), unknown)}, unknown
    except _Mismatch as error:
        raise undecodable(kind, version, str(error)) from None


def _struct(message: str, value: JsonObject, path: Path, unknown: list[Path]) -> JsonObject:
    known = _known(message)
    result: JsonObject = {}
    for name, item in value.items():
        field = known.get(name)
        if field is None:
            unknown.append((*path, name))
        elif item is not None:
            result[name] = _field(message, field, item, (*path, name), unknown)
    return result


def _known(message: str) -> dict[str, Field]:
    result: dict[str, Field] = {}
    for field in fields_of(message):
        result |= {field.name: field} if field.name else _known(field.of)
    return result


def _field(message: str, field: Field, value: Any, path: Path, unknown: list[Path]) -> Any:
    match field.many:
        case "*":
            if not isinstance(value, list):
                raise _wrong(message, path, value, f"[]{_go(field.of)}")
            items = enumerate(value)
            return [_one(message, field.of, item, path, (*path, index), unknown) for index, item in items]
        case "%":
            if not isinstance(value, dict):
                raise _wrong(message, path, value, f"map[string]{_go(field.of)}")
            entries = value.items()
            return {name: _one(message, field.of, item, path, (*path, name), unknown) for name, item in entries}
        case _:
            return _one(message, field.of, value, path, path, unknown)


def _one(message: str, of: str, value: Any, path: Path, at: Path, unknown: list[Path]) -> Any:
    if value is None:
        return _ZERO.get(of, {})
    match of:
        case "s" if not isinstance(value, str):
            raise _wrong(message, path, value, "string")
        case "z" if not isinstance(value, bool):
            raise _wrong(message, path, value, "bool")
        case "i" if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(message, path, value, "int32")
        case "d" if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(message, path, value, "float64")
        case "b":
            return _bytes(message, path, value)
        case "meta/v1.Time" | "meta/v1.MicroTime":
            return _time(message, of, path, value)
        case "intstr.IntOrString" if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise _wrong(message, path, value, "int32")
        case _ if of in _GO or of in _FREE or of.startswith("apiextensions/v1.JSON"):
            return value
        case _:
            if of in ("meta/v1.Time", "meta/v1.MicroTime"):
                return value
            if not isinstance(value, dict):
                raise _wrong(message, path, value, _go(of))
            return _struct(of, value, at, unknown)
    return value


def _bytes(message: str, path: Path, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(message, path, value, "[]uint8")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
        at = next((index for index, character in enumerate(value) if character not in alphabet), len(value) // 4 * 4)
        raise _Mismatch(f"illegal base64 data at input byte {at}") from None
    return value


def _time(message: str, of: str, path: Path, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(message, path, value, "string")
    micro = of == "meta/v1.MicroTime"
    layout = f"2006-01-02T15:04:05{'.000000' if micro else ''}Z07:00"
    found = _TIME.fullmatch(value)
    if micro and found is not None and len(found["fraction"] or "") != 7:
        rest = json.dumps(f"{found['fraction'] or ''}{found['zone']}")
        raise _Mismatch(f'parsing time "{value}" as "{layout}": cannot parse {rest} as ".000000"')
    try:
        datetime.fromisoformat(value if found else "")
    except ValueError:
        raise _Mismatch(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"') from None
    return value


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d)")


def _go(of: str) -> str:
    return _GO.get(of) or f"v1.{of.rpartition('.')[2]}"


def _wrong(message: str, path: Path, value: Any, wanted: str) -> _Mismatch:
    found = {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(value), "number")
    if isinstance(value, float) and wanted == "int32":
        found = f"number {value}"
    names = ".".join(part for part in path if isinstance(part, str))
    struct = message.rpartition(".")[2]
    return _Mismatch(f"json: cannot unmarshal {found} into Go struct field {struct}.{names} of type {wanted}")
