"""Parses a document's text, YAML as Kubernetes reads it (through libyaml) or JSON, and locates paths in it.

Values are parsed without positions. A position is looked up, by parsing that document again, only for a fault. Reading
is bounded by node counts, never by time, including depth, aliases and merges.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser

from lockgate.resources import syntax
from lockgate.resources.chunks import MAX_DEPTH, MAX_NODES, Chunk, limit
from lockgate.resources.codes import reading as codes
from lockgate.resources.faults import Fault, Position
from lockgate.resources.field_errors import Path
from lockgate.resources.scalars import plain_scalar
from lockgate.resources.unicode import ESCAPED_SURROGATE, without_surrogates

# Aliases and merges may add this many nodes to the written ones.
MAX_EXPANSION = 100_000
_MOST_DUPLICATES = 10  # reported per document

Node: TypeAlias = yaml.Node


class Unreadable(Exception):
    """The document has no value; `fault` says why. `in_syntax` says it of text that is no manifest by intention, where
    `fault` may only say that it is none."""

    def __init__(self, fault: Fault, in_syntax: Fault | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.in_syntax = in_syntax or fault


def load(chunk: Chunk, faults: list[Fault]) -> Any:
    """The document's value: dicts with string keys, lists, strings, numbers, booleans, None.

    Raises Unreadable. Faults that do not prevent reading (a duplicate key) are appended to `faults`.
    """
    if chunk.text.startswith("{"):
        try:
            return _Json(chunk, faults).value()
        except (ValueError, RecursionError):
            pass
    node = _compose(chunk)
    if node is None:
        return None
    return _Reader(chunk, faults).value(node, 0)


def locate(chunk: Chunk, path: Path, *, key: bool = False) -> Position:
    """The position of the value at `path`: a scalar's own, a map's or list's key; else of its nearest parent.

    With `key`, the position of the last key.
    """
    node = _located(chunk) if len(chunk.text) < _LARGE else _located_large(chunk)
    if node is None:
        return chunk.position()
    place = node
    for part in path:
        found = _child(node, part, set())
        if found is None:
            break
        label, node = found
        place = label if key or not isinstance(node, yaml.ScalarNode) else node
    return _position(chunk, place)


def compose(chunk: Chunk) -> Node | None:
    """The document's nodes with their marks, None if it is empty. Raises Unreadable."""
    return _compose(chunk)


def path_at(chunk: Chunk, line: int, column: int) -> Path:
    """The path of the field at a position in the file: the deepest one that begins there or before. Both count from 1.

    It is the inverse of `locate`, for text that parses; else the path is empty.
    """
    node = _located(chunk) if len(chunk.text) < _LARGE else _located_large(chunk)
    row = line - chunk.line - 1
    place = (row, column - 1 - (chunk.column if row == 0 else 0))
    path: list[str | int] = []
    while node is not None and not isinstance(node, yaml.ScalarNode) and len(path) < MAX_DEPTH:
        node = _next(node, place, path)
    return tuple(path)


def _next(node: Node, place: tuple[int, int], path: list[str | int]) -> Node | None:
    """The child at or before the place, of which the part is added to the path."""
    found: tuple[str | int, Node] | None = None
    if isinstance(node, yaml.MappingNode):
        for label, value in node.value:
            if _start(label) <= place and isinstance(label, yaml.ScalarNode):
                found = (label.value, value)
    else:
        for index, item in enumerate(node.value):
            if _start(item) <= place or found is None:
                found = (index, item)
    if found is None or (isinstance(node, yaml.MappingNode) and _start(found[1]) < _start(node)):  # an alias
        return None
    path.append(found[0])
    return found[1]


def _start(node: Node) -> tuple[int, int]:
    return (node.start_mark.line, node.start_mark.column)


def forget() -> None:
    """Drops the nodes of large documents that `locate` caches."""
    _located_large.cache_clear()


def _child(node: Node, part: str | int, seen: set[int]) -> tuple[Node, Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode) and id(node) not in seen:
        seen.add(id(node))
        # Of equal keys the last one counts; merged maps come after the map's own keys.
        for label, value in reversed(node.value):
            if isinstance(label, yaml.ScalarNode) and label.value == part:
                return label, value
        for merged in _merged(node):
            if found := _child(merged, part, seen):
                return found
    return None


def _merged(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    for label, value in node.value:
        if isinstance(label, yaml.ScalarNode) and label.value == "<<":
            for one in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if isinstance(one, yaml.MappingNode):
                    yield one


class _Parser(CParser):
    """libyaml's composer with minimal tag resolution: plain scalars are resolved later.

    Composing recurses in C, where a hundred thousand levels crash the process, and a node takes half a kilobyte, so
    both depth and nodes are counted during composition.
    """

    def __init__(self, chunk: Chunk) -> None:
        super().__init__(chunk.text)
        self._chunk = chunk
        self._depth = 0
        self._left = MAX_NODES

    def descend_resolver(self, parent: object, index: object) -> None:
        self._left -= 1
        self._depth += 1
        # A scalar is one level below the deepest map or list that is allowed.
        if self._left < 0 or self._depth > MAX_DEPTH + 1:
            event = self.peek_event()
            raise Unreadable(
                limit(codes.TOO_MANY_VALUES if self._left < 0 else codes.TOO_DEEP, _position(self._chunk, event))
            )

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[Node], value: object, implicit: Any) -> str:
        return "plain" if kind is yaml.ScalarNode and implicit[0] else ""


