"""The history of changes to the objects of one kind, for watches.

Each reader has a position in the history and moves forward. Changes that some reader has not seen yet are kept as they
were written, with typed values, and shared by all readers. Changes that all readers have seen are needed only by
clients that return with an old resourceVersion. So they are kept as JSON text, up to `KEPT_CHANGES` and `KEPT_BYTES`,
once a later revision of their object exists: until then, the object is in memory anyway.
A client that is further behind must list again, as with a real API server's watch cache.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Final, Literal

from lockgate.embedded.kubernetes.conversions import shown
from lockgate.embedded.kubernetes.exchange import encoded
from lockgate.embedded.kubernetes.refusals import too_old
from lockgate.resources.model import JsonObject, ObjectKey, Resource, ResourceT

# Per kind. A real API server keeps at least 100 changes, and at least those of the last 75 seconds.
KEPT_CHANGES: Final = 1024
KEPT_BYTES: Final = 128 * 1024
# Watches send changes together: the first at once, the next after this long for each watch of the kind. Of a thousand
# changes a second, many then go in one piece, which is made once for all watches that want the same.
GATHERED_SECONDS: Final = 0.000_25


class Stored:
    """One revision of an object. Its parsed value and its JSON text are created once and cached."""

    __slots__ = ("_converted", "_encoded", "_json", "_message", "_parsed", "_text", "is_current", "key", "revision")

    def __init__(self, key: ObjectKey, json: JsonObject, revision: int, parsed: Resource | None = None) -> None:
        self.key = key
        self.revision = revision
        self.is_current = True  # in storage, as this very value
        self._json: JsonObject | None = json
        self._parsed = parsed
        self._encoded: tuple[str, bytes] | None = None
        self._message: tuple[str, bytes] | None = None
        self._text: Stored | None = None
        self._converted: dict[str, JsonObject] | None = None

    @property
    def json(self) -> JsonObject:
        if self._json is None:
            assert self._encoded is not None
            body: JsonObject = json.loads(self._encoded[1])
            return body
        return self._json

    @property
    def parsed_already(self) -> Resource | None:
        return self._parsed

    def parsed(self, model: type[ResourceT]) -> ResourceT:
        if isinstance(self._parsed, model):
            return self._parsed
        parsed = model.model_validate(self.json)
        if self._json is not None:
            self._parsed = parsed
        return parsed

    def body(self, api_version: str) -> JsonObject:
        """The object in the requested version of its group."""
        converted = self._converted.get(api_version) if self._converted else None
        return shown(self.json, api_version) if converted is None else converted

    def is_in(self, api_version: str) -> bool:
        """Whether `body` needs no webhook's conversion."""
        return self.json["apiVersion"] == api_version or bool(self._converted and api_version in self._converted)

    def convert(self, api_version: str, body: JsonObject) -> None:
        """Keeps what a webhook made of the object in another version."""
        self._converted = {**(self._converted or {}), api_version: body}

    def encoded(self, api_version: str) -> bytes:
        """The object as JSON text, in the requested version of its group."""
        if self._encoded is not None and self._encoded[0] == api_version:
            return self._encoded[1]
        text = encoded(self.body(api_version))
        if self._json is not None:
            self._encoded = (api_version, text)
        return text

    def message(self, api_version: str, encode: Callable[[JsonObject], bytes]) -> bytes:
        """The object as a protobuf message, in the requested version of its group."""
        if self._message is None or self._message[0] != api_version:
            self._message = (api_version, encode(shown(self.json, api_version)))
        return self._message[1]

    def as_text(self) -> Stored:
        """The same revision, with only the text kept. Everything else is created again on demand."""
        if self._json is None:
            return self
        if self._text is None:  # for the event that it comes from, and for the next one, which it is before
            version = self._json.get("apiVersion", "")
            self._text = Stored(self.key, self._json, self.revision)
            self._text._encoded = (version, self.encoded(version))
            self._text._json = None
        return self._text

    @property
    def size(self) -> int:
        """The size of the text in bytes, if it was created."""
        return len(self._encoded[1]) if self._encoded else 0


class Event:
    """A change of one object. For a deletion, `object` is the last state, with the deletion's revision."""

    __slots__ = ("object", "previous", "revision", "type")

    def __init__(
        self, type: Literal["ADDED", "MODIFIED", "DELETED"], revision: int, object: Stored, previous: Stored | None
    ) -> None:
        self.type = type
        self.revision = revision
        self.object = object
        self.previous = previous

    def keep_as_text(self) -> int:
        """Drops everything except the JSON text of what has been replaced, and returns its size in bytes. An earlier
        event has the old text."""
        self.previous = self.previous.as_text() if self.previous else None
        if self.object.is_current:
            return 0
        self.object = self.object.as_text()
        return self.object.size


