"""Reports how an edge is: each part once it is ready or fails, the outcome of the start, and whatever changes later.

While an edge starts, much is wrong for a moment: an actor meets an object before the one that it hangs on. So a failure
counts when no part has changed for a while, and faults that actors find are reported with the outcome. What can never
become ready does not hold up the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Iterable
from typing import TypeAlias

from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Fault, Severity
from lockgate.resources.memo import Memo
from lockgate.runtime import garbage
from lockgate.runtime.observe import Observer
from lockgate.runtime.observed import State
from lockgate.runtime.pace import paced
from lockgate.runtime.parts import Line, Readiness, Report, Reporter
from lockgate.runtime.reports.report import report_in_steps
from lockgate.runtime.running import Progress, RunningEdge

log = logging.getLogger("lockgate.runtime")

_POLL = 0.02  # s between reports while the edge starts,
_POLL_LATE = 0.2  # s, once the outcome is reported
_WATCH = 1.0  # s between reports afterwards
_REST = 9  # times the CPU time that a report took: reporting on a large edge is little of its work,
_REST_IN_A_HURRY = 3  # while it starts, if that is more than _PROMPT
_PROMPT = 0.5  # s
# s without a change of any part, in which what is wrong may still turn out well: controllers try again within 5
_QUIET = {Readiness.FAILED: 6.0, Readiness.REFUSED: 0.5, Readiness.UNSERVED: 0.5, Readiness.EXTERNAL: 0.5}
_LONG = 5.0  # s for which a part may wait before it is reported, once the edge was ready
_DOUBT = 0.4  # s that a fault must stand: istiod builds a moment after the object that came last

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.INFO}

_Identity: TypeAlias = Hashable


class Announcing:
    def __init__(self, edge: RunningEdge, observer: Observer, reporter: Reporter, progress: Progress) -> None:
        self._edge = edge
        self._observer = observer
        self._reporter = reporter
        self._progress = progress
        self._printed: dict[_Identity, Line] = {}
        self._reported: set[Fault] = set()
        self._since: dict[Fault, float] = {}  # when each fault was found first
        self._waiting: dict[_Identity, float] = {}  # since when each part does
        self._states: frozenset[tuple[_Identity, Readiness]] = frozenset()
        self._changed = 0.0  # when a part did last
        self._not_ready: frozenset[tuple[_Identity, Readiness]] | None = None  # as last reported
        self.became_ready = False
        self.last = Report((), (), ())
        self._memo = Memo()
        self._state: State | None = None  # of the last report

    async def run(self) -> None:
        """Until cancelled, once everything listens."""
        await self._until_ready()
        self.became_ready = True
        self._progress.mark("ready")
        garbage.leave_out_what_is()
        self.report(self.last.faults)
        log.info("ready")
        self._reporter.ready(self.last, self._seconds(), self._edge.places.proxy.url, self._edge.places.console_url)
        while True:
            took = await self._observe()
            self._print_changes()
            self.report(each for each in self.last.faults if not self._doubtful(each))
            self._reported.intersection_update(self.last.faults)  # one that comes back is reported again
            await asyncio.sleep(max(_WATCH, _REST * took))

    @property
    def announced(self) -> bool:
        """Whether the outcome of the start has been reported."""
        return self.became_ready or self._not_ready is not None

    def out_of_patience(self) -> None:
        """Report what is missing, unless the outcome has been reported."""
        if self._not_ready is None and not self.became_ready:
            self._report_not_ready()

    # --- from start to ready -------------------------------------------------------------------------------------

    async def _until_ready(self) -> None:
        while True:
            took = await self._observe()
            settled = [line for line in self.last.lines if self._is_settled(line)]
            for line in self._complete(settled):
                printed = self._printed.get(_of_line(line))
                if printed is None or printed.state is not line.state:
                    self._progress.mark(f"{line.part} {line.name}")
                    self._print(line)
            if len(settled) == len(self.last.lines):
                if not self.last.ready:  # nothing is on its way, and what has failed goes on failing
                    if self._not_ready != self._states:
                        self._report_not_ready()
                elif not any(map(self._doubtful, self.last.faults)):
                    return
            poll = _POLL if self._not_ready is None else _POLL_LATE
            await asyncio.sleep(max(poll, min(_REST * took, max(_PROMPT, _REST_IN_A_HURRY * took))))

    async def _observe(self) -> float:
        """The CPU time that it took, in seconds: a busy machine does not count."""
        began, now = time.thread_time(), time.monotonic()
        state = await self._observer.observe()
        if state != self._state:  # on a large edge, that is found sooner than it is reported
            self.last = await paced(report_in_steps(state, self._memo))
            self._state = state
        self._since = {fault: self._since.get(fault, now) for fault in self.last.faults}
        if (states := _states(self.last)) != self._states:
            self._states, self._changed = states, now
        return time.thread_time() - began

    def _is_settled(self, line: Line) -> bool:
        if line.state is Readiness.WAITING:
            return False
        return line.state is Readiness.READY or time.monotonic() - self._changed >= _QUIET[line.state]

    def _complete(self, settled: list[Line]) -> list[Line]:
        """Less the line of the hosts that resolve, while others are on their way: it would be another one each time."""
        waiting = any(line.part == "dns" and line.state is Readiness.WAITING for line in self.last.lines)
        return [line for line in settled if not (waiting and line.part == "dns" and line.state is Readiness.READY)]

    def _doubtful(self, fault: Fault) -> bool:
        return time.monotonic() - self._since[fault] < _DOUBT

    def _report_not_ready(self) -> None:
        self._not_ready = self._states
        self.report(self.last.faults)
        log.warning("not ready after %.1f s", self._seconds())
        self._reporter.not_ready(self.last, self._seconds())
        garbage.leave_out_what_is()

    # --- saying so -----------------------------------------------------------------------------------------------

    def _print_changes(self) -> None:
        """Parts that are otherwise than when they were printed, but for one that waits a moment only."""
        now = time.monotonic()
        waiting = {_of_line(line) for line in self.last.lines if line.state is Readiness.WAITING}
        self._waiting = {each: self._waiting.get(each, now) for each in waiting}
        for line in self._complete(list(self.last.lines)):
            printed, identity = self._printed.get(_of_line(line)), _of_line(line)
            if line.state is not Readiness.WAITING:
                if printed != line:
                    self._print(line)
            elif (printed is None or printed.state is not line.state) and now - self._waiting[identity] >= _LONG:
                self._print(line)
        for identity in self._printed.keys() - {_of_line(line) for line in self.last.lines}:
            gone = self._printed.pop(identity)
            if gone.state is not Readiness.READY:
                self._reporter.changed(f"{gone.part} {gone.name} is no longer {gone.state}")

    def _print(self, line: Line) -> None:
        self._printed[_of_line(line)] = line
        level = logging.INFO if line.state is Readiness.READY else logging.WARNING
        log.log(level, "%s %s is %s: %s", line.part, line.name, line.state, line.detail)
        self._reporter.line(line)

    def report(self, faults: Iterable[Fault]) -> None:
        """Report at once what has not been reported yet."""
        fresh = [each for each in dict.fromkeys(faults) if each not in self._reported]
        self._reported.update(fresh)
        diagnostics = tuple(diagnose(each, self._edge.locate) for each in fresh)
        for each in diagnostics:
            log.log(_LEVELS[each.severity], "%s", each)
        if diagnostics:
            self._reporter.faults(diagnostics)

    def _seconds(self) -> float:
        return time.monotonic() - self._progress.began


def _of_line(line: Line) -> _Identity:
    return line.part, line.name


def _states(current: Report) -> frozenset[tuple[_Identity, Readiness]]:
    return frozenset((_of_line(line), line.state) for line in current.lines)
