"""What the API keeps of objects that are gone, and that large deletions leave others their turn."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from lockgate.embedded.kubernetes import garbage, history
from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.history import Event, History, Stored
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.status import Expired

T = TypeVar("T")
SHAPES = (
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def config_map(name: str, namespace: str = "default", size: int = 1000, **metadata: Any) -> JsonObject:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}
    return {**body, "data": {"filler": "x" * size}}


def about(name: str) -> JsonObject:
    involved = {"kind": "Ingress", "name": "web", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "involvedObject": involved}


def alive(kind: type[Resource]) -> int:
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


# --- history ------------------------------------------------------------------------------------------------------


def stored(revision: int, size: int = 1000) -> Stored:
    body = {**config_map("web", size=size)}
    body["metadata"] = {**body["metadata"], "resourceVersion": str(revision)}
    return Stored(ObjectKey("", "ConfigMap", "default", "web"), body, revision)


def written(past: History, revisions: range, size: int = 1000) -> None:
    for revision in revisions:
        past.append(Event("MODIFIED", revision, stored(revision, size), stored(revision - 1, size)))


def test_history_is_bounded_by_its_bytes() -> None:
    past = History(0, 4096)
    written(past, range(1, 2000), size=2000)
    oldest = next(revision for revision in range(2000) if not _is_forgotten(past, revision))
    kept = past.since(oldest)
    assert 0.9 * history.KEPT_BYTES < sum(each.object.size for each in kept) <= 1.25 * history.KEPT_BYTES
    assert [each.revision for each in kept] == list(range(oldest + 1, 2000))


def test_history_is_bounded_by_its_length() -> None:
    past = History(0, 4096)
    written(past, range(1, 5000), size=1)
    assert _is_forgotten(past, 5000 - 2 * history.KEPT_CHANGES)
    assert len(past.since(5000 - history.KEPT_CHANGES)) == history.KEPT_CHANGES - 1


def test_changes_that_a_slow_reader_has_not_seen_are_kept() -> None:
    past = History(0, 4096)
    with past.reading(0) as slow:
        written(past, range(1, 1001))  # a megabyte, much more than is kept of what everybody has seen
        events = slow.events()
        assert [each.revision for each in events] == list(range(1, 1001))
        slow.done(500)
        assert [each.revision for each in slow.events()] == list(range(501, 1001))
    assert _is_forgotten(past, 500)


def test_a_reader_beyond_the_limit_has_to_list_again() -> None:
    past = History(0, 100)
    with past.reading(0) as slow:
        written(past, range(1, 500))
        with pytest.raises(Expired):
            slow.events()


def test_seen_changes_are_text_and_say_the_same() -> None:
    past, first = History(0, 4096), stored(1)
    past.append(Event("ADDED", 1, first, None))
    assert past.since(0)[0].object is first, "while it is the current revision, which storage has"
    past.append(Event("MODIFIED", 2, stored(2), first))
    event, _ = past.since(0)
    assert event.object.parsed(core.ConfigMap) is not event.object.parsed(core.ConfigMap)  # made again each time
    assert event.object.json == stored(1).json
    assert json.loads(event.object.encoded("v1")) == stored(1).json


def test_deleted_objects_leave_no_values_behind() -> None:
    async def story() -> None:
        store = Store()
        watching = asyncio.create_task(_watch(store))
        await asyncio.sleep(0)
        before = alive(core.ConfigMap)
        for number in range(30):
            await store.create(config_map(f"c{number}"))
            await store.patch(core.ConfigMap, f"c{number}", "default", {"data": {"a": "b"}})
            await store.delete(core.ConfigMap, f"c{number}", "default")
            await asyncio.sleep(0.01)
        assert alive(core.ConfigMap) <= before + 1  # the last one may still be in the watcher's hands
        watching.cancel()

    run(story())


# --- Events -------------------------------------------------------------------------------------------------------


def test_events_expire_after_an_hour() -> None:
    async def story() -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        store = Store(clock=lambda: now)
        await store.create(about("old"))
        await store.create(about("counted"))
        now += timedelta(minutes=59)
        await store.patch(core.Event, "counted", "default", {"count": 2})
        now += timedelta(minutes=1)
        store.writes.deletions.expire_events(store.clock())
        assert [each.name for each in await store.list(core.Event)] == ["counted"]
        now += timedelta(minutes=60)
        store.writes.deletions.expire_events(store.clock())
        assert await store.list(core.Event) == []

    run(story())


def test_old_events_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVENTS_KEPT", 2)

    async def story() -> None:
        store = Store()
        others = len(store.storage)
        names = [f"e{number:02}" for number in range(others + 4)]
        for name in names:
            await store.create(about(name))
        assert [event.name for event in await store.list(core.Event)] == names[2:]

    run(story())


# --- large deletions ----------------------------------------------------------------------------------------------


def test_a_large_namespace_is_deleted_in_batches() -> None:
    async def story() -> None:
        store = Store()
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
        for number in range(400):
            await store.create(config_map(f"c{number}", "many", size=1))
        await store.delete(core.Namespace, "many")
        assert (await store.get(core.Namespace, "many")).metadata.deletion_timestamp
        left = [len(await store.list(core.ConfigMap, "many"))]
        assert left[0] == 400 - garbage.AT_ONCE
        controllers = asyncio.create_task(store.run())
        while left[-1]:
            await asyncio.sleep(0)
            left.append(len(await store.list(core.ConfigMap, "many")))
        controllers.cancel()
        assert max(before - after for before, after in itertools.pairwise(left)) <= garbage.AT_ONCE
        assert "many" not in [each.name for each in await store.list(core.Namespace)]

    run(story())


def test_dependents_of_an_owner_are_deleted_in_batches() -> None:
    async def story() -> None:
        store = Store()
        owner = await store.create(config_map("owner"))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        for number in range(120):
            await store.create(config_map(f"c{number:03}", size=1, ownerReferences=[reference]))
        await store.delete(core.ConfigMap, "owner", "default")
        assert len(await store.list(core.ConfigMap)) == 120 - garbage.AT_ONCE
        controllers = asyncio.create_task(store.run())
        while await store.list(core.ConfigMap):
            await asyncio.sleep(0)
        controllers.cancel()

    run(story())


def test_a_recreated_object_is_not_confused_with_the_previous_one() -> None:
    """Garbage is what it was when its owner went: a new object of the same name has another owner, or none."""

    async def story() -> None:
        store = Store()
        owner = await store.create(config_map("owner"))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        for number in range(120):
            await store.create(config_map(f"c{number:03}", size=1, ownerReferences=[reference]))
        await store.delete(core.ConfigMap, "owner", "default")
        await store.delete(core.ConfigMap, "c119", "default")
        await store.create(config_map("c119", size=1))
        controllers = asyncio.create_task(store.run())
        while len(await store.list(core.ConfigMap)) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        controllers.cancel()
        assert [each.name for each in await store.list(core.ConfigMap)] == ["c119"]

    run(story())


async def _watch(store: Store) -> None:
    async for _ in store.watch(core.ConfigMap):
        pass


def _is_forgotten(past: History, revision: int) -> bool:
    try:
        past.since(revision)
    except Expired:
        return True
    return False


# --- large answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", *SHAPES])
def test_a_long_list_does_not_block_other_requests(accept: str) -> None:
    """Between two turns of the loop only so many objects are written."""

    async def story() -> None:
        store = Store()
        for number in range(300):
            await store.create(config_map(f"c{number:03}", size=1))
        answering = asyncio.create_task(_listed(KubernetesApi(store, token="t"), accept))
        turns = 0
        while not answering.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 300 / 50
        body = json.loads(await answering)
        rows = body.get("rows") or body["items"]
        assert len(rows) == 300

    run(story())


async def _listed(api: KubernetesApi, accept: str) -> bytes:
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))

    headers = [(b"authorization", b"Bearer t"), (b"accept", accept.encode())]
    scope = {"type": "http", "method": "GET", "path": "/api/v1/configmaps", "query_string": b"", "headers": headers}
    await api(scope, receive, send)
    return b"".join(parts)
