"""Writes results of the query and rest-xml protocols as XML, by the service's model.

A list of rules has thousands of elements. So each shape is compiled once into a function that only appends text.
Source: Smithy, "AWS query protocol" and "AWS restXml protocol".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Write = Callable[[Any, list[str]], None]


def escaped(text: str) -> str:
    """Escapes text for XML. Characters that XML lacks become U+FFFD."""
    return escape(UNWRITABLE.sub("\ufffd", text), {"\r": "&#13;"})


class Writer:
    """The writer of one service. Members that go into headers are not in the body."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._writes: dict[str, Write] = {}

    def query(self, operation: Any, result: Any, request_id: str) -> str:
        shape = operation.output_shape
        parts = [f'<{operation.name}Response xmlns="{self._model.metadata["xmlNamespace"]}">']
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
            parts.append(f"<{wrapper}>")
            self._write(shape)(result, parts)
            parts.append(f"</{wrapper}>")
        parts.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>")
        parts.append(f"</{operation.name}Response>")
        return "".join(parts)

    def rest(self, operation: Any, result: Any, namespace: str) -> str:
        parts = [f'<?xml version="1.0"?>\n<{operation.name}Response xmlns="{namespace}">']
        if operation.output_shape is not None:
            self._write(operation.output_shape)(result, parts)
        parts.append(f"</{operation.name}Response>")
        return "".join(parts)

    def _write(self, shape: Any) -> Write:
        """The function that writes a value's content, without its own element."""
        if shape.name not in self._writes:
            # Registered before it is compiled, for recursive shapes.
            self._writes[shape.name] = lambda value, parts: self._writes[shape.name](value, parts)
            self._writes[shape.name] = self._made(shape)
        return self._writes[shape.name]

    def _made(self, shape: Any) -> Write:
        match shape.type_name:
            case "structure":
                return _structure(list(self._members(shape)))
            case "list":
                return _list(self._item_name(shape), self._write(shape.member))
            case "map":
                names = (shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value"))
                return _map(names, self._write(shape.value))
            case "boolean":
                return lambda value, parts: parts.append("true" if value else "false")
            case "timestamp":
                return lambda value, parts: parts.append(_timestamp(value))
            case "blob":
                return lambda value, parts: parts.append(base64.b64encode(value).decode())
            case _:
                return lambda value, parts: parts.append(escaped(str(value)))

    def _members(self, shape: Any) -> Iterator[tuple[str, str, str, Write]]:
        """Each member's key, opening and closing tag, and writer. A flattened list has no element."""
        for key, member in shape.members.items():
            if "location" in member.serialization:
                continue
            name = member.serialization.get("name", key)
            if member.type_name == "list" and member.serialization.get("flattened"):
                yield key, "", "", _list(name, self._write(member.member))
            else:
                yield key, f"<{name}>", f"</{name}>", self._write(member)

    def _item_name(self, shape: Any) -> str:
        return str(shape.member.serialization.get("name", "member"))


def _structure(members: list[tuple[str, str, str, Write]]) -> Write:
    def write(value: Any, parts: list[str]) -> None:
        for key, opening, closing, inside in members:
            item = value.get(key)
            if item is not None:
                parts.append(opening)
                inside(item, parts)
                parts.append(closing)

    return write


def _list(name: str, item: Write) -> Write:
    opening, closing = f"<{name}>", f"</{name}>"

    def write(value: Any, parts: list[str]) -> None:
        for each in value:
            parts.append(opening)
            item(each, parts)
            parts.append(closing)

    return write


def _map(names: tuple[str, str], item: Write) -> Write:
    key_name, value_name = names

    def write(value: Any, parts: list[str]) -> None:
        for key, each in value.items():
            parts.append(f"<entry><{key_name}>{escaped(str(key))}</{key_name}><{value_name}>")
            item(each, parts)
            parts.append(f"</{value_name}></entry>")

    return write


def _timestamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
