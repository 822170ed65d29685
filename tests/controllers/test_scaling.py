"""What one more object costs does not grow with how many there are already.

Costs are counted as calls of Python functions, which no other process on the machine changes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from lockgate.controllers.nodes import Nodes
from lockgate.controllers.nodes.controller import Machine
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core
from lockgate.resources.model import JsonObject

MACHINE = Machine("node-1", "i-0123", "eu-west-1a", "eu-west-1", "172.31.0.10")
BATCH, BATCHES = 60, 6
ALLOWED = 1.6  # the last batch's calls, in those of the first: caches fill, and pauses fall differently


@contextmanager
def counted() -> Iterator[list[int]]:
    count = [0]

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            count[0] += 1

    sys.setprofile(note)
    try:
        yield count
    finally:
        sys.setprofile(None)


def service(name: str) -> JsonObject:
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "many"}, "spec": spec}


def config_map(name: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "many"}}


def nodes(store: Store) -> Callable[[], Awaitable[None]]:
    async def echo(
        namespace: str, service: str, port: int, names: tuple[str, ...] | None, workload: str, datagrams: bool
    ) -> tuple[str, int]:
        return "127.0.0.1", 20000 + port

    return Nodes(store, machine=MACHINE, echo=echo, backends={}, free_port=lambda address, port, purpose: port).run


ACTORS: dict[str, tuple[Callable[[Store], Callable[[], Awaitable[None]]], Callable[[str], JsonObject]]] = {
    "the API alone": (lambda store: store.run, config_map),
    "nodes": (nodes, service),
}


@pytest.mark.parametrize("name", ACTORS)
def test_one_more_object_costs_what_the_first_one_did(name: str) -> None:
    actor, manifest = ACTORS[name]

    async def story() -> list[int]:
        store = Store()
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
        running: asyncio.Future[Any] = asyncio.ensure_future(actor(store)())
        await _idle(store)
        costs = []
        for batch in range(BATCHES):
            with counted() as count:
                for number in range(BATCH):
                    await store.create(manifest(f"o{batch}-{number}"))
                    await asyncio.sleep(0)
                await _idle(store)
            costs.append(count[0])
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return costs

    costs = asyncio.run(story())
    assert costs[-1] < ALLOWED * costs[0], costs


def test_deleting_a_namespace_costs_as_much_for_each_object_however_many_there_are() -> None:
    async def cost(objects: int) -> float:
        store = Store()
        controllers = asyncio.ensure_future(store.run())
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
        for number in range(objects):
            await store.create(config_map(f"o{number}"))
        with counted() as count:
            await store.delete(core.Namespace, "many")
            await _idle(store)
        assert "many" not in [each.name for each in await store.list(core.Namespace)]
        controllers.cancel()
        return count[0] / objects

    assert asyncio.run(cost(800)) < ALLOWED * asyncio.run(cost(100))


async def _idle(store: Store) -> None:
    """Until nothing is written any more."""
    revision, unchanged = -1, 0
    while unchanged < 20:
        await asyncio.sleep(0.002)
        unchanged = unchanged + 1 if store.storage.revision == revision else 0
        revision = store.storage.revision
