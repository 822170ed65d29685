"""The controller: reconciles whenever something changes, and everything about once a minute.

A large edge has thousands of records, and most changes of its objects concern none of them. So a change that leads to
the same endpoints ends there, unless the zones have other numbers of records than this controller left behind; and the
record sets of a zone are read again only then, or after a while, as with external-dns' --provider-cache-time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.external_dns.route53 import BATCH, Zones
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import Queue, follow
from lockgate.dns.plan import Change, Endpoint, plan
from lockgate.edge.endpoints import endpoints
from lockgate.edge.objects import Objects
from lockgate.resources import core, istio, networking
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource

log = logging.getLogger("lockgate.controllers.external_dns")

INTERVAL = 60.0  # seconds between reconciliations without changes; external-dns' default
_ALL = "records"
_KINDS: tuple[type[Resource], ...] = (networking.Ingress, istio.Gateway, istio.VirtualService, core.Service)
_PER_HOST = 4  # record sets: A and AAAA, each with its TXT
_A_MINUTE = 4000  # record sets that are read again in a minute, at most
_LONG, _REST, _LONGEST_REST = 0.5, 2, 10.0  # s that are long; so many times as long is the rest, s at most


class ExternalDns:
    """`owner` is recorded beside each record, and only its records are changed."""

    def __init__(self, kubernetes: Kubernetes, aws: Aws, *, owner: str = "default") -> None:
        self._kubernetes = kubernetes
        self._aws = aws
        self._owner = owner
        self._queue: Queue[str] = Queue(max_delay=INTERVAL)
        self._told: set[str] = set()
        self._memo = Memo()
        self._objects: Objects | None = None
        self._zones = Zones(aws)
        self._achieved: Sequence[Endpoint] | None = None  # the endpoints that have their records
        self._read_again = 0.0

    async def run(self) -> None:
        """Runs until cancelled."""
        self._queue.add(_ALL)
        async with asyncio.TaskGroup() as group:
            for kind in _KINDS:
                group.create_task(follow(self._kubernetes, kind, self._changed))
            group.create_task(self._queue.run(self._reconcile, name="external-dns"))

    def _changed(self, _: Resource) -> None:
        self._queue.add(_ALL)

    async def _reconcile(self, _: str) -> None:
        """A long reconciliation is followed by a pause, so that a burst of changes does not read every zone for each
        change. The first one may have waited for the AWS API to start, which says nothing about the next."""
        first, began = self._achieved is None, time.monotonic()
        try:
            await self._synchronise()
        finally:
            if (took := time.monotonic() - began) > _LONG and not first:
                await asyncio.sleep(min(_REST * took, _LONGEST_REST))

    async def _synchronise(self) -> None:
        # Listed, not taken from the watches: an incomplete cache would delete records.
        listed = [each for kind in _KINDS for each in await self._kubernetes.list(kind)]
        self._objects = Objects(listed, self._objects)
        desired = await asyncio.to_thread(endpoints, self._objects, self._memo)
        began = time.monotonic()
        again = began >= self._read_again
        if not await self._zones.changed() and not again and desired is self._achieved:
            self._queue.add_after(_ALL, self._read_again - began)
            return
        zones = await self._zones.read(again=again)
        if again:
            records = sum(len(zone.record_sets) for zone in zones)
            self._read_again = began + INTERVAL * max(1.0, records / _A_MINUTE)
        decided = await asyncio.to_thread(plan, desired, zones, self._owner)
        self._tell(f"{endpoint.resource}: {endpoint.host}: {why}" for endpoint, why in decided.left)
        failures: list[AwsError] = []
        for zone_id, groups in decided.changes.items():
            for batch in _batches(groups):
                began = time.monotonic()
                failures += await self._write(zone_id, batch)
                if len(batch) == BATCH // 2:  # more are to come: what is served gets its turn
                    await asyncio.sleep(time.monotonic() - began)
        if failures:
            self._achieved = None
            raise ExceptionGroup("; ".join(error.message for error in failures), failures)
        self._achieved = desired
        self._read_again = max(self._read_again, began + INTERVAL * max(1.0, len(desired) * _PER_HOST / _A_MINUTE))
        await self._zones.changed()
        self._queue.add_after(_ALL, self._read_again - time.monotonic())

    async def _write(self, zone_id: str, batch: Sequence[tuple[Change, ...]]) -> list[AwsError]:
        """Writes all changes together if possible, else one by one, so that an invalid record set does not block the
        others."""
        try:
            await self._zones.write(zone_id, [change for group in batch for change in group])
        except AwsError as error:
            if len(batch) == 1:
                return [error]
            return [failure for group in batch for failure in await self._write(zone_id, [group])]
        for group in batch:
            record_set = group[0].record_set
            log.info("%s %s %s", group[0].action, record_set.type, record_set.name)
        return []

    def _tell(self, reasons: Iterator[str]) -> None:
        """Logs each reason once, until it disappears."""
        now = set(reasons)
        for reason in sorted(now - self._told):
            log.warning("%s", reason)
        self._told = now


def _batches(groups: Sequence[tuple[Change, ...]]) -> Iterator[Sequence[tuple[Change, ...]]]:
    for start in range(0, len(groups), BATCH // 2):
        yield groups[start : start + BATCH // 2]
