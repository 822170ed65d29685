"""The process behind `lockgate up`: runs the edge, follows files, answers other commands, and ends on a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.runtime import control
from lockgate.runtime.announcing import Announcing
from lockgate.runtime.checking import Checking
from lockgate.runtime.following import Following
from lockgate.runtime.observe import Observer
from lockgate.runtime.open_files import allow_many_open_files
from lockgate.runtime.pace import paced
from lockgate.runtime.parts import Reporter
from lockgate.runtime.reading import files
from lockgate.runtime.reports.status import status_in_steps
from lockgate.runtime.running import Progress, RunningEdge
from lockgate.runtime.state import StateFolder
from lockgate.runtime.timeline import Timeline
from lockgate.runtime.watching import Console, Watched, WhenAsked

log = logging.getLogger("lockgate.runtime")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENOUGH = 3  # signals, after which even a blocked loop ends
_TURN = 0.0005  # seconds for which a busy thread may block the loop


class Supervisor:
    """`patience` is the time in seconds after which missing parts are reported. `console` makes the application that
    shows the edge, when it is first asked."""

    def __init__(
        self,
        options: Options,
        folder: StateFolder,
        manifests: Manifests,
        *,
        reporter: Reporter,
        progress: Progress,
        sources: files.Sources,
        patience: float,
        console: Console | None = None,
    ) -> None:
        self._options = options
        self._folder = folder
        self._manifests = manifests
        self._reporter = reporter = Timeline(reporter)
        self._progress = progress
        self._sources = sources
        self._patience = patience
        self._edge = RunningEdge(
            options, folder, progress, WhenAsked(lambda: console(self._watched())) if console else None
        )
        self._observer = Observer(self._edge)
        self._announcing = Announcing(self._edge, self._observer, reporter, progress)
        self._checking = Checking(self._edge, reporter, lambda: self._announcing.announced)

    def run(self) -> int:
        """Runs until Ctrl-C or SIGTERM; returns the exit code. Raises what prevents the edge from starting."""
        _log_to(self._folder, f"start of {self._options.name} from {', '.join(self._options.paths)}")
        sys.setswitchinterval(_TURN)
        allow_many_open_files()
        try:
            return asyncio.run(self._supervise())
        except Exception as error:
            log.error("ended: %s", error, exc_info=error)
            raise

    def _watched(self) -> Watched:
        return Watched(
            self._edge,
            self._reporter,
            lambda: self._announcing.last,
            lambda: self._checking.findings or (),
        )

    async def _supervise(self) -> int:
        loop = asyncio.get_running_loop()
        main = asyncio.create_task(self._edge.run(self._manifests, self._started))
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            main.cancel()

        _on_signals(lambda: loop.call_soon_threadsafe(stop))
        left = self._progress.began + self._patience - time.monotonic()
        loop.call_later(max(left, 0.0), self._announcing.out_of_patience)
        try:
            await main
        except asyncio.CancelledError:
            if not stopped:
                raise
        except BaseExceptionGroup as group:
            raise _first(group) from group
        log.info("stopped")
        if self._announcing.last.failed:
            return 1
        return 0 if self._announcing.became_ready else 130

    async def _started(self) -> None:
        """Everything listens: from now on other commands can use the edge."""
        server = await control.serve(self._folder.control_socket, self._answer)
        self._folder.write({**self._edge.about_with_key(), "pid": os.getpid()})
        for note in self._edge.notes:
            self._reporter.note(note)
        self._announcing.report(self._edge.faults)
        following = Following(
            self._edge,
            sources=self._sources,
            changed=self._reporter.changed,
            note=self._reporter.note,
            report=self._announcing.report,
        )
        try:
            async with asyncio.TaskGroup() as all_:
                all_.create_task(self._announcing.run())
                all_.create_task(following.run())
                all_.create_task(self._checking.run())
        finally:
            await control.close(server)

    async def _answer(self, question: str) -> dict[str, Any]:
        what, _, argument = question.partition(" ")
        match what:
            case "trace":
                from lockgate.runtime.tracing import traced

                return await traced(self._edge, argument)
            case "diff":
                from lockgate.runtime.comparing import compared

                return await compared(self._edge, argument)
            case "status":
                return {
                    **await paced(status_in_steps(await self._observer.observe())),
                    "pid": os.getpid(),
                    "announced": self._announcing.became_ready,
                    "findings": [each.as_json() for each in self._checking.findings or ()],
                }
            case "with-alb":
                await self._edge.show_load_balancers()
                return {}
            case _:
                return {"error": f"no such question: {question}"}


def _on_signals(stop: Callable[[], object]) -> None:
    """Stops in order on the first signals.

    An ignored SIGHUP stays ignored, as `nohup` requires. An ignored SIGINT does not: shells ignore it for commands in
    the background, and whoever sends it means this process.
    """
    received = 0

    def handle(number: int, _frame: object) -> None:
        nonlocal received
        received += 1
        if received >= _ENOUGH:
            os._exit(128 + number)  # the kernel ends the Envoys, and the next start removes what is left
        stop()

    for number in _SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The original error; the others are its consequences."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _log_to(folder: StateFolder, first: str) -> None:
    """Logs to the edge's folder from now on. Raises OSError if that cannot be written."""
    with folder.log.open("a") as file:  # logging would hide the failure
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
