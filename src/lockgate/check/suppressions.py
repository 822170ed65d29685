"""Comments in manifests that suppress findings: ``# lockgate: ignore LG5001 because the gateway has its own DNS name``.

A comment applies to its own line, or, alone on a line, to the next line that is not a comment. At the head of an
object, above its first line, it applies to the whole object. It names one or more codes or prefixes of codes, and gives
a reason.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import yaml
from yaml._yaml import CParser

from lockgate.check.selection import UnknownCode, is_named, named
from lockgate.resources.chunks import Chunk
from lockgate.resources.codes import suppressions as codes
from lockgate.resources.faults import Code, Fault, Position
from lockgate.resources.reader import Document


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment at `position`. It applies to the lines from `first` to `last`, and to an object if `whole`."""

    position: Position
    codes: tuple[str, ...]
    reason: str
    first: int
    last: int
    whole: bool = False

    def covers(self, code: Code, position: Position) -> bool:
        if position.file != self.position.file or not self.first <= position.line <= self.last:
            return False
        return is_named(code, self.codes)


@dataclass(frozen=True, slots=True)
class Suppressions:
    """All comments of the manifests. `faults` are those of comments that are not understood."""

    every: tuple[Suppression, ...]
    faults: tuple[Fault, ...] = ()


_MARK = "lockgate:"
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*lockgate:[ \t]*(?P<text>[^\r\n]*)", re.MULTILINE)
_IGNORE = re.compile(r"ignore\b[ \t]*(?P<codes>.*?)[ \t]*(?:\bbecause\b[ \t]*(?P<reason>.*?))?[ \t]*")
_NOTHING_OR_COMMENT = re.compile(r"[ \t]*(?:#.*)?")


def suppressions(documents: Iterable[Document]) -> Suppressions:
    found: list[Suppression] = []
    faults: list[Fault] = []
    seen: Chunk | None = None
    for document in documents:
        if document.chunk is seen:
            continue
        seen = document.chunk
        for each in _of_chunk(seen) if _MARK in seen.text else ():
            if isinstance(each, Suppression):
                found.append(each)
            else:
                faults.append(each)
    return Suppressions(tuple(found), tuple(faults))


def _of_chunk(chunk: Chunk) -> Iterator[Suppression | Fault]:
    lines = chunk.text.splitlines()
    scalars = _Scalars(chunk.text)
    first = chunk.first().line
    for comment in _COMMENT.finditer(chunk.text):
        if scalars.contain(comment.start()):
            continue
        position = chunk.position_at(comment.start())
        ignore = _IGNORE.fullmatch(comment["text"])
        if ignore is None:
            problem = f"`{comment['text'].partition(' ')[0]}` is not `ignore`"
            yield codes.BAD_SUPPRESSION.at(position, problem=problem)
            continue
        try:
            names = named(ignore["codes"])
        except UnknownCode as error:
            yield codes.BAD_SUPPRESSION.at(position, problem=error)
            continue
        if not names:
            yield codes.BAD_SUPPRESSION.at(position, problem="it names no code")
            continue
        reason = ignore["reason"] or ""
        line = position.line - chunk.line  # counts from 1 in the chunk
        if position.line < first:
            yield Suppression(position, names, reason, first, chunk.line + len(lines), whole=True)
        else:
            covered = chunk.line + _covered(lines, line)
            yield Suppression(position, names, reason, covered, covered)


def _covered(lines: Sequence[str], line: int) -> int:
    """The line that a comment applies to: its own, or the next one with content if it is alone."""
    if not lines[line - 1].lstrip(" \t").startswith("#"):
        return line
    after = (
        number for number in range(line + 1, len(lines) + 1) if not _NOTHING_OR_COMMENT.fullmatch(lines[number - 1])
    )
    return next(after, line)


class _Scalars:
    """Where a document's scalars are: what looks like a comment in a text block or in quotes is none."""

    def __init__(self, text: str) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        parser = CParser(text)
        try:
            while (token := parser.get_token()) is not None:
                if isinstance(token, yaml.ScalarToken):
                    self._starts.append(token.start_mark.index)
                    self._ends.append(token.end_mark.index)
        except yaml.YAMLError:
            pass

    def contain(self, index: int) -> bool:
        before = bisect_right(self._starts, index) - 1
        return before >= 0 and index < self._ends[before]


def unused(each: Suppression) -> Fault:
    where = "in this object" if each.whole else f"on line {each.first}"
    return codes.UNUSED_SUPPRESSION.at(each.position, codes=" ".join(each.codes), where=where)


def without_reason(each: Suppression) -> Fault:
    return codes.NO_REASON.at(each.position, codes=" ".join(each.codes))
