"""Follows the user's files while an edge runs: applies saved changes, and reports their effect.

The watcher signals changes, `edge.settling` decides which of them count yet, and the edge loads those. While an object
is missing or a file is being written, the files are read again after the wait.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lockgate.edge.manifests import NOTHING, Manifests
from lockgate.edge.settling import Absence, Disk, Settling
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault, Severity
from lockgate.runtime import garbage, settings
from lockgate.runtime.loader import describe
from lockgate.runtime.reading import files
from lockgate.runtime.reading.tree import is_stream
from lockgate.runtime.reading.watch import Watcher
from lockgate.runtime.reading.writers import is_open_for_writing
from lockgate.runtime.running import RunningEdge

log = logging.getLogger("lockgate.runtime")

_WRITER_POLL = 0.03  # s between questions whether a file is still being written
_PATIENCE = 2.0  # s for which files may be incomplete before it is reported


class Following:
    """`changed` prints a line about a change, `note` one about something newly supplied, and `report` prints new
    faults."""

    def __init__(
        self,
        edge: RunningEdge,
        *,
        sources: files.Sources,
        changed: Callable[[str], None],
        note: Callable[[str], None],
        report: Callable[[tuple[Fault, ...]], None],
    ) -> None:
        self._edge = edge
        self._paths = edge.options.paths
        self._sources = sources
        self._print = changed
        self._note = note
        self._report = report
        self._settling = Settling()
        self._reading = edge.manifests or NOTHING
        self._tree = self._complete = sources.tree  # now, and when nothing was missing
        self._saved: frozenset[str] = frozenset()  # files that were saved and are not loaded yet
        self._disk = Disk(time.monotonic(), time.monotonic())
        self._kept: Mapping[str, Absence] = {}
        self._due = math.inf  # when the first of them counts as removed
        self._why = ""  # the paths hold nothing

    async def run(self) -> None:
        """Runs until cancelled, or returns at once if there is nothing to follow."""
        if all(map(is_stream, self._paths)):
            return
        async with Watcher(self._paths, warn=self._changed) as watcher:
            while True:
                try:
                    again = await self._look(watcher)
                except Exception as error:
                    again = math.inf
                    log.exception("a change of the files")
                    self._changed(f"a fault of Lockgate's own: {error}; the last good state goes on serving")
                await watcher.changed(within=again - time.monotonic())

    def _changed(self, text: str) -> None:
        """For whoever watches, and for `lockgate logs`."""
        log.info("%s", text)
        self._print(text)

    async def _look(self, watcher: Watcher) -> float:
        """Applies what counts by now; returns when to check again if nothing changes."""
        now = time.monotonic()
        if changed := watcher.tree != self._tree:
            before, self._tree = self._tree, watcher.tree
            self._saved |= self._tree.saved_since(before)
            if before.settings != self._tree.settings:
                self._changed(f"{settings.NAME} has changed; that counts when the edge starts again")
        written = await asyncio.to_thread(_open_for_writing, self._saved | self._disk.written)
        if changed or written != self._disk.written or now >= self._due:
            self._disk = Disk(now, now if changed else self._disk.changed, written)
            await self._apply()
        watcher.follow(self._sources.rendered)
        return min(self._due, self._report_interruption(now), now + _WRITER_POLL if self._disk.written else math.inf)

    async def _apply(self) -> None:
        before = len(self._reading.documents)
        self._reading, self._why = await asyncio.to_thread(self._read)
        if len(self._reading.documents) - before > garbage.MANY:
            garbage.leave_out_more()
        found = self._edge.faults
        supplied = self._edge.notes
        loaded = await self._edge.load(self._reading, settle=self._settle, saved=self._saved)
        self._saved &= self._disk.written
        if loaded.anything:
            self._changed(describe(loaded))
        for note in self._edge.notes:
            if note not in supplied:
                self._note(note)
        if found != self._edge.faults:
            self._report(self._edge.faults)
        if _errors(found) and not _errors(self._edge.faults):
            self._changed("all errors in the files are fixed")

    def _settle(self, now: Manifests) -> Manifests:
        """The manifests that count, of those that were read."""
        before = self._edge.manifests or NOTHING
        racing = {file for file in self._saved - self._disk.written if not self._tree.is_current([file])}
        absent = [file for file in before.files if file not in self._tree.files]
        self._disk = replace(
            self._disk,
            written=self._disk.written | racing,  # changed while we read it
            uprooted=self._tree.uprooted_since(self._complete, absent),
            unreachable=self._tree.unreachable(absent),
        )
        rendered = self._sources.printed_from(self._disk.written)
        disk = replace(self._disk, written=self._disk.written | rendered)
        settled = self._settling.settle(now, before, disk)
        self._kept, self._due = settled.kept, settled.due
        if not settled.kept:
            self._complete = self._tree
        return settled.manifests

    def _read(self) -> tuple[Manifests, str]:
        """The files' manifests, and why there are none."""
        try:
            return self._sources.load(self._reading, found=self._tree), ""
        except files.NoManifests as error:
            missing = self._tree.missing
            return NOTHING, f"{_listed(missing)} does not exist" if missing else str(error)

    def _report_interruption(self, now: float) -> float:
        """Reports files that stay incomplete; returns when to check again."""
        reason = self._incomplete()
        interruption = codes.INCOMPLETE.at(None, reason=reason) if reason else None
        if interruption == self._edge.interruption:
            return math.inf
        if interruption and now < (due := self._disk.changed + _PATIENCE):
            return due
        self._edge.interruption = interruption
        if not interruption:
            self._changed("all files are back")
        return math.inf

    def _incomplete(self) -> str:
        """Why the current files are incomplete, or ""."""
        match max(self._kept.values(), key=lambda each: each.value, default=None):
            case Absence.LAST:
                return self._why or f"{_listed(self._paths)} has no objects left"
            case Absence.UNREACHABLE:
                return f"{_listed(self._tree.missing)} does not exist"
            case Absence.WRITTEN:
                return f"{_listed(file for file, why in self._kept.items() if why is Absence.WRITTEN)} is being written"
            case _:
                return ""


def _open_for_writing(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(path for path in paths if is_open_for_writing(path))


def _errors(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults if fault.severity is Severity.ERROR)


def _listed(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    return first if not others else f"{first} and {len(others)} more"
