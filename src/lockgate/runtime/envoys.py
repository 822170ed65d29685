"""The Envoys of an edge: the load balancers', and one for each gateway Pod, as kubelet would run it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lockgate.controllers.cache import Mirror
from lockgate.dataplane.envoy import DRAIN_SECONDS, Envoy
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core
from lockgate.runtime.external_istiod import AGENT_SOCKET, ExternalIstiod

ALB = "alb"  # the node id of the Envoy that serves all load balancers
ISTIO_DRAIN_SECONDS = 45  # `drainDuration` of Istio's ProxyConfig


class Envoys(dict[str, Envoy]):
    """Those that run, by node id. Each ends with its task in `actors`. The user's `istiod` configures gateways, if
    there is one."""

    def __init__(
        self, binary: Path, folder: Path, actors: asyncio.TaskGroup, istiod: ExternalIstiod | None = None
    ) -> None:
        super().__init__()
        self._istiod = istiod
        self._binary = binary
        self._folder = folder
        self._actors = actors

    def start(self, node_id: str, pod: core.Pod | None = None) -> asyncio.Task[None]:
        identity = self._istiod.gateway(node_id, pod) if self._istiod and pod else None
        envoy = self[node_id] = Envoy(
            node_id,
            runtime=self._folder,
            ads_socket=self._folder / (AGENT_SOCKET if identity else "ads.sock"),
            binary=self._binary,
            drain_seconds=DRAIN_SECONDS if node_id == ALB else ISTIO_DRAIN_SECONDS,
            identity=identity,
        )
        return self._actors.create_task(envoy.run(), name=f"envoy {node_id}")

    async def follow(self, store: Store) -> None:
        """Runs an Envoy for each gateway Pod of the cluster."""
        running: dict[str, asyncio.Task[None]] = {}

        def changed(_before: core.Pod | None, _after: core.Pod | None) -> None:
            wanted = {
                node_id: pod
                for pod in pods.objects.values()
                if pod.metadata.labels.get(PROXY_LABEL) == "istio"
                and (node_id := pod.metadata.annotations.get(NODE_ID, ""))
            }
            for node_id in wanted.keys() - running.keys():
                running[node_id] = self.start(node_id, wanted[node_id])
            for node_id in running.keys() - wanted.keys():
                running.pop(node_id).cancel()
                del self[node_id]

        pods = Mirror(core.Pod, changed)
        await pods.run(store)
