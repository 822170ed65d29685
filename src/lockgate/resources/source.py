"""Text to values and back to places: YAML as Kubernetes reads it, through libyaml, or JSON.

A file is cut at its document marks before anything is parsed, so that a broken document hides no other. Values are
read without their places; a place is looked up, by parsing that one document again, only when something is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser

from lockgate.resources import codes
from lockgate.resources.codes import Code
from lockgate.resources.field_errors import Path
from lockgate.resources.finding import Finding, Position
from lockgate.resources.scalars import plain_scalar

MAX_TEXT = 32 * 1024 * 1024
MAX_DEPTH = 100
# Aliases may add this many nodes to a document beyond those that are written in it.
MAX_EXPANSION = 100_000

Node: TypeAlias = yaml.Node


@dataclass(frozen=True, slots=True)
class Chunk:
    """One document's text. `line` is how many lines of the file come before it."""

    file: str
    line: int
    text: str

    def position(self, line: int = 0, column: int = 0) -> Position:
        return Position(self.file, self.line + line + 1, column + 1)


class Unreadable(Exception):
    """A document without a value; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def split(text: str, file: str) -> Iterator[Chunk]:
    """The documents of a text, cut at ``---`` and ``...``; those with nothing but comments are left out."""
    start = line = 0
    for mark in _MARK.finditer(text):
        # `...` ends a document with its line; `---` begins one, and directives (%YAML) before it belong to it.
        at = mark.end() if mark[0].startswith(".") else mark.start()
        if _DIRECTIVES.fullmatch(text, start, at):
            continue
        chunk = text[start:at]
        yield from _chunks(file, line, chunk)
        line += chunk.count("\n")
        start = at
    yield from _chunks(file, line, text[start:])


_MARK = re.compile(r"^(?:---(?=[ \t\r\n]|\Z)|\.\.\.[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))", re.MULTILINE)
_DIRECTIVES = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*%[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)*")
_NOTHING = re.compile(r"(?:---[ \t]*)?(?:[ \t\r]*(?:#[^\n]*)?(?:\n|\Z))*(?:\.\.\.[ \t\r\n]*)?")


def _chunks(file: str, line: int, text: str) -> Iterator[Chunk]:
    if _NOTHING.fullmatch(text):
        return
    if text.lstrip().startswith("{"):
        yield from _json_stream(Chunk(file, line, text))
    else:
        yield Chunk(file, line, text)


def _json_stream(chunk: Chunk) -> Iterator[Chunk]:
    """Several JSON objects may follow each other without a mark between them, as kubectl allows."""
    text, start = chunk.text, 0
    decoder = json.JSONDecoder()
    pieces: list[Chunk] = []
    while start < len(text.rstrip()):
        begin = len(text) - len(text[start:].lstrip())
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            # Not JSON after all: YAML's flow style, or broken, which the YAML parser will say better.
            yield from (pieces or [])
            rest = text[start:] if pieces else text
            yield Chunk(chunk.file, chunk.line + text.count("\n", 0, start if pieces else 0), rest)
            return
        pieces.append(Chunk(chunk.file, chunk.line + text.count("\n", 0, begin), text[begin:end]))
        start = end
    yield from pieces


def load(chunk: Chunk, findings: list[Finding]) -> Any:
    """The document's value: dicts with string keys, lists, strings, numbers, booleans, None.

    Raises Unreadable. What can be read in spite of a fault (a key that comes twice) is told in `findings`.
    """
    if chunk.text.startswith("{"):
        try:
            return _Json(chunk, findings).value()
        except (ValueError, RecursionError):
            pass
    node = _compose(chunk)
    if node is None:
        return None
    return _Reader(chunk, findings, len(chunk.text) + MAX_EXPANSION).value(node, 0)


def locate(chunk: Chunk, path: Path, *, key: bool = False) -> Position:
    """Where the value at `path` is: a scalar's own place, a map's or list's key. Else the nearest thing above it.

    With `key`, the place of the last key itself.
    """
    node = _located(chunk)
    if node is None:
        return chunk.position()
    place = node
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        label, node = found
        place = label if key or not isinstance(node, yaml.ScalarNode) else node
    return _position(chunk, place)


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        # The last of equal keys is the one that counts; merged maps come after the map's own keys.
        for label, value in reversed(node.value):
            if isinstance(label, yaml.ScalarNode) and label.value == part:
                return label, value
        for merged in _merged(node):
            if found := _child(merged, part):
                return found
    return None


def _merged(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    for label, value in node.value:
        if isinstance(label, yaml.ScalarNode) and label.value == "<<":
            for one in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if isinstance(one, yaml.MappingNode) and one is not node:
                    yield one


class _Parser(CParser):
    """libyaml's composer with tags resolved as cheaply as can be: only plain scalars need a second look."""

    def descend_resolver(self, parent: object, index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass

    def resolve(self, kind: type[Node], value: object, implicit: Any) -> str:
        return "plain" if kind is yaml.ScalarNode and implicit[0] else ""


@lru_cache(maxsize=4)
def _located(chunk: Chunk) -> Node | None:
    try:
        return _compose(chunk)
    except Unreadable:
        return None


def _compose(chunk: Chunk) -> Node | None:
    """The document's nodes, None for an empty one. Raises Unreadable."""
    if _may_be_deep(chunk.text):
        _refuse_depth(chunk)
    try:
        node: Node | None = _Parser(chunk.text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_syntax(chunk, error)) from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(_encoding(chunk, error)) from None
    except UnicodeEncodeError as error:
        raise Unreadable(_not_unicode(chunk, error)) from None
    except RecursionError:
        raise Unreadable(_too_deep(chunk, chunk.position())) from None
    return node


def _may_be_deep(text: str) -> bool:
    # Every level costs a bracket or, on some line, a column: what has few of both is shallow. Composing recurses in C,
    # where a hundred thousand levels end the process.
    brackets = text.count("[") + text.count("{")
    return brackets > 500 or max(map(len, text.split("\n"))) > 2000


def _refuse_depth(chunk: Chunk) -> None:
    parser, depth = _Parser(chunk.text), 0
    try:
        while parser.check_event():
            event = parser.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise Unreadable(_too_deep(chunk, _position(chunk, event)))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, UnicodeEncodeError):
        return  # composing will say it


