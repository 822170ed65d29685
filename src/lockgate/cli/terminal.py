"""The output of commands: lines for people, and data for programs.

All lines are printed with `say`. Names, messages and URLs come from manifests and clients, and must not be able to
control the reader's terminal.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import click

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity
from lockgate.resources.text import escaped

if TYPE_CHECKING:
    from lockgate.runtime.parts import Line, Report

# Noncharacters represent styles until `say` has escaped everything else.
_END = "\ufdd0"
_STYLES = {"bold": "\ufdd1", "dim": "\ufdd2", "red": "\ufdd3", "green": "\ufdd4", "yellow": "\ufdd5", "blue": "\ufdd6"}
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34}
_SEQUENCES = {_END: "\x1b[0m", **{mark: f"\x1b[{_CODES[name]}m" for name, mark in _STYLES.items()}}
_MARKED = re.compile(f"([{''.join(_SEQUENCES)}])")
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_MARKS = {
    "ready": ("✓", "green"),
    "waiting": ("…", "yellow"),
    "failed": ("✗", "red"),
    "refused": ("✗", "red"),
    "unserved": ("–", "yellow"),
    "external": ("–", "yellow"),
}
_SERVING = ("load balancer", "gateway")
_NAME_WIDTH = 31
_MOST_FINDINGS = 10  # of `check`, while an edge runs


def paint(text: str, style: str) -> str:
    """Text in bold, dim, red, green, yellow or blue, for `say`."""
    return f"{_STYLES[style]}{text}{_END}"


def say(text: str, *, err: bool = False) -> None:
    """Prints one line. Control characters are escaped; colours are used only on a terminal."""
    parts = (part if part in _SEQUENCES else escaped(part) for part in _MARKED.split(text))
    click.echo("".join(_SEQUENCES.get(part, part) for part in parts), err=err, color=_colour(err))


def print_data(text: str, *, end: str = "\n") -> None:
    """Prints data for programs, unchanged."""
    click.echo(text + end, nl=False)


class Terminal:
    """A `Reporter`. `quiet` prints only faults, for output that a program reads; `stops` describes how to stop the
    edge."""

    def __init__(self, *, quiet: bool = False, stops: str = "^C stops") -> None:
        self._quiet = quiet
        self._stops = stops

    def line(self, line: Line) -> None:
        self._say(_row(line), always=line.state in ("failed", "refused"))

    def faults(self, faults: tuple[Diagnostic, ...]) -> None:
        for fault in faults:
            if fault.severity is not Severity.INFO:
                print_fault(fault)

    def note(self, text: str) -> None:
        self._say(_note(text))

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None:
        self._say(paint(f" {' · '.join((f'ready in {seconds:.1f} s', *report.shortfall))}", "bold"))
        if report.urls:
            url = report.urls[0]
            self._say(f" {url}   try: lockgate exec -- curl {url}")
        else:
            self._say(" no host is served")
        self._say(f" {self._stops} · files are watched · proxy {proxy}")
        if console:
            self._say(f" console {console}")

    def not_ready(self, report: Report, seconds: float) -> None:
        missing = [line for line in report.lines if line.state == "waiting"]
        for line in missing:
            self._say(_row(line), always=True)
        served = any(line.state == "ready" and line.part in _SERVING for line in report.lines)
        what = "the rest is served" if served else "nothing is served"
        text = " · ".join((f"not ready after {seconds:.1f} s", *report.shortfall))
        self._say(paint(f" {text}; {what}, and files are watched", "bold"), always=True)

    def changed(self, text: str) -> None:
        self._say(paint(" ↻ ", "blue") + text)

    def checked(self, summary: str, findings: tuple[Diagnostic, ...]) -> None:
        self._say(paint(" ! " if findings else " ↻ ", "yellow" if findings else "blue") + summary)
        self.faults(findings[:_MOST_FINDINGS])
        if (more := len(findings) - _MOST_FINDINGS) > 0:
            self._say(f"   and {more} more: `lockgate status`")

    def _say(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            say(text, err=self._quiet)
            sys.stdout.flush()


def print_fault(fault: Diagnostic, *, err: bool = True) -> None:
    say(fault.line(paint=paint_severity), err=err)


def paint_severity(severity: Severity) -> str:
    return paint(severity.value, _COLOURS[severity])


def print_note(text: str) -> None:
    """Prints what is supplied, on standard error."""
    say(_note(text), err=True)


def _note(text: str) -> str:
    return paint(" + ", "blue") + text


def print_line(line: Line) -> None:
    say(_row(line))


def _row(line: Line) -> str:
    mark, colour = _MARKS[line.state]
    name = line.name if len(line.name) <= _NAME_WIDTH else line.name[: _NAME_WIDTH - 1] + "…"
    return paint(f" {mark} ", colour) + f"{line.part:<15} {name:<{_NAME_WIDTH}} {line.detail}".rstrip()


def _colour(err: bool = False) -> bool | None:
    """None lets click decide."""
    return False if os.environ.get("NO_COLOR") else None


def style(text: str, role: str) -> str:
    """The colour of a role in a report: `pass`, `fail`, `answer`, `open`, `dim`, `bold`."""
    return paint(text, {"bold": "bold", "dim": "dim", "pass": "green", "fail": "red"}.get(role, "yellow"))


def end_on_interrupt() -> None:
    """SIGINT raises KeyboardInterrupt, also in a command that a shell started in the background: it ignores SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
