"""What `lockgate check` finds in the manifests of a running edge: after the start, and again when the files change.

The faults that the edge's builders find are reported when they are found. These are the others, which analyzers find.
It is work for a thread, when everything else is done: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from lockgate.edge.edge import Edge
from lockgate.edge.manifests import Manifests
from lockgate.embedded.memory import give_back
from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity
from lockgate.runtime.parts import Reporter, counted
from lockgate.runtime.running import RunningEdge

log = logging.getLogger("lockgate.runtime")

_POLL = 0.5  # s
_LONG, _LONG_EACH = 10.0, 0.003  # s for a start, and for each document
_REST = 9  # times as long as a check took: on a large edge, checking is little of its work

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.INFO}


class Checking:
    """`announced` says whether the outcome of the start has been reported: the first check comes after it.

    If nothing is reported for long, the findings may say why.
    """

    def __init__(self, edge: RunningEdge, reporter: Reporter, announced: Callable[[], bool]) -> None:
        self._edge = edge
        self._reporter = reporter
        self._announced = announced
        self._began = time.monotonic()
        self._manifests: Manifests | None = None  # as checked last
        self._value: Edge | None = None
        self.findings: tuple[Diagnostic, ...] | None = None  # of the last check; None before the first one
        self._shown: frozenset[tuple[str, str, str]] = frozenset()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            took = 0.0
            manifests = self._edge.manifests
            if manifests is not None and manifests is not self._manifests and self._started(manifests):
                began = time.process_time()
                try:
                    self.findings = await asyncio.to_thread(self._check, manifests)
                except Exception:
                    log.exception("check")
                    self.findings = ()
                self._manifests = manifests
                self._report(self.findings)
                took = time.process_time() - began
            await asyncio.sleep(max(_POLL, _REST * took))

    def _started(self, manifests: Manifests) -> bool:
        return self._announced() or time.monotonic() > self._began + _LONG + _LONG_EACH * len(manifests.documents)

    def _check(self, manifests: Manifests) -> tuple[Diagnostic, ...]:
        # Imported on demand: an edge starts without them.
        from lockgate.check.analyzers import ANALYZED
        from lockgate.check.outcome import outcome
        from lockgate.edge.from_manifests import from_manifests, from_plan

        planned = self._edge.planned
        if planned is not None and planned.manifests is manifests:
            self._value = from_plan(planned, self._value)
        else:  # the files are being loaded again
            self._value = from_manifests(manifests, self._edge.options, self._value)
        found = outcome(self._value, manifests).findings
        give_back()  # what the start or the load has freed, too
        return tuple(each.diagnostic for each in found if each.code in ANALYZED)

    def _report(self, findings: Iterable[Diagnostic]) -> None:
        """Reports errors and warnings that were not there before, and the number of all."""
        serious = {_identity(each): each for each in findings if each.severity is not Severity.INFO}
        if serious.keys() == self._shown:
            return
        fresh = tuple(each for identity, each in serious.items() if identity not in self._shown)
        self._shown = frozenset(serious)
        for each in fresh:
            log.log(_LEVELS[each.severity], "%s", each)
        self._reporter.checked(f"check finds {counted(serious.values())}", fresh)


def _identity(each: Diagnostic) -> tuple[str, str, str]:
    return each.code, each.subject, each.message
