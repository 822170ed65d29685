"""Findings as diagnostics of the Language Server Protocol."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from lsprotocol import types

from lockgate.check.findings import Finding
from lockgate.lsp.workspace import describing_file
from lockgate.resources.faults import Locate, Origin, Position, Severity

Lines: TypeAlias = Callable[[str], Sequence[str]]
"""The lines of a file, as the editor has them or as they are on disk."""
Uri: TypeAlias = Callable[[str], str]

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}
_KEY = re.compile(r"""("[^"]*"|'[^']*'|[\w./-]+):(?=\s|$)""")
_COMMENT = re.compile(r"\s+#.*")


def by_file(
    findings: Iterable[Finding], locate: Locate, lines: Lines, uri: Uri
) -> Mapping[str, Sequence[types.Diagnostic]]:
    """The diagnostics of each file, in code points. What was rendered is shown at the file that describes it."""
    found: dict[str, list[types.Diagnostic]] = defaultdict(list)
    for each in findings:
        if (position := each.position) is None:
            continue
        if "<" in position.file and not Path(position.file).is_file():
            place, note = Position(describing_file(position.file), 1), f" (line {position.line} of its output)"
        else:
            place, note = position, ""
        found[place.file].append(_diagnostic(each, place, note, locate, lines, uri))
    return found


def _diagnostic(
    finding: Finding, place: Position, note: str, locate: Locate, lines: Lines, uri: Uri
) -> types.Diagnostic:
    shown = finding.diagnostic
    return types.Diagnostic(
        range=_range(place, lines(place.file)),
        message=f"{shown.message}{note}" + (f"\nfix: {shown.fix}" if shown.fix else ""),
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source="lockgate",
        related_information=[*_related(finding, locate, lines, uri)] or None,
        data={"fingerprint": finding.fingerprint},
    )


def _related(finding: Finding, locate: Locate, lines: Lines, uri: Uri) -> Iterator[types.DiagnosticRelatedInformation]:
    """The other places that the message names."""
    for name, value in finding.fault.values:
        if isinstance(value, Origin) and (at := locate(value)) is not None:
            where = types.Location(uri(at.file), _range(at, lines(at.file)))
            yield types.DiagnosticRelatedInformation(where, f"{name.replace('_', ' ')}: {value}")


def _range(place: Position, lines: Sequence[str]) -> types.Range:
    """The key or value at a position, to its end on that line."""
    line, start = place.line - 1, place.column - 1
    text = lines[line].rstrip("\r\n") if line < len(lines) else ""
    key = _KEY.match(text, start)
    end = key.end(1) if key else len(_COMMENT.sub("", text[start:]).rstrip()) + start
    return types.Range(types.Position(line, start), types.Position(line, max(end, start + 1)))
