"""Findings on a terminal: with the line of the manifest and a caret; in a pipe, one line each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from lockgate.cli.terminal import paint, paint_severity, print_fault, say
from lockgate.resources.faults import Position, Severity

if TYPE_CHECKING:
    from lockgate.check.findings import Finding
    from lockgate.check.outcome import Outcome

_WIDTH = 110
_LONGEST_LINE = 140  # characters of a manifest's line


def print_outcome(result: Outcome) -> None:
    explained: set[str] = set()
    for finding in result.findings:
        if not on_terminal():
            print_fault(finding.diagnostic, err=False)
            continue
        for line in _block(finding, explain=finding.code not in explained):
            say(line)
        explained.add(finding.code)
    say(_summary(result))


def on_terminal() -> bool:
    return sys.stdout.isatty()


def _block(finding: Finding, *, explain: bool) -> Iterator[str]:
    """The first finding of a code says why it matters too."""
    shown = finding.diagnostic
    place = f"{shown.position or shown.subject}: " if shown.position or shown.subject else ""
    yield f"{paint(place, 'bold')}{paint_severity(finding.severity)}: {shown.message} [{shown.code}]"
    if shown.position is not None:
        yield from _excerpt(shown.position)
    if shown.fix:
        yield from _said("fix: ", f"{shown.fix} (or run with --fix)" if finding.fixable else shown.fix)
    if explain:
        yield from _said("why: ", finding.fault.code.why)
    yield ""


def _said(label: str, text: str) -> Iterator[str]:
    first, *rest = wrap(text, _WIDTH - len(label), break_on_hyphens=False) or [""]
    yield f"      {paint(label, 'dim')}{first}"
    yield from (f"      {' ' * len(label)}{line}" for line in rest)


def _excerpt(position: Position) -> Iterator[str]:
    lines = _lines(position.file)
    if not 0 < position.line <= len(lines):
        return
    line = lines[position.line - 1].replace("\t", " ")
    margin = paint(f"{position.line:>6} |", "blue")
    if len(line) > _LONGEST_LINE:
        yield f"{margin} {line[:_LONGEST_LINE]} …"
        return
    yield f"{margin} {line}"
    yield f"{paint('       |', 'blue')} {' ' * (position.column - 1)}{paint('^', 'yellow')}"


@cache
def _lines(file: str) -> list[str]:
    """The lines of a file as it is now; none for what was rendered or piped in."""
    try:
        return Path(file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _summary(result: Outcome) -> str:
    counts = Counter(each.severity for each in result.findings)
    found = [_counted(counts[each], each.value) for each in Severity if counts[each]]
    style = "red" if counts[Severity.ERROR] else "yellow" if counts[Severity.WARNING] else "green"
    beside = [f"{_counted(result.objects, 'object')} in {_counted(result.files, 'file')}"]
    if fixable := sum(each.fixable for each in result.findings):
        beside.append(f"{fixable} can be fixed: --fix")
    if result.suppressed:
        beside.append(f"{len(result.suppressed)} suppressed")
    if result.known:
        beside.append(f"{len(result.known)} in the baseline")
    if result.gone:
        beside.append(f"{len(result.gone)} of the baseline gone: write it again")
    return paint(", ".join(found) or "no findings", style) + f" · {' · '.join(beside)}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
