"""The runtime of every controller: a queue of keys, one reconciliation per key at a time, back-off, and events.

Controllers are level-triggered: any change means "reconcile this key". A reconciliation that raises is retried after
its back-off, and a key that changes meanwhile is reconciled once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from typing import Generic, Literal, TypeAlias, TypeVar

from lockgate.controllers.kubernetes import Change, Kubernetes
from lockgate.resources.model import Resource, ResourceT
from lockgate.resources.status import ApiError

log = logging.getLogger("lockgate.controllers")

_EVENTS_COUNTED = 128  # events that a recorder remembers for counting

Key = TypeVar("Key", bound=Hashable)
Outcome: TypeAlias = Literal["success", "error", "requeue_after"]
"""How a reconciliation ends, as controller-runtime counts it."""


class Queue(Generic[Key]):
    """Keys waiting to be reconciled. Adding a waiting key is free; adding a running one runs it again afterwards."""

    def __init__(
        self,
        *,
        first_delay: float = 0.05,
        max_delay: float = 30.0,
        done: Callable[[Outcome, float], None] = lambda outcome, seconds: None,
    ) -> None:
        """`done` gets the outcome of each reconciliation, and how many seconds it took."""
        self._done = done
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._waiting: dict[Key, None] = {}
        self._failures: dict[Key, int] = {}
        self.errors: dict[Key, str] = {}
        """The last error of each key that is being retried."""
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._running: set[Key] = set()
        self._wake = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be reconciled now. Keys that wait for their back-off do not count."""
        return not self._waiting and not self._running

    def add(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._waiting[key] = None
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Reconciles again in `seconds`, unless something triggers it sooner."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self, reconcile: Callable[[Key], Awaitable[None]], *, name: str, workers: int = 1) -> None:
        """Runs until cancelled: takes a key and reconciles it; on an exception, logs it and retries with back-off.

        With several `workers`, a slow network call for one key does not block others; a key never runs twice at once.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(reconcile, name))

    async def _work(self, reconcile: Callable[[Key], Awaitable[None]], name: str) -> None:
        while True:
            key = await self._take()
            began = time.monotonic()
            try:
                await reconcile(key)
            except Exception as error:  # one broken object must not affect others
                failures = self._failures.get(key, 0)
                self._failures[key] = failures + 1
                self.errors[key] = str(error)
                delay = min(self._first_delay * 2.0 ** min(failures, 32), self._max_delay)
                log.warning("%s %s: %s; again in %.1f s", name, key, error, delay)
                log.debug("%s %s", name, key, exc_info=error)
                if key not in self._waiting:
                    self.add_after(key, delay)
                self._done("error", time.monotonic() - began)
            else:
                self._failures.pop(key, None)
                self.errors.pop(key, None)
                self._done("requeue_after" if key in self._timers else "success", time.monotonic() - began)
            finally:
                self._running.discard(key)
                if key in self._waiting:
                    self._wake.set()
            # Before Python 3.12, `asyncio.wait_for` swallows a cancellation if what it waits for ends at that moment.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError

    async def _take(self) -> Key:
        while True:
            for key in self._waiting:
                if key not in self._running:
                    del self._waiting[key]
                    self._running.add(key)
                    return key
            self._wake.clear()
            await self._wake.wait()


async def follow(kubernetes: Kubernetes, kind: type[ResourceT], enqueue: Callable[[ResourceT], None]) -> None:
    """Calls `enqueue` with every object of a kind, now and at each change, including deletions."""
    async for change in kubernetes.watch(kind):
        if change.object is not None:
            enqueue(change.object)


class EventRecorder:
    """Kubernetes Events about objects, as `kubectl describe` shows them. Equal events are counted, not repeated."""

    def __init__(self, kubernetes: Kubernetes, component: str) -> None:
        self._kubernetes = kubernetes
        self._component = component
        self._written: dict[int, int] = {}  # equal events, as a hash, to the time in their name; the latest ones last

    async def event(self, about: Resource, type_: str, reason: str, message: str) -> None:
        """`type_` is ``Normal`` or ``Warning``. Failing to write an event never fails the caller."""
        same = hash((about.metadata.uid, type_, reason, message))
        try:
            if not await self._count(same, about):
                await self._create(same, about, type_, reason, message)
        except ApiError as error:
            log.warning("cannot record event %s on %s: %s", reason, about.key, error)

    async def _count(self, same: int, about: Resource) -> bool:
        """Counts an equal event once more; False if there is none, or it has been deleted."""
        from lockgate.resources import core

        written = self._written.pop(same, None)
        if written is None:
            return False
        self._written[same] = written
        name, namespace = _event_name(about, written), about.namespace or "default"
        try:
            earlier = await self._kubernetes.get(core.Event, name, namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        patch = {"count": earlier.count + 1, "lastTimestamp": _timestamp()}
        await self._kubernetes.patch(core.Event, name, namespace, patch)
        return True

    async def _create(self, same: int, about: Resource, type_: str, reason: str, message: str) -> None:
        self._written[same] = time.time_ns()
        name = _event_name(about, self._written[same])
        if len(self._written) > _EVENTS_COUNTED:
            del self._written[next(iter(self._written))]
        now = _timestamp()
        await self._kubernetes.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": about.namespace or "default"},
                "involvedObject": {
                    "apiVersion": about.api_version or about.KIND.api_version,
                    "kind": about.KIND.kind,
                    "name": about.name,
                    "namespace": about.namespace,
                    "uid": about.metadata.uid,
                    "resourceVersion": about.metadata.resource_version,
                },
                "type": type_,
                "reason": reason,
                "message": message,
                "source": {"component": self._component},
                "reportingComponent": self._component,
                "reportingInstance": "",
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            }
        )


def _event_name(about: Resource, written: int) -> str:
    """Clients sort events by their time, which has whole seconds, and then by name: so names have the time, too."""
    return f"{about.name}.{written:x}"


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Change", "EventRecorder", "Queue", "follow"]
