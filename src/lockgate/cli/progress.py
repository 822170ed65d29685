"""The progress of `apply` and `destroy`: one line for each event, which a person and a CI log can read."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lockgate.cli.terminal import paint, say

if TYPE_CHECKING:
    from lockgate.deploy.planning.plan import Plan
    from lockgate.deploy.planning.steps import Step


def styled(text: str, role: str) -> str:
    colours = {"bold": "bold", "dim": "dim", "add": "green", "pass": "green", "change": "yellow", "remove": "red"}
    return paint(text, "red" if role == "fail" else colours.get(role, "yellow"))


class Lines:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def planned(self, plan: Plan) -> None:
        from lockgate.deploy.reports.text import lines

        for line in lines(plan, styled):
            say(line)
        self._flush()

    def began(self, step: Step) -> None:
        self._say(paint("…", "yellow"), step.title)

    def noted(self, text: str) -> None:
        self._say(" ", text)

    def done(self, step: Step, seconds: float) -> None:
        self._say(paint("✓", "green"), f"{step.title} ({seconds:.1f} s)")

    def gone(self, text: str) -> None:
        self._say(paint("-", "red"), text)

    def failed(self, step: Step, reason: str) -> None:
        self._say(paint("✗", "red"), f"{step.title}: {reason}")

    def _say(self, mark: str, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        say(f"{minutes:>3}:{seconds:02} {mark} {text}")
        self._flush()

    def _flush(self) -> None:
        sys.stdout.flush()
