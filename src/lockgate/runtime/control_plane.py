"""istiod's ports, which start when somebody first connects to its Pod."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lockgate.dataplane.debugging import ConnectedProxy, DebugAds, identity
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL
from lockgate.embedded.http import serve
from lockgate.embedded.istiod import IstiodPages
from lockgate.embedded.service_accounts import InvalidToken
from lockgate.gateway.patches import ISTIO_VERSION
from lockgate.metrics.labels import CLUSTER
from lockgate.resources import core

if TYPE_CHECKING:
    from lockgate.runtime.running import RunningEdge

PAGES: Final = (8080, 9876, 15014)
XDS: Final = 15012
_AUDIENCE: Final = "istio-ca"


class ControlPlane:
    def __init__(self, edge: RunningEdge) -> None:
        self._edge = edge
        self._pods: list[core.Pod] = []
        self._ports: dict[int, int] = {}
        self._starting = asyncio.Lock()

    async def port(self, port: int, pod: str) -> int | None:
        """The local port behind a port of istiod's Pod; None if istiod does not listen on it."""
        if port not in (*PAGES, XDS):
            return None
        self._pods = await self._edge.places.store.list(core.Pod, labels={PROXY_LABEL: "istio"})
        async with self._starting:
            if port not in self._ports:
                await self._start(pod)
        return self._ports[port]

    async def _start(self, pod: str) -> None:
        edge = self._edge
        pages = IstiodPages(self._proxies, cluster=CLUSTER, version=ISTIO_VERSION)
        server = await serve(pages)
        edge.closing(server.stop)
        ads = DebugAds(
            self._proxies,
            identity=identity(pod, ISTIO_VERSION),
            authenticate=self._is_valid,
            http=lambda name: pages.page(f"/debug/{name}") or f"no debug page {name}".encode(),
        )
        chain, key = (each.encode() for each in edge.places.trust.key_pair(["istiod.istio-system.svc"]))
        xds = await ads.start(key, chain)
        edge.closing(ads.stop)
        self._ports |= {**dict.fromkeys(PAGES, server.port), XDS: xds}

    def _is_valid(self, token: str) -> bool:
        try:
            self._edge.places.store.tokens.authenticate(token, (_AUDIENCE,))
        except InvalidToken:
            return False
        return True

    def _proxies(self) -> list[ConnectedProxy]:
        ads = self._edge.places.ads
        return [
            ConnectedProxy(pod.name, pod.namespace, CLUSTER, ISTIO_VERSION, ads.nonces(node), ads.snapshot(node))
            for pod in self._pods
            if (node := pod.metadata.annotations.get(NODE_ID, ""))
        ]
