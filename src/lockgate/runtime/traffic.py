"""Follows what the Envoys count: totals since the edge started, and samples of the last hour.

An Envoy that ends takes with it what it counted since the last reading, at most `STEP` seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, Protocol

from lockgate.metrics.flows import Counts, Ledger
from lockgate.metrics.standard import Totals
from lockgate.metrics.store import Store
from lockgate.xds.flows import CONNECTIONS, MAX_FLOWS, REQUESTS, read

log = logging.getLogger("lockgate.runtime")

STEP: Final = 5.0  # seconds between samples
_REST: Final = 50  # times as long as a reading took: Envoy looks through all its stats, which may be 200,000
_LONGEST: Final = 25.0  # seconds between samples; Kiali asks for the rate of a minute


class Process(Protocol):
    """An Envoy, or what stands for it in a test."""

    @property
    def pid(self) -> int | None: ...

    async def admin(self, path: str) -> str: ...


class Traffic:
    """`totals` are Istio's metrics, and `store` has samples of them.

    `label` adds new counts to `totals` under their labels, and `has_connections` says whether a node has listeners of
    TCP. `lock` is held while samples are added: whoever reads
    `store` on a thread must hold it.
    """

    def __init__(
        self,
        envoys: Mapping[str, Process],
        label: Callable[[Counts, Totals], None],
        has_connections: Callable[[str], bool],
    ) -> None:
        self._envoys = envoys
        self._label = label
        self._has_connections = has_connections
        self._with_connections: set[str] = set()
        self._ledger = Ledger()
        self._reading = asyncio.Lock()
        self._full = self._warned = False
        self._sampled = 0.0
        self.totals = Totals()
        self.store = Store()
        self.lock = asyncio.Lock()

    async def run(self) -> NoReturn:
        """Adds samples until cancelled."""
        while True:
            began = time.monotonic()
            await self._read()
            took = time.monotonic() - began
            async with self.lock:
                self._sampled = max(time.time(), self._sampled + 0.001)  # a clock may be set back
                self.store.append(self._sampled, self.totals.changed())
            self._warn()
            await asyncio.sleep(min(max(STEP, _REST * took), _LONGEST))

    async def read(self) -> None:
        """Brings `totals` up to date. Envoy updates its histograms when it is asked, but after its response, so this
        asks twice."""
        await self._read()
        await self._read()

    async def _read(self) -> None:
        async with self._reading:  # two readings at once could add the same counts twice
            for node, envoy in list(self._envoys.items()):
                pid = envoy.pid
                try:
                    if self._has_connections(node):
                        self._with_connections.add(node)
                    requests = await envoy.admin(REQUESTS)
                    connections = await envoy.admin(CONNECTIONS) if node in self._with_connections else ""
                except OSError:
                    continue  # it starts or ends; its last counts stay
                if pid is not None and pid == envoy.pid:
                    counts = read(node, requests, connections)
                    self._full = self._full or len(counts.requests) >= MAX_FLOWS
                    self._label(self._ledger.note(node, pid, counts), self.totals)

    def _warn(self) -> None:
        """Once, when something is not counted or kept any more."""
        if not self._warned and (self._full or self.totals.dropped or self.store.dropped):
            self._warned = True
            log.warning("there are more metrics than are kept: counts of new labels may be missing")
