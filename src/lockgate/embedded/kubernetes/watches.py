"""A watch over HTTP: one JSON line or protobuf frame per change.

It ends when the client leaves, the timeout expires, or the history overflows.

Source: kubernetes.io "API Concepts", "Efficient detection of changes" and "Streaming lists".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from lockgate.embedded.kubernetes.custom.conversion_webhooks import Conversion
from lockgate.embedded.kubernetes.forms import Form
from lockgate.embedded.kubernetes.history import Event, Stored
from lockgate.embedded.kubernetes.refusals import too_old
from lockgate.embedded.kubernetes.selectors import Matches
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

_BOOKMARK_SECONDS = 60.0  # the period of the API server's watch cache
_AT_ONCE = 100  # objects written without a pause

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Watch:
    """A client's watch. With `revision` None, it starts now, with all existing objects as ADDED.

    `initial_end` requests a bookmark after the existing objects (WatchList). Watches of a kind with the same `view` get
    the same bytes.
    """

    form: Form
    namespace: str
    matches: Matches
    revision: int | None
    bookmarks: bool = False
    initial_end: bool = False
    timeout: float | None = None
    view: Hashable = field(default_factory=object)
    conversion: Conversion | None = None

    async def prepare(self, objects: Iterable[Stored]) -> None:
        """Raises `ApiError` if a webhook cannot convert them."""
        if self.conversion is not None:
            await self.conversion.prepare(objects, self.form.api_version)


async def lines(storage: Storage, watch: Watch) -> AsyncGenerator[bytes, None]:
    """Yields chunks of whole events. Raises `Expired` before the first if `revision` is no longer kept."""
    at = watch.form.kind.group_kind
    loop = asyncio.get_running_loop()
    ends = loop.time() + watch.timeout if watch.timeout is not None else None
    start = storage.revision if watch.revision is None else watch.revision
    with storage.reading(at, start) as reader:
        existing = storage.all(at, watch.namespace) if watch.revision is None else []
        for some in _batches(existing):
            await watch.prepare(some)
            yield b"".join(watch.form.event("ADDED", each) for each in some if watch.matches(each.json))
            await asyncio.sleep(0)
        if watch.initial_end:
            yield _bookmark(watch, start, {"k8s.io/initial-events-end": "true"})
        elif not existing:
            yield b""
        while True:
            patience = _BOOKMARK_SECONDS if watch.bookmarks else None
            if ends is not None:
                patience = min(ends - loop.time(), patience if patience is not None else float("inf"))
                if patience <= 0:
                    return
            await reader.delivered(patience)
            try:
                events = reader.events()
            except ApiError:
                yield watch.form.error(too_old(reader.revision, storage.revision).status())
                return
            for happened in _batches(events):
                try:
                    await watch.prepare(each for event in happened for each in (event.object, event.previous) if each)
                except ApiError as error:
                    yield watch.form.error(error.status())
                    return
                key = (watch.view, happened[0].revision, happened[-1].revision)
                lines = reader.shared(key, partial(_text, watch, happened))
                reader.done(happened[-1].revision)
                if lines:
                    yield lines
                if len(events) > _AT_ONCE:
                    await asyncio.sleep(0)
            if not events and watch.bookmarks and (ends is None or loop.time() < ends):
                reader.done(storage.revision)
                yield _bookmark(watch, reader.revision, {})


def _text(watch: Watch, events: list[Event]) -> bytes:
    return b"".join(_lines(watch, events))


def _lines(watch: Watch, events: list[Event]) -> Iterator[bytes]:
    for event in events:
        stored = event.object
        if watch.namespace and stored.key.namespace != watch.namespace:
            continue
        now = event.type != "DELETED" and watch.matches(stored.json)
        before = event.previous is not None and watch.matches(event.previous.json)
        if now:
            yield watch.form.event("MODIFIED" if before else "ADDED", stored)
        elif before:
            # Deleted, or no longer selected: the client last saw the previous state.
            assert event.previous is not None
            previous = event.previous.body(watch.form.api_version)
            last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(event.revision)}}
            yield watch.form.event("DELETED", Stored(stored.key, last, event.revision))


def _batches(items: list[_Item]) -> Iterator[list[_Item]]:
    """Splits items into small batches, between which other work happens."""
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _bookmark(watch: Watch, revision: int, annotations: dict[str, str]) -> bytes:
    metadata: JsonObject = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return watch.form.bookmark(metadata)
