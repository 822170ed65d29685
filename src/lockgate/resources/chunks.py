"""Splits a file's text into documents before parsing, so that a broken document does not hide others.

YAML is split at document markers. JSON objects may follow each other without markers, as kubectl allows, and a JSON
``List`` is split into its items. Every pass over the text is linear and builds only positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from lockgate.resources.codes import reading as codes
from lockgate.resources.faults import Code, Fault, Position

MAX_TEXT = 16 * 1024 * 1024  # characters of a file
MAX_DOCUMENTS = 20_000  # of a file
MAX_DIRECTIVES = 100  # of a document; libyaml compares each with all before it
MAX_NODES = 300_000  # maps, lists and values of one YAML document or JSON object
MAX_DEPTH = 100  # levels of maps and lists


@dataclass(frozen=True, slots=True)
class Chunk:
    """One document's text. `line` and `column` count the lines and characters of the file before it."""

    file: str
    line: int
    text: str
    column: int = 0

    def position(self, line: int = 0, column: int = 0) -> Position:
        return Position(self.file, self.line + line + 1, column + 1 + (self.column if line == 0 else 0))

    def position_at(self, index: int) -> Position:
        """The position of the character at `index`."""
        line = self.text.count("\n", 0, index)
        return self.position(line, index - self.text.rfind("\n", 0, index) - 1)

    def first(self) -> Position:
        """The start of the content, after the document marker, directives and comments."""
        return self.position_at(max(_content(self.text, 0, len(self.text), _BODY), 0))


def split(text: str, file: str) -> Iterator[Chunk | Fault]:
    """The documents of a text, without those that contain only comments. A fault reports text that is not read."""
    start = line = 0
    for count, mark in enumerate(_MARK.finditer(text)):
        if count > 2 * MAX_DOCUMENTS:
            yield too_many(Position(file, line + 1))
            return
        # `...` ends a document with its line; `---` begins one, and directives (%YAML) before it belong to it.
        at = mark.end() if mark[0].startswith(".") else mark.start()
        if _only_directives(text, start, at):
            continue
        yield from _document(text, start, at, file, line)
        line += text.count("\n", start, at)
        start = at
    yield from _document(text, start, len(text), file, line)


_MARK = re.compile(r"^(?:---(?=[ \t\r\n]|\Z)|\.\.\.[ \t]*+(?:#[^\n]*+)?\r?(?:\n|\Z))", re.MULTILINE)
_MARK_LINE = re.compile(r"(?:---|\.\.\.)[ \t]*+(?:#[^\n]*+)?\r?(?:\n|\Z)")
_DIRECTIVE = re.compile("^%", re.MULTILINE)
# A line's first character that is neither space nor comment; then the same without directives.
_TEXT = re.compile(r"^[ \t\r]*+[^ \t\r\n#]", re.MULTILINE)
_BODY = re.compile(r"^(?!%)[ \t\r]*+[^ \t\r\n#]", re.MULTILINE)


def _content(text: str, start: int, end: int, first: re.Pattern[str] = _TEXT) -> int:
    """The index of the first character of content after at most one document marker; -1 if there is none."""
    found = first.search(text, start, end)
    if found and (mark := _MARK_LINE.match(text, found.end() - 1, end)):
        found = first.search(text, mark.end(), end)
    if not found:
        return -1
    at = found.end() - 1
    return at + 4 if text.startswith(("--- ", "---\t"), at) else at


def _only_directives(text: str, start: int, end: int) -> bool:
    found = _TEXT.search(text, start, end)
    return found is not None and found[0] == "%" and not _BODY.search(text, start, end)


def _document(text: str, start: int, end: int, file: str, line: int) -> Iterator[Chunk | Fault]:
    at = _content(text, start, end)
    if at >= 0 and text[at] == "%" and any(islice(_DIRECTIVE.finditer(text, at, end), MAX_DIRECTIVES, None)):
        yield limit(codes.TOO_MANY_DIRECTIVES, Position(file, line + 1))
        return
    if at < 0 or (text.startswith("...", at) and _MARK_LINE.fullmatch(text, at, end)):
        return
    if text[at] == "{" and (pieces := _json(text, at, end, file, line + text.count("\n", start, at))):
        yield from pieces
    else:
        yield Chunk(file, line, text[start:end])


