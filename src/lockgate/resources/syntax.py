"""Faults for text that cannot be parsed."""

from __future__ import annotations

import re

import yaml

from lockgate.resources.chunks import Chunk
from lockgate.resources.codes import reading as codes
from lockgate.resources.faults import Fault, Position
from lockgate.resources.recognition import Other, recognize_text


def template(position: Position) -> Fault:
    return codes.TEMPLATE.at(position, count="")


def broken(chunk: Chunk, error: yaml.MarkedYAMLError) -> Fault:
    """The fault for an error of libyaml's parser."""
    if action := _TEMPLATE_ACTION.search(chunk.text):
        return template(chunk.position(chunk.text.count("\n", 0, action.start())))
    if other := recognize_text(chunk.file, chunk.text):
        return not_a_manifest(other, chunk.first())
    return invalid(chunk, error)


def invalid(chunk: Chunk, error: yaml.MarkedYAMLError) -> Fault:
    """The place where the syntax breaks, and why."""
    mark = error.problem_mark or error.context_mark
    position = chunk.position(mark.line, mark.column) if mark else chunk.position()
    problem = f"{error.problem or ''} {error.context or ''}"
    for sign, code in _SYNTAX.items():
        if sign in problem:
            unquoted = code is codes.OPEN_BRACKET and mark and _after_dollar(chunk.text, mark)
            return (codes.UNQUOTED_PLACEHOLDER if unquoted else code).at(position)
    return codes.SYNTAX.at(position, problem=": ".join(part for part in (error.context, error.problem) if part))


def _after_dollar(text: str, mark: yaml.Mark) -> bool:
    """Whether the mark is at the brace of ``${``."""
    line = "".join(text.split("\n", mark.line + 1)[mark.line : mark.line + 1])  # a flow that is not closed ends below
    return line[max(mark.column - 1, 0) : mark.column + 1] == "${"


def not_a_manifest(other: Other, position: Position) -> Fault:
    return codes.NOT_A_MANIFEST.at(position, found=other.name, hint=other.hint, count="")


def forbidden_character(chunk: Chunk, error: yaml.reader.ReaderError) -> Fault:
    before = chunk.text.encode()[: error.position].decode(errors="replace") if isinstance(error.position, int) else ""
    character = error.character if isinstance(error.character, int) else 0
    return codes.BAD_CODE_POINT.at(chunk.position_at(len(before)), character=f"U+{character:04X}")


def not_unicode(chunk: Chunk, error: UnicodeEncodeError) -> Fault:
    return codes.HALF_A_PAIR.at(chunk.position_at(error.start))


_TEMPLATE_ACTION = re.compile(r"\{\{-?\s*[\w.$\"(/]")

# libyaml's errors, by a part of their text, and their usual cause.
_SYNTAX = {
    "character that cannot start any token": codes.BAD_CHARACTER,
    "mapping values are not allowed": codes.UNEXPECTED_COLON,
    "did not find expected key": codes.EXPECTED_KEY,
    "could not find expected ':'": codes.MISSING_COLON,
    "did not find expected '-' indicator": codes.EXPECTED_ENTRY,
    "did not find expected node content": codes.EXPECTED_VALUE,
    "found unexpected end of stream": codes.OPEN_QUOTE,
    "found undefined alias": codes.NO_ANCHOR,
    "found undefined tag handle": codes.NO_TAG,
    "found unknown escape character": codes.BAD_ESCAPE,
    "expected a single document": codes.NO_SEPARATOR,
    "did not find expected ',' or": codes.OPEN_BRACKET,
    "block sequence entries are not allowed": codes.UNEXPECTED_ENTRY,
}
