"""The reports of `up` for programs, and for the command behind `up --detach`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from lockgate.cli.terminal import Terminal, print_data
from lockgate.runtime.detached import NOT_READY, READY, Parent

if TYPE_CHECKING:
    from lockgate.resources.diagnostics import Diagnostic
    from lockgate.runtime.parts import Line, Report, Reporter


class JsonLines(Terminal):
    """A `Reporter` for programs: one JSON object per line when the edge is ready, or is not ready in time. Everything
    else goes to standard error."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None:
        del console  # its address has a secret
        self._print(report, seconds, proxy=proxy)

    def not_ready(self, report: Report, seconds: float) -> None:
        super().not_ready(report, seconds)
        self._print(report, seconds)

    def _print(self, report: Report, seconds: float, **more: str) -> None:
        printed = {
            "ready": report.ready,
            "seconds": round(seconds, 3),
            **more,
            "urls": list(report.urls),
            "shortfall": report.shortfall,
            "refused": report.refused,
        }
        print_data(json.dumps(printed))
        sys.stdout.flush()


class Detached:
    """A `Reporter` that forwards everything until the outcome, which it reports to the parent.

    If the terminal is closed meanwhile, the edge continues, and the log has what could not be printed.
    """

    def __init__(self, reporter: Reporter, parent: Parent) -> None:
        self._reporter: Reporter | None = reporter
        self._parent = parent

    def line(self, line: Line) -> None:
        self._pass_on(lambda reporter: reporter.line(line))

    def faults(self, faults: tuple[Diagnostic, ...]) -> None:
        self._pass_on(lambda reporter: reporter.faults(faults))

    def note(self, text: str) -> None:
        self._pass_on(lambda reporter: reporter.note(text))

    def changed(self, text: str) -> None:
        self._pass_on(lambda reporter: reporter.changed(text))

    def checked(self, summary: str, findings: tuple[Diagnostic, ...]) -> None:
        self._pass_on(lambda reporter: reporter.checked(summary, findings))

    def ready(self, report: Report, seconds: float, proxy: str, console: str) -> None:
        self._pass_on(lambda reporter: reporter.ready(report, seconds, proxy, console))
        self._report(READY)

    def not_ready(self, report: Report, seconds: float) -> None:
        self._pass_on(lambda reporter: reporter.not_ready(report, seconds))
        self._report(NOT_READY)

    def _pass_on(self, pass_on: Callable[[Reporter], None]) -> None:
        if self._reporter is not None:
            with suppress(OSError):
                pass_on(self._reporter)

    def _report(self, outcome: bytes) -> None:
        if self._reporter is not None:
            self._reporter = None
            self._parent.report(outcome)