_LARGE = 256 * 1024  # characters


@lru_cache(maxsize=4)
def _located(chunk: Chunk) -> Node | None:
    try:
        return _compose(Chunk(chunk.file, chunk.line, ESCAPED_SURROGATE.sub(r"\\u0020", chunk.text), chunk.column))
    except Unreadable:
        return None


@lru_cache(maxsize=1)
def _located_large(chunk: Chunk) -> Node | None:
    return _located.__wrapped__(chunk)


def _compose(chunk: Chunk) -> Node | None:
    """The document's nodes, None if it is empty. Raises Unreadable."""
    try:
        node: Node | None = _Parser(chunk).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(syntax.broken(chunk, error), syntax.invalid(chunk, error)) from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(syntax.forbidden_character(chunk, error)) from None
    except UnicodeEncodeError as error:
        raise Unreadable(syntax.not_unicode(chunk, error)) from None
    return node


def _position(chunk: Chunk, thing: Node | yaml.Event | None) -> Position:
    mark = thing.start_mark if thing else None
    return chunk.position(mark.line, mark.column) if mark else chunk.position()


class _Reader:
    def __init__(self, chunk: Chunk, faults: list[Fault]) -> None:
        self._chunk = chunk
        self._faults = faults
        self._budget = MAX_NODES + MAX_EXPANSION
        self._duplicates = 0

    def value(self, node: Node, depth: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return plain_scalar(node.value) if node.tag == "plain" else self._tagged(node)
        if depth >= MAX_DEPTH:
            raise Unreadable(limit(codes.TOO_DEEP, self._place(node)))
        if isinstance(node, yaml.MappingNode):
            return self._map(node, depth + 1)
        self._count(node)
        return [self.value(item, depth + 1) for item in node.value]

    def _count(self, node: Node) -> None:
        self._budget -= len(node.value) + 1
        if self._budget < 0:
            raise Unreadable(codes.TOO_MANY_ALIASES.at(self._place(node)))

    def _map(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        self._count(node)
        result: dict[str, Any] = {}
        merges: list[Node] = []
        for label, item in node.value:
            key = label.value
            # Nearly all keys are plain words.
            if label.tag != "plain" or key in _SPECIAL_WORDS or not key.isidentifier():
                if key == "<<" and label.tag == "plain":
                    merges.append(item)
                    continue
                key = self._key(label)
            if key in result:
                self._twice(key, label)
            result[key] = plain_scalar(item.value) if item.tag == "plain" else self.value(item, depth)
        for merge in merges:
            self._merge(result, merge, depth)
        return result

    def _key(self, label: Node) -> str:
        if not isinstance(label, yaml.ScalarNode):
            if "{{" in self._chunk.text:
                raise Unreadable(syntax.template(self._place(label)))
            raise self._refused(label, "a key must be a single value, not a list or a map")
        if label.tag != "plain":
            return str(label.value)
        value = plain_scalar(label.value)
        if value is None:
            raise self._refused(label, "a key must not be null")
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def _merge(self, result: dict[str, Any], node: Node, depth: int) -> None:
        for one in node.value if isinstance(node, yaml.SequenceNode) else (node,):
            if not isinstance(one, yaml.MappingNode):
                raise self._refused(one, "`<<` takes a map, or a list of maps")
            if depth >= MAX_DEPTH:
                raise Unreadable(limit(codes.TOO_DEEP, self._place(one)))
            for key, item in self._map(one, depth + 1).items():
                result.setdefault(key, item)

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        """A quoted scalar is text; so is one with a custom tag, but not one with YAML's tags of other types."""
        if node.tag in _TYPED_TAGS:
            value = plain_scalar(node.value)
            if not isinstance(value, _TYPED_TAGS[node.tag]):
                raise self._refused(node, f"`{node.value[:80]}` does not fit its tag !!{node.tag.rpartition(':')[2]}")
            return value
        return node.value

    def _twice(self, key: str, label: Node) -> None:
        self._duplicates += 1
        if self._duplicates <= _MOST_DUPLICATES:
            self._faults.append(codes.DUPLICATE_KEY.at(self._place(label), key=key))

    def _refused(self, node: Node, problem: str) -> Unreadable:
        return Unreadable(codes.SYNTAX.at(self._place(node), problem=problem))

    def _place(self, node: Node) -> Position:
        return _position(self._chunk, node)


_SPECIAL_WORDS = frozenset(
    f(word)
    for word in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    for f in (str, str.title, str.upper)
)
_TYPED_TAGS: dict[str, Any] = {
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": (int, float),
    "tag:yaml.org,2002:bool": bool,
    "tag:yaml.org,2002:null": type(None),
}


class _Json:
    """Depth and number of values were already checked when the document was split off."""

    def __init__(self, chunk: Chunk, faults: list[Fault]) -> None:
        self._chunk = chunk
        self._faults = faults
        self._twice: list[str] = []

    def value(self) -> Any:
        text = self._chunk.text
        value = json.loads(text, object_pairs_hook=self._object, parse_constant=self._no_constant)
        self._faults.extend(
            codes.DUPLICATE_KEY.at(self._chunk.position(), key=key) for key in self._twice[:_MOST_DUPLICATES]
        )
        return without_surrogates(value) if ESCAPED_SURROGATE.search(text) else value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[Hashable] = set()
            self._twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return result

    def _no_constant(self, name: str) -> Any:
        raise ValueError(name)
