"""What a running edge keeps of objects that came and went: counted, not weighed.

Caches and histories have limits. Here they are small, so that they are full before the counting begins.
"""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.cycles import certificate, ingress, virtual_service
from lockgate.controllers import runtime as controllers
from lockgate.edge.options import Options
from lockgate.embedded.acme import state as acme
from lockgate.embedded.aws.route53 import service as route53
from lockgate.embedded.kubernetes import garbage, history
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio, memo, networking
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject
from lockgate.resources.status import NotFound
from lockgate.runtime.reading import files
from lockgate.runtime.running import Progress, RunningEdge
from lockgate.runtime.state import StateFolder

EXAMPLE = Path(__file__).parents[2] / "examples" / "edge"
WARM_UP, CYCLES = 8, 6
ALLOWED = 40  # objects a cycle, of the tens of thousands that one makes
LIMITS: tuple[tuple[object, str, object], ...] = (
    (garbage, "EVENTS_KEPT", -50),  # beside as many as there are other objects
    (history, "KEPT_BYTES", 2000),
    (controllers, "_EVENTS_COUNTED", 1),
    (acme, "ORDERS_KEPT", 2),
    (acme, "ORDERS_IN_USE", timedelta(0)),
    (acme, "CERTIFICATES_KEPT", 2),
    (route53, "CHANGES", 2),
    (memo, "_SLACK", 5),
)
IDLE_TIMEOUT = {"alb.ingress.kubernetes.io/load-balancer-attributes": "idle_timeout.timeout_seconds=30"}


def test_objects_that_came_and_went_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path))
    for module, name, limit in LIMITS:
        monkeypatch.setattr(module, name, limit)
    grown = asyncio.run(asyncio.wait_for(_story(), 300))
    assert sum(grown.values()) <= ALLOWED * CYCLES, grown.most_common(30)


async def _story() -> Counter[str]:
    options = Options((str(EXAMPLE),), name="retained")
    folder = StateFolder.of(options.name)
    with folder.hold():
        edge = RunningEdge(options, folder, Progress(time.monotonic()))
        started = asyncio.Event()

        async def note() -> None:
            started.set()

        running = asyncio.create_task(edge.run(files.load(options.paths), note))
        try:
            await started.wait()
            for number in range(WARM_UP):
                await _cycle(edge.places.store, number)
            before = await _kept()
            for number in range(WARM_UP, WARM_UP + CYCLES):
                await _cycle(edge.places.store, number)
            after = await _kept()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    after.subtract(before)
    return after


async def _cycle(store: Store, number: int) -> None:
    name = f"cycle-{number}"

    async def serves() -> bool:
        return bool((await store.get(networking.Ingress, name, "shop")).status.load_balancer.ingress)

    async def is_issued() -> bool:
        ready = condition((await store.get(cm.Certificate, name, "shop")).status.conditions, "Ready")
        return ready is not None and ready.status == "True"

    async def is_gone() -> bool:
        try:
            await store.get(networking.Ingress, name, "shop")
        except NotFound:
            return True
        return False

    for body in (ingress(name), virtual_service(name), certificate(name)):
        await store.create(_in_shop(body))
    await _until(serves)
    await _until(is_issued)
    await store.patch(networking.Ingress, name, "shop", {"metadata": {"annotations": IDLE_TIMEOUT}})
    await store.patch(istio.VirtualService, name, "shop", {"spec": {"http": [{"directResponse": {"status": 202}}]}})
    await store.patch(cm.Certificate, name, "shop", {"metadata": {"labels": {"changed": "yes"}}})
    await asyncio.sleep(0.1)
    for kind in (networking.Ingress, istio.VirtualService, cm.Certificate, core.Secret):
        await store.delete(kind, name, "shop")
    await _until(is_gone)


def _in_shop(body: JsonObject) -> JsonObject:
    return {**body, "metadata": {**body["metadata"], "namespace": "shop"}}


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    while not await done():
        await asyncio.sleep(0.02)


async def _kept() -> Counter[str]:
    """Objects by their type, once everything that is going on has come to rest."""
    smallest: Counter[str] = Counter()
    for _ in range(10):
        await asyncio.sleep(0.3)
        re.purge()  # its cache has a limit of its own
        gc.collect()
        found = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
        if not smallest or sum(found.values()) < sum(smallest.values()):
            smallest = found
    return smallest
