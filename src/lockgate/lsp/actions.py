"""Quick fixes: what an editor offers for a finding. The fix that `check --fix` makes, and a comment that accepts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsprotocol import types

from lockgate.check.findings import Finding
from lockgate.check.fixing import edited
from lockgate.check.suppressions import suppressions
from lockgate.lsp.workspace import Checked
from lockgate.resources.faults import Position
from lockgate.resources.reader import read


def actions(
    checked: Checked, uri: str, file: str, lines: Sequence[str], diagnostics: Sequence[types.Diagnostic]
) -> Iterator[types.CodeAction]:
    """`diagnostics` are those at the cursor, as the editor has them. Edits are in code points."""
    by_fingerprint = {each.fingerprint: each for each in checked.findings}
    for each in diagnostics:
        known = each.data.get("fingerprint") if isinstance(each.data, dict) else None
        finding = by_fingerprint.get(str(known))
        if finding is None or finding.position is None:
            continue
        if (fix := _fixed(checked, file, lines, finding)) is not None:
            title = finding.diagnostic.fix or finding.diagnostic.message
            yield _action(f"Fix {finding.code}: {title}", uri, fix, each, preferred=True)
        if (line := _line_of_comment(file, lines, finding)) is not None:
            place = types.Position(line, 0)
            comment = types.TextEdit(types.Range(place, place), f"{_comment(lines, line, finding)}\n")
            yield _action(f"Ignore {finding.code} here, with a reason", uri, comment, each)


def _action(
    title: str, uri: str, edit: types.TextEdit, diagnostic: types.Diagnostic, *, preferred: bool = False
) -> types.CodeAction:
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic],
        is_preferred=preferred or None,
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


# --- fixes -------------------------------------------------------------------------------------------------------


def _fixed(checked: Checked, file: str, lines: Sequence[str], finding: Finding) -> types.TextEdit | None:
    """The lines that the finding's edits change; None without edits, or where they are in another text."""
    edits = finding.fault.edits
    if not edits:
        return None
    key = edits[0].origin.key
    found = (each for each in checked.read.documents if each.key == key and each.chunk.file == file)
    document = next(found, None)
    text = edited(document, edits) if document and all(each.origin.key == key for each in edits) else None
    if document is None or text is None or document.chunk.column:
        return None
    before, after = document.chunk.text.splitlines(keepends=True), text.splitlines(keepends=True)
    first = document.chunk.line
    now = [*_ended(lines[first : first + len(before)])]
    if [*_ended([line.rstrip("\n") for line in before])] != [line.replace("\r\n", "\n") for line in now]:
        return None  # the text has changed since it was checked
    same = _common(before, after)
    rest = min(_common(before[::-1], after[::-1]), len(before) - same, len(after) - same)
    where = types.Range(types.Position(first + same, 0), types.Position(first + len(before) - rest, 0))
    return types.TextEdit(where, "".join(_ended(after[same : len(after) - rest])))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


# --- suppressions ------------------------------------------------------------------------------------------------


def _line_of_comment(file: str, lines: Sequence[str], finding: Finding) -> int | None:
    """Above the line, or above the object where that would be a part of a text block; None if neither counts."""
    assert finding.position is not None
    line = finding.position.line - 1
    objects = [document.chunk.first().line - 1 for document in read("".join(_ended(lines)), file).documents]
    head = max((first for first in objects if first <= line), default=line)
    return next((each for each in (line, head) if _counts(file, lines, each, line, finding)), None)


def _counts(file: str, lines: Sequence[str], above: int, line: int, finding: Finding) -> bool:
    """Whether a comment above one line suppresses a finding on another. Both count from 0."""
    with_comment = [*_ended(lines[:above]), f"{_comment(lines, above, finding)}\n", *_ended(lines[above:])]
    found = suppressions(read("".join(with_comment), file).documents)
    return any(each.covers(finding.fault.code, Position(file, line + 2)) for each in found.every)


def _comment(lines: Sequence[str], line: int, finding: Finding) -> str:
    """Until its reason is written, `check` reports that it has none."""
    text = lines[line] if line < len(lines) else ""
    indent = text[: len(text) - len(text.lstrip(" "))]
    return f"{indent}# lockgate: ignore {finding.code} because "


def _ended(lines: Sequence[str]) -> Iterator[str]:
    return (line if line.endswith("\n") else f"{line}\n" for line in lines)
