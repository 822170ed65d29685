"""Reads JSON in annotations as Go's encoding/json reads it into typed fields.

Object keys match field names in any case, unknown keys are ignored, ``null`` means unset, and types are strict. So
``"Type"`` and ``"RedirectConfig"`` in older manifests work, while a number for a status code does not. The later of two
equal keys wins, but two objects for one field add up: Go decodes the second into the value that is there. Map keys,
as in listen-ports, are case-sensitive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from lockgate.ingress.annotations.values import Malformed

T = TypeVar("T")

# The result of json.loads, with `_Pairs` for objects. It is Any because Python's recursive aliases do not narrow.
Raw: TypeAlias = Any


def decode(raw: str, read: Callable[[Node], T]) -> T:
    """Parses `raw`, and reads its root with `read`. Raises `Malformed` with the message of Go's decoder."""
    try:
        value = json.loads(raw, object_pairs_hook=_Pairs, parse_float=_Float, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Malformed(_go_error(raw, error)) from None
    except (RecursionError, ValueError) as error:
        raise Malformed(f"invalid JSON: {error}") from None
    return read(Node(_paired(value) if "\\u" in raw else value))


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value that is read into a Go field; `struct` and `path` name the field in errors."""

    value: Raw
    struct: str = ""
    path: str = ""

    @property
    def is_null(self) -> bool:
        return self.value is None

    def object(self, struct: str) -> Fields:
        """The fields of a struct, which Go calls `struct`; null is a struct without fields."""
        if self.value is None:
            return Fields((), struct, self.path)
        if not isinstance(self.value, _Pairs):
            raise self._mismatch(f"ingress.{struct}")
        return Fields(self.value.pairs, struct, self.path)

    def entries(self, go_type: str = "string") -> list[tuple[str, Node]]:
        """A Go map to `go_type`: keys as written; the last duplicate wins."""
        if self.value is None:
            return []
        if not isinstance(self.value, _Pairs):
            raise self._mismatch(f"map[string]{go_type}")
        return [(key, Node(value, self.struct, self.path)) for key, value in dict(self.value.pairs).items()]

    def items(self, go_type: str = "[]string") -> list[Node]:
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self._mismatch(go_type)
        return [Node(item, self.struct, self.path) for item in self.value]

    def string(self) -> str | None:
        if self.value is None or isinstance(self.value, str):
            return self.value
        raise self._mismatch("string")

    def boolean(self) -> bool | None:
        if self.value is None or isinstance(self.value, bool):
            return self.value
        raise self._mismatch("bool")

    def integer(self, bits: int = 32) -> int | None:
        if self.value is None:
            return None
        limit = 1 << (bits - 1)
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not -limit <= self.value < limit:
            raise self._mismatch(f"int{bits}")
        return self.value

    def strings(self) -> tuple[str, ...]:
        """A list of strings; a null item is an empty string, as in Go."""
        return tuple(item.string() or "" for item in self.items())

    def int_or_string(self) -> int | str | None:
        """Kubernetes' IntOrString."""
        if isinstance(self.value, str):
            return self.value
        return self.integer()

    def _mismatch(self, go_type: str) -> Malformed:
        match self.value:
            case _Pairs():
                found = "object"
            case list():
                found = "array"
            case str():
                found = "string"
            case bool():
                found = "bool"
            case _:
                found = (
                    "number" if go_type.startswith(("string", "bool", "[]", "map")) else f"number {_digits(self.value)}"
                )
        into = f"Go struct field {self.struct}.{self.path} of type" if self.path else "Go value of type"
        return Malformed(f"json: cannot unmarshal {found} into {into} {go_type}")


class Fields:
    """The fields of a struct with Go's lookup: names match in any case; of two keys the later one wins or, if both are
    objects, their fields add up."""

    __slots__ = ("_by_folded_name", "_path", "_struct")

    def __init__(self, pairs: Iterable[tuple[str, Raw]], struct: str, path: str) -> None:
        self._by_folded_name: dict[str, Raw] = {}
        for key, value in pairs:
            earlier = self._by_folded_name.get(key.casefold())
            if isinstance(earlier, _Pairs) and isinstance(value, _Pairs):
                value = _Pairs([*earlier.pairs, *value.pairs])
            self._by_folded_name[key.casefold()] = value
        self._struct = struct
        self._path = path

    def __getitem__(self, name: str) -> Node:
        value = self._by_folded_name.get(name.casefold())
        return Node(value, self._struct, f"{self._path}.{name}" if self._path else name)


class _Float(float):
    """A number with a fraction or an exponent, with its text."""

    def __new__(cls, text: str) -> _Float:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str


def _digits(value: Raw) -> str:
    return value.text if isinstance(value, _Float) else str(value)


class _Pairs:
    """An object's items as written, including duplicate keys."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Raw]]) -> None:
        self.pairs = pairs


def _paired(value: Raw) -> Raw:
    """Replaces unpaired surrogates by U+FFFD, as Go does: they are not characters, and no API accepts them."""
    match value:
        case str():
            return re.sub("[\ud800-\udfff]", "\ufffd", value)
        case list():
            return [_paired(item) for item in value]
        case _Pairs():
            return _Pairs([(_paired(key), _paired(item)) for key, item in value.pairs])
        case _:
            return value


def _no_constant(name: str) -> Raw:
    raise ValueError(f"{name} is not JSON")


def _go_error(raw: str, error: json.JSONDecodeError) -> str:
    """Python's error in Go's words, which users search for."""
    position = error.pos
    while position < len(raw) and raw[position] in " \t\r\n" and not error.msg.startswith("Invalid"):
        position += 1
    if error.msg.startswith("Invalid \\"):
        position += 1  # Python points at the backslash
    if position >= len(raw) or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    char = raw[position]
    found = f"invalid character {_go_char(char)}"
    match error.msg.partition(" ")[0], error.msg:
        case _, "Expecting value":
            return f"{found} looking for beginning of value"
        case _, "Expecting property name enclosed in double quotes":
            return f"{found} looking for beginning of object key string"
        case _, "Illegal trailing comma before end of object":
            return "invalid character '}' looking for beginning of object key string"
        case _, "Illegal trailing comma before end of array":
            return "invalid character ']' looking for beginning of value"
        case _, "Expecting ':' delimiter":
            return f"{found} after object key"
        case _, "Expecting ',' delimiter":
            inside = "array element" if _in_array(raw[:position]) else "object key:value pair"
            return f"{found} after {inside}"
        case "Extra", _:
            return f"{found} after top-level value"
        case _, "Invalid control character at":
            return f"{found} in string literal"
        case _:
            return f"{found} in string escape code"


def _go_char(char: str) -> str:
    return {"'": r"'\''", '"': "'\"'", "\n": r"'\n'", "\t": r"'\t'", "\r": r"'\r'"}.get(char, f"'{char}'")


def _in_array(before: str) -> bool:
    """Whether the innermost open bracket at the end of `before` is a list's."""
    stack: list[str] = []
    in_string = escaped = False
    for char in before:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            stack.append(char)
        elif char in "]}" and stack:
            stack.pop()
    return bool(stack) and stack[-1] == "["