class History:
    """The last changes of one kind. A reader may be at most `limit` changes behind."""

    def __init__(self, forgotten: int, limit: int) -> None:
        self._events: list[Event] = []
        self._forgotten = forgotten  # the newest revision that is no longer kept
        self._limit = limit
        self._seen = 0  # the number of events that all readers have seen
        self._sizes: list[int] = []  # their sizes in bytes
        self._bytes = 0
        self._positions: Counter[int] = Counter()  # how many readers are at a revision: few revisions, many readers
        self._next: asyncio.Future[None] | None = None
        self._delivery: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._delivered = 0.0  # when the last delivery was, in the loop's time
        self.shared: dict[Hashable, bytes] = {}  # what watches have made of the changes that some have yet to send

    @property
    def latest(self) -> int:
        return self._events[-1].revision if self._events else self._forgotten

    def append(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > 2 * self._limit:  # half at a time, since dropping one would move all others
            self._forget(self._limit)
        if event.previous is not None:
            self._replaced(event.previous)
        self.tidy()
        if self._next is not None:
            future, self._next = self._next, None
            if not future.done():
                future.set_result(None)
        if self._delivery is not None:
            self._schedule(self._delivery)

    def _schedule(self, delivery: asyncio.Future[None]) -> None:
        if self._timer is None:
            loop = delivery.get_loop()
            at = max(loop.time(), self._delivered + GATHERED_SECONDS * self._positions.total())
            self._timer = loop.call_at(at, self._deliver, delivery)

    def _deliver(self, delivery: asyncio.Future[None]) -> None:
        self._delivered = delivery.get_loop().time()
        self._delivery = self._timer = None
        if not delivery.done():
            delivery.set_result(None)

    @contextmanager
    def reading(self, revision: int) -> Iterator[Reader]:
        """A reader that starts after `revision`. Raises `Expired` if that is no longer kept."""
        self.since(revision)
        reader = Reader(self, revision)
        self._positions[revision] += 1
        try:
            yield reader
        finally:
            self._leave(reader.revision)
            self.tidy()

    def moved(self, before: int, after: int) -> None:
        """A reader has processed all changes up to `after`."""
        if before != after:
            self._positions[after] += 1
            self._leave(before)
            if before not in self._positions:  # the last one there, so there may be changes that all have seen
                self.tidy()

    def _leave(self, revision: int) -> None:
        self._positions[revision] -= 1
        if not self._positions[revision]:
            del self._positions[revision]

    def since(self, revision: int) -> list[Event]:
        """The changes after `revision`, oldest first. Raises `Expired` if that is no longer kept."""
        if revision < self._forgotten:
            raise too_old(revision, self._forgotten)
        return self._events[self._position(revision) :]

    def next_change(self) -> asyncio.Future[None]:
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def next_delivery(self, revision: int) -> asyncio.Future[None]:
        """The next moment at which watches send what has changed, for one that is at a revision."""
        if self._delivery is None:
            self._delivery = asyncio.get_running_loop().create_future()
        if self.latest > revision:
            self._schedule(self._delivery)
        return self._delivery

    def tidy(self) -> None:
        """Converts events that all readers have seen to text, and drops the oldest."""
        slowest = min(self._positions, default=self.latest)
        if slowest >= self.latest:
            self.shared.clear()
        while self._seen < len(self._events) and self._events[self._seen].revision <= slowest:
            size = self._events[self._seen].keep_as_text()
            self._sizes.append(size)
            self._bytes += size
            self._seen += 1
        # Exceeds the limit by a quarter before it drops any, so that many are dropped at once.
        if self._seen * 4 > KEPT_CHANGES * 5 or self._bytes * 4 > KEPT_BYTES * 5:
            count, rest = 0, self._bytes
            while self._seen - count > KEPT_CHANGES or rest > KEPT_BYTES:
                rest -= self._sizes[count]
                count += 1
            self._forget(count)

    def _replaced(self, stored: Stored) -> None:
        """Converts its event, too, if all readers have seen it."""
        stored.is_current = False
        at = self._position(stored.revision) - 1
        if at < 0 or self._events[at].revision != stored.revision:
            return
        self._events[at].object.is_current = False
        if at < self._seen:
            self._bytes -= self._sizes[at]
            self._sizes[at] = self._events[at].keep_as_text()
            self._bytes += self._sizes[at]

    def _forget(self, count: int) -> None:
        self._forgotten = self._events[count - 1].revision
        del self._events[:count]
        self._bytes -= sum(self._sizes[:count])
        del self._sizes[:count]
        self._seen = max(self._seen - count, 0)

    def _position(self, revision: int) -> int:
        return bisect_right(self._events, revision, key=attrgetter("revision"))


class Reader:
    """A reader of a kind's changes; `revision` is that of the last change that it has processed."""

    def __init__(self, history: History, revision: int) -> None:
        self.revision = revision
        self._history = history

    @property
    def behind(self) -> bool:
        """Whether there are changes that it has not processed."""
        return self._history.latest > self.revision

    def events(self) -> list[Event]:
        """The changes since then, oldest first. Raises `Expired` if the reader is too far behind."""
        return self._history.since(self.revision)

    def done(self, revision: int) -> None:
        """Marks all changes up to `revision` as processed."""
        before, self.revision = self.revision, revision
        self._history.moved(before, revision)

    async def changed(self, timeout: float | None = None) -> None:
        """Returns as soon as there is a change, or after `timeout` seconds."""
        if not self.behind:
            # `asyncio.wait` does not cancel the future, which all readers of this kind share.
            await asyncio.wait([self._history.next_change()], timeout=timeout)

    async def delivered(self, timeout: float | None = None) -> None:
        """The same, but returns for all watches of this kind at once, so that they send the same changes."""
        await asyncio.wait([self._history.next_delivery(self.revision)], timeout=timeout)

    def shared(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What `make` returns, made once for all watches that ask for the same while some are behind."""
        made = self._history.shared.get(key)
        if made is None:
            made = self._history.shared[key] = make()
        return made