# --- JSON ------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[][{},]', re.DOTALL)
_OBJECT = re.compile(r'[ \t\r\n]*+(?=\{[ \t\r\n]*+["}])')
_SPACE = re.compile(r"[ \t\r\n]*+")


def _json(text: str, start: int, end: int, file: str, line: int) -> list[Chunk | Fault]:
    """The objects of a JSON stream. Empty for YAML flow style or broken JSON, which YAML's parser reports better."""
    pieces: list[Chunk | Fault] = []
    at = start
    while begin := _OBJECT.match(text, at, end):
        line += text.count("\n", at, begin.end())
        at = begin.end()
        column = at - text.rfind("\n", 0, at) - 1
        scan = _scan(text, at, end)
        if isinstance(scan, Code):
            return [*pieces, limit(scan, Position(file, line + 1, column + 1))]
        whole = Chunk(file, line, text[at : scan.end], column)
        pieces += _items(whole, at, scan.items) if scan.items else [whole]
        if len(pieces) > MAX_DOCUMENTS:
            break  # the reader stops here too
        line += text.count("\n", at, scan.end)
        at = scan.end
    else:
        space = _SPACE.match(text, at, end)
        if space and space.end() < end:
            return []
    return pieces


def _items(whole: Chunk, begin: int, items: tuple[tuple[int, int], ...]) -> Iterator[Chunk]:
    line = counted = 0
    for start, end in items:
        start, end = start - begin, end - begin
        line += whole.text.count("\n", counted, start)
        column = start - whole.text.rfind("\n", 0, start) - 1
        yield Chunk(whole.file, whole.line + line, whole.text[start:end], column + (whole.column if not line else 0))
        counted = start


@dataclass(frozen=True, slots=True)
class _Scan:
    """The end of a JSON object, and the start and end of each item of a List."""

    end: int
    items: tuple[tuple[int, int], ...] = ()


def _scan(text: str, start: int, end: int) -> _Scan | Code:
    """Finds the end of the object at `start`, from brackets and quotes only. A code says why it cannot be read."""
    items: list[tuple[int, int]] = []
    depth = nodes = total = listed = 0
    key = kind = ""  # the outer object's last key, and its `kind`
    item = start
    for token in _TOKEN.finditer(text, start, end):
        sign = token[0]
        if sign == ",":
            nodes += 1
            listed += depth == 2 and key == _ITEMS
        elif sign == "{" or sign == "[":
            depth += 1
            nodes += 1
            if depth > MAX_DEPTH:
                return codes.TOO_DEEP
            if depth == 3 and key == _ITEMS:
                item = token.start()
        elif sign == "}" or sign == "]":
            depth -= 1
            if depth == 2 and key == _ITEMS and sign == "}":
                items.append((item, token.end()))
                total, nodes = total + nodes, 0  # each item is a document of its own
                if len(items) > MAX_DOCUMENTS:
                    return codes.LONG_LIST
            elif depth == 0:
                if kind.endswith('List"') and len(items) == listed + 1:
                    return _Scan(token.end(), tuple(items))
                return codes.TOO_MANY_VALUES if total + nodes > MAX_NODES else _Scan(token.end())
        elif depth == 1:
            if key == '"kind"' and not kind:
                kind = sign
            key = sign
        if nodes > MAX_NODES:
            return codes.TOO_MANY_VALUES
    return _Scan(end)


_ITEMS = '"items"'
_LIMITS = {
    codes.LIMIT: f"{MAX_TEXT // (1024 * 1024)} MiB",
    codes.TOO_DEEP: MAX_DEPTH,
    codes.TOO_MANY_VALUES: f"{MAX_NODES:,}",
    codes.TOO_MANY_DIRECTIVES: MAX_DIRECTIVES,
    codes.LONG_LIST: f"{MAX_DOCUMENTS:,}",
    codes.TOO_MANY_DOCUMENTS: f"{MAX_DOCUMENTS:,}",
}


def limit(code: Code, position: Position) -> Fault:
    """The fault for text beyond one of the limits above."""
    return code.at(position, limit=_LIMITS[code])


def too_many(position: Position) -> Fault:
    return limit(codes.TOO_MANY_DOCUMENTS, position)
