"""Quick fixes: the edits that an editor offers for a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsprotocol import types

from lockgate.check.suppressions import suppressions
from lockgate.resources.codes import CODES
from lockgate.resources.faults import Position
from lockgate.resources.reader import read


def actions(
    uri: str, file: str, lines: Sequence[str], diagnostics: Sequence[types.Diagnostic]
) -> Iterator[types.CodeAction]:
    """`diagnostics` are those at the cursor, as the editor has them."""
    for each in diagnostics:
        if each.source == "lockgate" and isinstance(each.code, str) and each.code in CODES:
            line = _line_of_comment(file, lines, each.range.start.line, each.code)
            if line is not None:
                yield _ignore(uri, lines, line, each, each.code)


def _ignore(uri: str, lines: Sequence[str], line: int, diagnostic: types.Diagnostic, code: str) -> types.CodeAction:
    """Until the comment's reason is written, `check` reports that it has none."""
    place = types.Position(line, 0)
    edit = types.TextEdit(types.Range(place, place), f"{_comment(lines, line, code)}\n")
    return types.CodeAction(
        title=f"Ignore {code} here, with a reason",
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic],
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


def _line_of_comment(file: str, lines: Sequence[str], line: int, code: str) -> int | None:
    """Above the line, or above the object where that would be a part of a text block; None if neither counts."""
    objects = [document.chunk.first().line - 1 for document in read("".join(_ended(lines)), file).documents]
    head = max((first for first in objects if first <= line), default=line)
    return next((each for each in (line, head) if _counts(file, lines, each, line, code)), None)


def _counts(file: str, lines: Sequence[str], above: int, line: int, code: str) -> bool:
    """Whether a comment above one line suppresses a finding on another. Both count from 0."""
    with_comment = [*_ended(lines[:above]), f"{_comment(lines, above, code)}\n", *_ended(lines[above:])]
    found = suppressions(read("".join(with_comment), file).documents)
    return any(each.covers(CODES[code][0], Position(file, line + 2)) for each in found.every)


def _comment(lines: Sequence[str], line: int, code: str) -> str:
    text = lines[line] if line < len(lines) else ""
    indent = text[: len(text) - len(text.lstrip(" "))]
    return f"{indent}# lockgate: ignore {code} because "


def _ended(lines: Sequence[str]) -> Iterator[str]:
    return (line if line.endswith("\n") else f"{line}\n" for line in lines)