def _position(chunk: Chunk, thing: Node | yaml.Event) -> Position:
    mark = thing.start_mark
    return chunk.position(mark.line, mark.column) if mark else chunk.position()


class _Reader:
    def __init__(self, chunk: Chunk, findings: list[Finding], budget: int) -> None:
        self._chunk = chunk
        self._findings = findings
        self._budget = budget

    def value(self, node: Node, depth: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return plain_scalar(node.value) if node.tag == "plain" else self._tagged(node)
        self._budget -= len(node.value) + 1
        if self._budget < 0:
            raise self._refused(codes.LIMIT, node, "aliases make this document larger than is allowed")
        if depth >= MAX_DEPTH:
            raise Unreadable(_too_deep(self._chunk, self._place(node)))
        if isinstance(node, yaml.MappingNode):
            return self._map(node, depth + 1)
        return [self.value(item, depth + 1) for item in node.value]

    def _map(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[Node] = []
        for label, item in node.value:
            key = label.value
            # Nearly all keys are words that stand for themselves.
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
                raise Unreadable(template(self._chunk, self._place(label)))
            raise self._refused(codes.SYNTAX, label, "a key has to be a single value, and this is a list or a map")
        if label.tag != "plain":
            return str(label.value)
        value = plain_scalar(label.value)
        if value is None:
            raise self._refused(codes.SYNTAX, label, "a key has to be text, and this is null")
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def _merge(self, result: dict[str, Any], node: Node, depth: int) -> None:
        for one in node.value if isinstance(node, yaml.SequenceNode) else (node,):
            if not isinstance(one, yaml.MappingNode):
                raise self._refused(codes.SYNTAX, one, "`<<` takes a map, or a list of maps")
            if depth >= MAX_DEPTH:
                raise Unreadable(_too_deep(self._chunk, self._place(one)))
            for key, item in self._map(one, depth + 1).items():
                result.setdefault(key, item)

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        """A quoted scalar is text; so is one with a tag of its own, but for YAML's tags of other types."""
        if node.tag in _TYPED_TAGS:
            value = plain_scalar(node.value)
            if not isinstance(value, _TYPED_TAGS[node.tag]):
                raise self._refused(codes.SYNTAX, node, f"`{node.value}` is not a {node.tag.rpartition(':')[2]}")
            return value
        return node.value

    def _twice(self, key: str, label: Node) -> None:
        self._findings.append(_duplicate_key(key, self._place(label)))

    def _refused(self, code: Code, node: Node, message: str) -> Unreadable:
        return Unreadable(code.finding(message, self._place(node)))

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
    def __init__(self, chunk: Chunk, findings: list[Finding]) -> None:
        self._chunk = chunk
        self._findings = findings
        self._twice: list[str] = []

    def value(self) -> Any:
        value = json.loads(self._chunk.text, object_pairs_hook=self._object, parse_constant=self._no_constant)
        if _depth_exceeds(value, MAX_DEPTH):
            raise Unreadable(_too_deep(self._chunk, self._chunk.position()))
        self._findings.extend(_duplicate_key(key, self._chunk.position()) for key in self._twice)
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[Hashable] = set()
            self._twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return result

    def _no_constant(self, name: str) -> Any:
        raise ValueError(name)


def _depth_exceeds(value: Any, limit: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    children = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_depth_exceeds(child, limit - 1) for child in children)


def template(chunk: Chunk, position: Position) -> Finding:
    return codes.TEMPLATE.finding(
        "this is a Helm template, not a manifest",
        position,
        mend="render it first: helm template CHART | lockgate … -",
    )


def _duplicate_key(key: str, position: Position) -> Finding:
    return codes.DUPLICATE_KEY.finding(
        f"`{key}` stands twice in one map; the last one counts", position, mend="remove one of them"
    )


def _too_deep(chunk: Chunk, position: Position) -> Finding:
    return codes.LIMIT.finding(f"maps and lists are nested deeper than {MAX_DEPTH} levels", position)


def _syntax(chunk: Chunk, error: yaml.MarkedYAMLError) -> Finding:
    mark = error.problem_mark or error.context_mark
    position = chunk.position(mark.line, mark.column) if mark else chunk.position()
    if _TEMPLATE_ACTION.search(chunk.text):
        line = next((n for n, text in enumerate(chunk.text.split("\n")) if "{{" in text), 0)
        return template(chunk, chunk.position(line))
    problem = f"{error.problem or ''} {error.context or ''}"
    for sign, message, mend in _SYNTAX_WORDS:
        if sign in problem:
            return codes.SYNTAX.finding(message, position, mend=mend)
    detail = ": ".join(part for part in (error.context, error.problem) if part)
    return codes.SYNTAX.finding(f"YAML that cannot be parsed: {detail}", position)


_TEMPLATE_ACTION = re.compile(r"\{\{-?\s*[\w.$\"(/]")

# libyaml's problems, by a part of their text, and what they mostly come from.
_SYNTAX_WORDS = (
    (
        "character that cannot start any token",
        "this character cannot begin a value",
        "indent with spaces, never tabs; quote a value that begins with @, ` or %",
    ),
    (
        "mapping values are not allowed",
        "a `:` where no key can be",
        "line the key up with its neighbours, or quote a value that has `: ` in it",
    ),
    (
        "did not find expected key",
        "a key was expected here: this line is out of line with its neighbours, or a quote or bracket is open",
        "indent the entries of one map alike",
    ),
    (
        "could not find expected ':'",
        "a key without its `:`",
        "write `key: value`, and quote text that runs over lines",
    ),
    (
        "did not find expected '-' indicator",
        "an entry of a list was expected here",
        "begin every entry with `- ` in one column",
    ),
    ("found unexpected end of stream", "a quote that is opened here or before is never closed", "close the quote"),
    ("found undefined alias", "an alias (`*name`) without its anchor (`&name`)", "define the anchor in this document"),
    ("found undefined tag handle", "a tag (`!name`) that is not defined", "remove the tag"),
    ("found unknown escape character", "an unknown escape in double quotes", "use single quotes, or `\\\\`"),
    ("expected a single document", "a second document without `---` before it", "put `---` between documents"),
    (
        "did not find expected ',' or",
        "a bracket that is not closed, or a missing comma",
        "close it with the bracket that opened it",
    ),
    (
        "block sequence entries are not allowed",
        "a list entry (`- `) where none can be",
        "put the list on lines of its own",
    ),
)


def _encoding(chunk: Chunk, error: yaml.reader.ReaderError) -> Finding:
    before = chunk.text[: error.position] if isinstance(error.position, int) else ""
    character = error.character if isinstance(error.character, int) else 0
    return codes.ENCODING.finding(
        f"the character U+{character:04X} is not allowed in YAML",
        chunk.position(before.count("\n"), len(before) - before.rfind("\n") - 1),
        mend="remove it",
    )


def _not_unicode(chunk: Chunk, error: UnicodeEncodeError) -> Finding:
    before = chunk.text[: error.start]
    place = chunk.position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    return codes.ENCODING.finding("half of a surrogate pair is no character", place, mend="save the file as UTF-8")
