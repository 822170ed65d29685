"""kubelet: gives every Pod its status. No container runs, so a Pod is ready at once, unless a gate holds it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from lockgate.controllers.cache import Mirror
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import EventRecorder, Queue
from lockgate.edge.rollout import pod_status
from lockgate.resources import core
from lockgate.resources.model import ObjectKey
from lockgate.resources.status import NotFound


class Kubelet:
    """`stands_in` returns a Pod's address, and the sentence that says what answers for it. `changed` is called with
    each Pod before and after a change."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        node: str,
        host: str,
        stands_in: Callable[[core.Pod], tuple[str, str]],
        changed: Callable[[core.Pod | None, core.Pod | None], None],
    ) -> None:
        self._kubernetes = kubernetes
        self._node = node
        self._host = host
        self._stands_in = stands_in
        self._changed = changed
        self._events = EventRecorder(kubernetes, "kubelet")
        self._queue: Queue[ObjectKey] = Queue()
        self.pods = Mirror(core.Pod, self._pod_changed)

    @property
    def idle(self) -> bool:
        return self._queue.idle

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pods.run(self._kubernetes))
            tasks.create_task(self._queue.run(self._reconcile, name="kubelet"))

    def _pod_changed(self, before: core.Pod | None, current: core.Pod | None) -> None:
        self._changed(before, current)
        if current is not None:
            self._queue.add(current.key)

    async def _reconcile(self, key: ObjectKey) -> None:
        pod = self.pods.objects.get((key.namespace, key.name))
        if pod is None or pod.metadata.deletion_timestamp or pod.status.phase in ("Succeeded", "Failed"):
            return
        address, sentence = self._stands_in(pod)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = pod_status.status(pod, address=address, host=self._host, stands_in=sentence, now=now)
        try:
            if not pod.spec.node_name:
                await self._kubernetes.patch(core.Pod, pod.name, pod.namespace, {"spec": {"nodeName": self._node}})
            await self._kubernetes.patch_status(core.Pod, pod.name, pod.namespace, status)
        except NotFound:
            return
        if not pod.status.phase:
            await self._events.event(pod, "Normal", "Started", sentence)
