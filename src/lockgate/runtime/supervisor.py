"""The process behind `lockgate up`: holds the name, runs the edge, follows the files, answers the other commands."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from typing import Any, Protocol

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.diagnostics import Diagnostic, diagnose
from lockgate.resources.faults import Fault
from lockgate.runtime import control
from lockgate.runtime.following import Following
from lockgate.runtime.observe import observe
from lockgate.runtime.parts import Line, Readiness, Report
from lockgate.runtime.report import report
from lockgate.runtime.running import Progress, RunningEdge
from lockgate.runtime.state import StateFolder
from lockgate.runtime.status import status

log = logging.getLogger("lockgate.runtime")

_MOMENT = 0.1  # s, in which actors see what others wrote
_POLL = 0.02  # s between looks at the parts while the edge starts
_WATCH = 1.0  # s between looks at it afterwards
_REST = 9  # times as long as a look took, at least: looking at a large edge is little of its work


class Reporter(Protocol):
    """Reports what happens: to a terminal, a log, a JSON stream."""

    def line(self, line: Line) -> None: ...

    def faults(self, faults: tuple[Diagnostic, ...]) -> None: ...

    def note(self, text: str) -> None: ...

    def ready(self, report: Report, seconds: float, proxy: str) -> None: ...

    def not_ready(self, report: Report, seconds: float) -> None: ...

    def changed(self, text: str) -> None: ...


class Supervisor:
    """`patience` is how long, in seconds, the edge may take before what is missing is reported."""

    def __init__(
        self,
        options: Options,
        folder: StateFolder,
        manifests: Manifests,
        *,
        reporter: Reporter,
        progress: Progress,
        stdin: str | None,
        patience: float,
    ) -> None:
        self._options = options
        self._folder = folder
        self._manifests = manifests
        self._reporter = reporter
        self._progress = progress
        self._stdin = stdin
        self._patience = patience
        self._edge = RunningEdge(options, folder, progress)
        self._became_ready = False
        self._last: Report | None = None
        self._reported: frozenset[Fault] = frozenset()

    def run(self) -> int:
        """Until Ctrl-C or SIGTERM; the exit code. Raises what keeps the edge from starting."""
        _log_to(self._folder, f"start of {self._options.name} from {', '.join(self._options.paths)}")
        return asyncio.run(self._supervise())

    async def _supervise(self) -> int:
        loop = asyncio.get_running_loop()
        main = asyncio.create_task(self._edge.run(self._manifests, self._started))
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            main.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        try:
            await main
        except asyncio.CancelledError:
            if not stopped:
                raise
        except BaseExceptionGroup as group:
            raise _first(group) from group
        if not self._became_ready:
            return 130 if self._last is None or not self._last.failed else 1
        return 1 if self._last and self._last.failed else 0

    async def _started(self) -> None:
        """Everything listens: from here on the other commands find the edge."""
        server = await control.serve(self._folder.control_socket, self._answer)
        self._folder.write({**self._edge.about_with_key(), "pid": os.getpid()})
        for note in self._edge.supply.notes if self._edge.supply else ():
            self._reporter.note(note)
        self._report(self._edge.faults)
        following = Following(self._edge, stdin=self._stdin, changed=self._reporter.changed, report=self._report)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._announce())
                both.create_task(following.run())
        finally:
            await control.close(server)

    async def _answer(self, question: str) -> dict[str, Any]:
        what, _, argument = question.partition(" ")
        match what:
            case "trace":
                from lockgate.runtime.tracing import traced

                return await traced(self._edge, argument)
            case "status":
                return {**status(await observe(self._edge)), "pid": os.getpid(), "announced": self._became_ready}
            case _:
                return {"error": f"no such question: {question}"}

    # --- from start to ready -------------------------------------------------------------------------------------

    async def _announce(self) -> None:
        printed: set[str] = set()
        warned = doubted = False
        while True:
            looked = time.monotonic()
            current = self._last = report(await observe(self._edge))
            took = time.monotonic() - looked
            for line in _settled(current, printed):
                printed.add(f"{line.part} {line.name}")
                self._progress.mark(f"{line.part} {line.name}")
                self._reporter.line(line)
            if current.ready:
                if not current.faults or doubted:
                    break
                doubted = True  # a fault may be gone with the object that came last: istiod builds a moment later
                await asyncio.sleep(_MOMENT)
                continue
            seconds = self._seconds()
            if not gc.isenabled() and seconds > self._patience:
                _collect_garbage()
            if not warned and (seconds > self._patience or (current.failed and _only_faults_left(current))):
                warned = True
                self._reporter.not_ready(current, seconds)
            await asyncio.sleep(max(_POLL, _REST * took))
        self._became_ready = True
        self._progress.mark("ready")
        _collect_garbage()
        self._report(current.faults)
        self._reporter.ready(current, self._seconds(), self._edge.proxy.url)
        await self._keep_reporting(current)

    async def _keep_reporting(self, before: Report) -> None:
        """Afterwards: parts that fail, recover or come, and what Envoy rejects."""
        took = 0.0
        while True:
            await asyncio.sleep(max(_WATCH, _REST * took))
            looked = time.monotonic()
            current = self._last = report(await observe(self._edge))
            took = time.monotonic() - looked
            known = {(line.part, line.name): line for line in before.lines}
            for line in current.lines:
                earlier = known.get((line.part, line.name))
                if line.state is not Readiness.WAITING and (earlier is None or earlier != line):
                    self._reporter.line(line)
            self._report(current.faults)
            before = current

    def _report(self, faults: tuple[Fault, ...]) -> None:
        """Report what is new. A fault that goes away is forgotten, and reported again if it comes back."""
        if fresh := [each for each in faults if each not in self._reported]:
            self._reporter.faults(tuple(diagnose(each, self._edge.locate) for each in fresh))
        self._reported = frozenset(faults)

    def _seconds(self) -> float:
        return time.monotonic() - self._progress.began


def _settled(current: Report, printed: set[str]) -> list[Line]:
    """The lines to print now."""
    return [
        line
        for line in current.lines
        if line.state is not Readiness.WAITING and f"{line.part} {line.name}" not in printed
    ]


def _only_faults_left(current: Report) -> bool:
    return not any(line.state is Readiness.WAITING for line in current.lines)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first: the others are what follows from it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _collect_garbage() -> None:
    """From now on, and not among what the start has made: modules, models and the first state stay anyway."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


def _log_to(folder: StateFolder, first: str) -> None:
    """Log into the edge's folder from now on. Raises OSError when that cannot be written."""
    with folder.log.open("a") as file:  # logging itself would keep the failure to itself
        file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {first}\n")
    logging.raiseExceptions = False
    handler = RotatingFileHandler(folder.log, maxBytes=5_000_000, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    with suppress(OSError):
        folder.log.chmod(0o600)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("lockgate").setLevel(logging.INFO)
