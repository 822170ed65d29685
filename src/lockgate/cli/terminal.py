"""What commands print for a person, line by line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity

if TYPE_CHECKING:
    from lockgate.runtime.parts import Line, Report

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_NAME_WIDTH = 31


class Terminal:
    """A `Reporter`. `quiet` leaves only what is wrong, for output that something else reads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._infos = 0

    def line(self, line: Line) -> None:
        if line.state == "failed":
            self._say(click.style(" ✗ ", fg="red") + _columns(line), always=True)
        else:
            self._say(click.style(" ✓ ", fg="green") + _columns(line))

    def faults(self, faults: tuple[Diagnostic, ...]) -> None:
        for fault in faults:
            if fault.severity is not Severity.INFO:
                print_fault(fault)

    def note(self, text: str) -> None:
        self._say(click.style(" + ", fg="blue") + text)

    def ready(self, report: Report, seconds: float, proxy: str) -> None:
        self._say(click.style(f" ready in {seconds:.1f} s", bold=True))
        if report.urls:
            url = report.urls[0]
            self._say(f" {url}   try: lockgate exec -- curl {url}")
        self._say(f" ^C stops · files are watched · proxy {proxy}")

    def not_ready(self, report: Report, seconds: float) -> None:
        missing = [line for line in report.lines if line.state == "waiting"]
        for line in missing:
            self._say(click.style(" … ", fg="yellow") + _columns(line), always=True)
        what = "the rest is served" if len(missing) + len(report.failed) < len(report.lines) else "nothing is served"
        text = f" not ready after {seconds:.1f} s; {what}, and files are watched"
        self._say(click.style(text, bold=True), always=True)

    def changed(self, text: str) -> None:
        self._say(click.style(" ↻ ", fg="blue") + text)

    def _say(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            click.echo(text, err=self._quiet, color=_colour(self._quiet))
            sys.stdout.flush()


def print_fault(fault: Diagnostic) -> None:
    line = fault.line(paint=lambda severity: click.style(severity.value, fg=_COLOURS[severity]))
    click.echo(line, err=True, color=_colour(err=True))


def _columns(line: Line) -> str:
    name = line.name if len(line.name) <= _NAME_WIDTH else line.name[: _NAME_WIDTH - 1] + "…"
    return f"{line.part:<15} {name:<{_NAME_WIDTH}} {line.detail}".rstrip()


def _colour(err: bool = False) -> bool | None:
    """None lets click decide by the terminal."""
    return False if os.environ.get("NO_COLOR") else None
