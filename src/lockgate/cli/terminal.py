"""What commands print for a person, line by line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity
from lockgate.resources.text import escaped

if TYPE_CHECKING:
    from lockgate.runtime.parts import Line, Report

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_MARKS = {
    "ready": ("✓", "green"),
    "waiting": ("…", "yellow"),
    "failed": ("✗", "red"),
    "refused": ("✗", "red"),
    "unserved": ("–", "yellow"),
}
_SERVING = ("load balancer", "gateway")
_NAME_WIDTH = 31


class Terminal:
    """A `Reporter`. `quiet` leaves only what is wrong, for output that something else reads; `stops` says what stops
    the edge."""

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

    def ready(self, report: Report, seconds: float, proxy: str) -> None:
        self._say(click.style(f" {' · '.join((f'ready in {seconds:.1f} s', *report.shortfall))}", bold=True))
        if report.urls:
            url = report.urls[0]
            self._say(f" {url}   try: lockgate exec -- curl {url}")
        else:
            self._say(" no host is served")
        self._say(f" {self._stops} · files are watched · proxy {proxy}")

    def not_ready(self, report: Report, seconds: float) -> None:
        missing = [line for line in report.lines if line.state == "waiting"]
        for line in missing:
            self._say(_row(line), always=True)
        served = any(line.state == "ready" and line.part in _SERVING for line in report.lines)
        what = "the rest is served" if served else "nothing is served"
        text = " · ".join((f"not ready after {seconds:.1f} s", *report.shortfall))
        self._say(click.style(f" {text}; {what}, and files are watched", bold=True), always=True)

    def changed(self, text: str) -> None:
        self._say(click.style(" ↻ ", fg="blue") + text)

    def _say(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            click.echo(text, err=self._quiet, color=_colour(self._quiet))
            sys.stdout.flush()


def print_fault(fault: Diagnostic) -> None:
    line = fault.line(paint=lambda severity: click.style(severity.value, fg=_COLOURS[severity]))
    click.echo(line, err=True, color=_colour(err=True))


def print_note(text: str) -> None:
    """What is supplied, on standard error."""
    click.echo(_note(text), err=True, color=_colour(err=True))


def _note(text: str) -> str:
    return click.style(" + ", fg="blue") + escaped(text)


def print_line(line: Line) -> None:
    click.echo(_row(line), color=_colour())


def _row(line: Line) -> str:
    mark, colour = _MARKS[line.state]
    name = line.name if len(line.name) <= _NAME_WIDTH else line.name[: _NAME_WIDTH - 1] + "…"
    return click.style(f" {mark} ", fg=colour) + f"{line.part:<15} {name:<{_NAME_WIDTH}} {line.detail}".rstrip()


def _colour(err: bool = False) -> bool | None:
    """None lets click decide by the terminal."""
    return False if os.environ.get("NO_COLOR") else None
