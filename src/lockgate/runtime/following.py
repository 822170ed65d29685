"""Follows the user's files while an edge runs: what is saved is applied, and what it changed is reported."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lockgate.resources.finding import Finding, Severity
from lockgate.runtime import files, watch
from lockgate.runtime.loader import describe
from lockgate.runtime.running import RunningEdge

log = logging.getLogger("lockgate.runtime")


class Following:
    """`changed` prints a line about what a change did, `tell` the findings that hold now."""

    def __init__(
        self,
        edge: RunningEdge,
        *,
        stdin: str | None,
        changed: Callable[[str], None],
        tell: Callable[[tuple[Finding, ...]], None],
    ) -> None:
        self._edge = edge
        self._paths = edge.options.paths
        self._stdin = stdin
        self._changed = changed
        self._tell = tell

    async def run(self) -> None:
        """Until cancelled."""
        async for _ in watch.changes(self._paths):
            try:
                await self._reload()
            except (files.NoManifests, OSError) as error:
                self._changed(f"{error}; the last good state goes on serving")
            except Exception as error:
                log.exception("a change of the files")
                self._changed(f"a fault of Lockgate's own: {error}; the last good state goes on serving")

    async def _reload(self) -> None:
        manifests = files.load(self._paths, stdin=self._stdin, earlier=self._edge.manifests)
        before = _errors(self._edge.findings)
        loaded = await self._edge.load(manifests)
        if loaded.anything:
            log.info("%s", describe(loaded))
            self._changed(describe(loaded))
        self._tell((*self._edge.findings, *self._edge.istiod.findings))
        if before and not _errors(self._edge.findings):
            self._changed("the files are free of faults again")


def _errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)
