"""The timeline keeps what is reported, and passes it on; the console is made by its first request only."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Position, Severity
from lockgate.runtime.parts import Line, Readiness, Report
from lockgate.runtime.timeline import Timeline
from lockgate.runtime.watching import WhenAsked


class Heard:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


def fault(severity: Severity) -> Diagnostic:
    return Diagnostic("LG1", severity, "it is so", "", Position("a.yaml", 3), "Service a/b")


def test_everything_is_kept_and_passed_on() -> None:
    heard = Heard()
    timeline = Timeline(heard)
    timeline.note("a zone is supplied")
    timeline.line(Line("dns", "a.example", Readiness.FAILED, "no record"))
    timeline.faults((fault(Severity.ERROR), fault(Severity.INFO)))
    timeline.ready(Report((), (), ()), 1.25, "http://proxy", "http://console")
    timeline.changed("changed VirtualService a/b")
    timeline.checked("check finds 1 warning", (fault(Severity.WARNING),))
    timeline.not_ready(Report((), (), ()), 60.0)
    assert [(each.kind, each.level, each.text, each.at) for each in timeline.events] == [
        ("supplied", "info", "a zone is supplied", ""),
        ("part", "bad", "dns a.example is failed: no record", ""),
        ("fault", "bad", "it is so [LG1]", "a.yaml:3:1"),
        ("info", "info", "it is so [LG1]", "a.yaml:3:1"),
        ("edge", "ok", "ready in 1.2 s", ""),
        ("save", "info", "changed VirtualService a/b", ""),
        ("finding", "warn", "it is so [LG1]", "a.yaml:3:1"),
        ("edge", "bad", "not ready after 60.0 s", ""),
    ]
    assert heard.calls == ["note", "line", "faults", "ready", "changed", "checked", "not_ready"]
    assert [each.number for each in timeline.events] == list(range(1, 9))


def test_only_the_last_events_are_kept() -> None:
    timeline = Timeline(Heard())
    for number in range(1500):
        timeline.note(str(number))
    assert len(timeline.events) == 1000
    assert timeline.events[-1].number == 1500


def test_the_console_is_made_once_by_its_first_requests() -> None:
    made: list[str] = []
    answered: list[str] = []

    async def application(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        answered.append(scope["path"])

    def make() -> Any:
        made.append("")
        return application

    async def ask() -> None:
        asked: Any = WhenAsked(make)
        assert made == []
        await asyncio.gather(*(asked({"type": "http", "path": str(number)}, None, None) for number in range(3)))

    asyncio.run(ask())
    assert (len(made), sorted(answered)) == (1, ["0", "1", "2"])


def test_an_edge_starts_without_the_console() -> None:
    code = (
        "import sys, lockgate.cli.up, lockgate.runtime.supervisor\n"
        "print([each for each in sys.modules if each.startswith(('lockgate.console', 'starlette'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
