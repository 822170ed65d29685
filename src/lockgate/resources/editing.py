"""Changes one field in the text of a manifest, and not one character besides.

The parser says where each node begins. A change replaces the text of a value, or inserts or removes whole lines or
entries, in the style around it: block or flow, the indentation and the quotes of its neighbours. Comments stay where
they are. (A round trip through a YAML library keeps comments too, and reformats the rest.)

A change that cannot be made so is refused: a value behind an alias or a merge, for example. Whatever was made is read
again, and must have the changed field and differ in nothing else.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import yaml

from lockgate.resources import source
from lockgate.resources.chunks import Chunk
from lockgate.resources.faults import Edit, Remove, Set
from lockgate.resources.field_errors import Path
from lockgate.resources.scalars import plain_scalar
from lockgate.resources.source import Node, Unreadable

Label: TypeAlias = str | int


class CannotEdit(Exception):
    """The text has a form in which the change cannot be made. The message says which."""


def edited(chunk: Chunk, path: Path, edit: Edit) -> Chunk:
    """The document with the change. `path` is the field's in the document, which may be inside of a List.

    Raises `CannotEdit`.
    """
    try:
        before = source.load(chunk, [])
        root = source.compose(chunk)
    except Unreadable as error:
        raise CannotEdit("it cannot be read") from error
    if root is None or not path:
        raise CannotEdit("there is no such field")
    desired = _changed(before, path, edit)
    if desired == before:
        return chunk
    made = replace(chunk, text=_Text(chunk.text).changed(root, path, edit))
    try:
        after = source.load(made, [])
    except Unreadable as error:
        raise CannotEdit("the text has a form that is not understood") from error
    if after != desired:
        raise CannotEdit("the value is shared through an alias or a merge")
    return made


def _changed(value: Any, path: Path, edit: Edit) -> Any:
    """The value with the change."""
    value = deepcopy(value)
    inner = value
    for part, after in pairwise(path):
        if isinstance(inner, dict) and isinstance(part, str):
            if inner.get(part) is None:
                if isinstance(edit, Remove) or isinstance(after, int):
                    raise CannotEdit("there is no such field")
                inner[part] = {}
            inner = inner[part]
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
        else:
            raise CannotEdit("there is no such field")
    last = path[-1]
    match inner, edit:
        case dict(), Set(value=new) if isinstance(last, str):
            inner[last] = new
        case list(), Set(value=new) if isinstance(last, int) and last <= len(inner):
            inner[last : last + 1] = [new]
        case dict(), Remove() if last in inner:
            del inner[last]
        case list(), Remove() if isinstance(last, int) and last < len(inner):
            del inner[last]
        case _:
            raise CannotEdit("there is no such field")
    return value


class _Text:
    """A document's text. Each method returns the whole text with a change."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._json = text.startswith("{")
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def changed(self, root: Node, path: Path, edit: Edit) -> str:
        node = root
        for depth, part in enumerate(path[:-1]):
            child = _child(node, part)
            if child is None or _is_null(child):
                assert isinstance(edit, Set)
                return self._set(node, part, _nested(path[depth + 1 :], edit.value))
            node = child
        return self._set(node, path[-1], edit.value) if isinstance(edit, Set) else self._remove(node, path[-1])

    # --- set ---------------------------------------------------------------------------------------------------------

    def _set(self, parent: Node, label: Label, value: object) -> str:
        child = _child(parent, label)
        if child is not None:
            return self._replaced(parent, child, value)
        if not parent.value:
            return self._put(_begin(parent), _end(parent), self._wrapped(parent, label, value))
        last = parent.value[-1]
        first = parent.value[0]
        key, node = last if isinstance(parent, yaml.MappingNode) else (last, last)
        beside = first[0] if isinstance(parent, yaml.MappingNode) else first
        if _is_flow(parent):
            at = self._content_end(node)
            space = " " if self._line_start(_begin(key)) is None else self._text[self._break(_begin(key)) : _begin(key)]
            return self._put(at, at, f",{space}{self._entry(parent, label, value, flow=True)}")
        column = self._dash(beside) if isinstance(parent, yaml.SequenceNode) else beside.start_mark.column
        at = self._line_end(self._content_end(node))
        text = self._entry(parent, label, value, flow=False, indent=column)
        return self._put(at, at, f"\n{' ' * column}{text}")

    def _wrapped(self, parent: Node, label: Label, value: object) -> str:
        entry = self._entry(parent, label, value, flow=True)
        return f"{{{entry}}}" if isinstance(parent, yaml.MappingNode) else f"[{entry}]"

    def _entry(self, parent: Node, label: Label, value: object, *, flow: bool, indent: int = 0) -> str:
        if isinstance(parent, yaml.SequenceNode):
            return self._flow(value) if flow else f"- {_block(value, indent + 2).lstrip()}"
        key = json.dumps(label) if self._json else _scalar(label)
        if flow:
            return f"{key}: {self._flow(value)}"
        text = _block(value, indent + 2)
        return f"{key}:{text if text.startswith(chr(10)) else f' {text}'}"

    def _replaced(self, parent: Node, child: Node, value: object) -> str:
        start, end = _begin(child), self._content_end(child)
        if isinstance(child, yaml.ScalarNode):
            if start == end:  # null without a word: `key:`
                return self._put(start, start, f" {self._flow(value)}")
            return self._put(start, end, self._like(child, value))
        if _is_flow(child) or not child.value:
            return self._put(start, end, self._flow(value))
        if isinstance(child, yaml.SequenceNode) and isinstance(value, list) and value:
            column = self._dash(child.value[0])
            first = self._text.rindex("-", 0, _begin(child.value[0]))
            items = (f"- {_block(item, column + 2).lstrip()}" for item in value)
            return self._put(first, end, f"\n{' ' * column}".join(items))
        raise CannotEdit("it is a block of several lines")

    def _like(self, child: yaml.ScalarNode, value: object) -> str:
        """A scalar with the quotes of the one before."""
        if isinstance(value, str) and child.style == "'" and "\n" not in value:
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
        if isinstance(value, str) and child.style == '"':
            return _quoted(value)
        return self._flow(value)

    def _flow(self, value: object) -> str:
        return json.dumps(value) if self._json else _flow(value)

    # --- remove ------------------------------------------------------------------------------------------------------

    def _remove(self, parent: Node, label: Label) -> str:
        entries = parent.value
        index = _index(parent, label)
        if index is None:
            raise CannotEdit("the field is merged from elsewhere")
        begins = [self._entry_begin(parent, entry) for entry in entries]
        end = self._content_end(entries[index][1] if isinstance(entries[index], tuple) else entries[index])
        if len(entries) == 1:
            if _is_flow(parent):
                return self._put(begins[0], end, "")
            empty = "{}" if isinstance(parent, yaml.MappingNode) else "  []"
            return self._put(begins[0], end, empty)
        if _is_flow(parent):
            if index + 1 < len(entries):
                return self._put(begins[index], begins[index + 1], "")
            before = entries[index - 1]
            return self._put(self._content_end(before[1] if isinstance(before, tuple) else before), end, "")
        line = self._line_start(begins[index])
        if line is None:  # the first entry of an item of a list: the next one takes its place
            if index + 1 == len(entries):
                raise CannotEdit("it shares its line")
            return self._put(begins[index], begins[index + 1], "")
        after = self._text.find("\n", end)
        return self._put(line, after + 1 if after >= 0 else len(self._text), "")

    def _entry_begin(self, parent: Node, entry: Any) -> int:
        """The start of a key, or of an item with its dash."""
        if isinstance(entry, tuple):
            return _begin(entry[0])
        return _begin(entry) if _is_flow(parent) else self._text.rindex("-", 0, _begin(entry))

    # --- places ------------------------------------------------------------------------------------------------------

    def _put(self, start: int, end: int, text: str) -> str:
        return self._text[:start] + text.replace("\n", self._newline) + self._text[end:]

    def _break(self, at: int) -> int:
        """The line break before `at`."""
        return self._text.rindex("\n", 0, at)

    def _line_start(self, at: int) -> int | None:
        """The start of the line, if only spaces are before `at`."""
        start = self._text.rfind("\n", 0, at) + 1
        return None if self._text[start:at].strip(" ") else start

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at)
        end = len(self._text) if found < 0 else found
        return end - 1 if self._text[end - 1 : end] == "\r" else end

    def _dash(self, item: Node) -> int:
        """The column of the dash before an item of a block sequence."""
        at = self._text.rindex("-", 0, _begin(item))
        return at - (self._text.rfind("\n", 0, at) + 1)

    def _content_end(self, node: Node) -> int:
        """The end of a node's text. The parser gives blocks an end that is after the comments behind them."""
        if isinstance(node, yaml.ScalarNode):
            end = _end(node)
            if node.style in ("|", ">"):
                return len(self._text[:end].rstrip(" \t\r\n"))
            return end
        if _is_flow(node) or not node.value:
            return _end(node)
        last = node.value[-1]
        return self._content_end(last[1] if isinstance(last, tuple) else last)


