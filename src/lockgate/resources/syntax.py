"""What is wrong with a text that cannot be parsed, as findings."""

from __future__ import annotations

import re

import yaml

from lockgate.resources import codes
from lockgate.resources.chunks import Chunk
from lockgate.resources.finding import Finding, Position
from lockgate.resources.recognition import Other, recognize_text


def template(position: Position) -> Finding:
    return codes.TEMPLATE.finding(
        "this is a Helm template, not a manifest", position, mend="render it first: helm template CHART | lockgate … -"
    )


def broken(chunk: Chunk, error: yaml.MarkedYAMLError) -> Finding:
    """What libyaml's parser says of a document."""
    if action := _TEMPLATE_ACTION.search(chunk.text):
        return template(chunk.position(chunk.text.count("\n", 0, action.start())))
    if other := recognize_text(chunk.file, chunk.text):
        return not_a_manifest(other, chunk.first())
    mark = error.problem_mark or error.context_mark
    position = chunk.position(mark.line, mark.column) if mark else chunk.position()
    problem = f"{error.problem or ''} {error.context or ''}"
    for sign, message, mend in _SYNTAX_WORDS:
        if sign in problem:
            return codes.SYNTAX.finding(message, position, mend=mend)
    detail = ": ".join(part for part in (error.context, error.problem) if part)
    return codes.SYNTAX.finding(f"YAML that cannot be parsed: {detail}", position)


def not_a_manifest(other: Other, position: Position) -> Finding:
    return codes.NOT_AN_OBJECT.finding(f"not a Kubernetes manifest: {other.name}", position, mend=other.hint)


def forbidden_character(chunk: Chunk, error: yaml.reader.ReaderError) -> Finding:
    before = chunk.text.encode()[: error.position].decode(errors="replace") if isinstance(error.position, int) else ""
    character = error.character if isinstance(error.character, int) else 0
    return codes.ENCODING.finding(
        f"the character U+{character:04X} is not allowed in YAML", chunk.position_at(len(before)), mend="remove it"
    )


def not_unicode(chunk: Chunk, error: UnicodeEncodeError) -> Finding:
    return codes.ENCODING.finding(
        "half of a surrogate pair is not a character", chunk.position_at(error.start), mend="save the file as UTF-8"
    )


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