def _begin(node: Node) -> int:
    return int(node.start_mark.index)


def _end(node: Node) -> int:
    return int(node.end_mark.index)


def _is_flow(node: Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _is_null(node: Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "plain" and plain_scalar(node.value) is None


def _child(node: Node, label: Label) -> Node | None:
    index = _index(node, label)
    if index is None:
        return None
    entry = node.value[index]
    return entry[1] if isinstance(entry, tuple) else entry  # type: ignore[no-any-return]


def _index(node: Node, label: Label) -> Any:
    """The index of an entry in a node; of equal keys, the last one counts."""
    if isinstance(node, yaml.MappingNode):
        keys = [_key(key) for key, _ in node.value]
        return len(keys) - 1 - keys[::-1].index(label) if label in keys else None
    if isinstance(node, yaml.SequenceNode) and isinstance(label, int) and label < len(node.value):
        return label
    return None


def _key(label: Node) -> object:
    """A key as it is read: a plain ``yes`` is the text true."""
    value = plain_scalar(label.value) if label.tag == "plain" else label.value
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _nested(path: Path, value: object) -> object:
    for part in reversed(path):
        value = {part: value}
    return value


# --- values as text --------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.@-]*(?::[A-Za-z0-9_/.@-]+)*|[0-9]+[a-z]{1,2}")


def _quoted(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    """As YAML escapes a character, which is as JSON does below U+10000."""
    return f"\\u{ord(character):04x}" if character <= "\uffff" else f"\\U{ord(character):08x}"


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and plain_scalar(value) == value:
        return value
    return _quoted(value)


def _flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return _scalar(value)


def _block(value: object, indent: int) -> str:
    """A value after its key: on the same line, or with a line break before each entry."""
    space = "\n" + " " * indent
    match value:
        case dict() if value:
            return "".join(
                f"{space}{_scalar(key)}:{text if text.startswith(chr(10)) else f' {text}'}"
                for key, item in value.items()
                for text in (_block(item, indent + 2),)
            )
        case list() if any(isinstance(item, dict | list) for item in value):
            return "".join(f"{space}- {_block(item, indent + 2).lstrip()}" for item in value)
        case _:
            return _flow(value)
