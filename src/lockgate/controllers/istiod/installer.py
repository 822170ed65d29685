"""`istioctl install` for IstioOperators: creates the gateways' Services, and deletes its own unused ones."""

from __future__ import annotations

import asyncio
import logging

from lockgate.controllers.cache import Cache
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.gateway.install import MANAGER, OWNER_LABEL, InstalledGateway, install
from lockgate.gateway.mesh import Mesh
from lockgate.resources import core, istio
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, NotFound

log = logging.getLogger("lockgate.istiod")

_RETRY_SECONDS = 1.0


class Installer:
    """`mesh` and `gateways` are the operators' current settings, whether or not their Services are written yet."""

    def __init__(self, kubernetes: Kubernetes, cache: Cache) -> None:
        self._kubernetes = kubernetes
        self._cache = cache
        self._wake = asyncio.Event()
        self._memo = Memo()
        self._default = Mesh()

    def wake(self) -> None:
        self._wake.set()

    @property
    def mesh(self) -> Mesh:
        """The oldest operator's settings, because a cluster has one mesh."""
        operators = sorted(
            self._cache.all(istio.IstioOperator), key=lambda one: (one.metadata.creation_timestamp, one.name)
        )
        return self._memo.made(install, operators[0]).mesh if operators else self._default

    def installed(self, pod: core.Pod) -> InstalledGateway | None:
        """The gateway that a Pod runs, if an operator installed it."""
        for gateway in self._gateways():
            metadata, selector = gateway.service["metadata"], gateway.service["spec"]["selector"]
            if metadata["namespace"] == pod.namespace and selector.items() <= pod.metadata.labels.items():
                return gateway
        return None

    async def run(self) -> None:
        """Runs until cancelled: makes the Services match whenever an operator changes."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._reconcile()
            except ApiError as error:
                self._retry(error)

    async def _apply(self, manifest: JsonObject) -> None:
        """A Service that the API refuses does not prevent others."""
        try:
            await self._kubernetes.apply(manifest, manager=MANAGER)
        except ApiError as error:
            self._retry(error)

    def _retry(self, error: ApiError) -> None:
        log.warning("cannot install: %s; again in %.0f s", error.message, _RETRY_SECONDS)
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._wake.set)

    async def _reconcile(self) -> None:
        self._memo.turn()
        desired = {
            (gateway.service["metadata"]["namespace"], gateway.service["metadata"]["name"]): gateway.service
            for gateway in self._gateways()
        }
        for manifest in desired.values():
            await self._apply(manifest)
        for service in self._cache.all(core.Service):
            key = (service.namespace, service.name)
            if OWNER_LABEL in service.metadata.labels and key not in desired:
                try:
                    await self._kubernetes.delete(core.Service, service.name, service.namespace)
                except NotFound:
                    log.debug("Service %s/%s is gone already", *key)

    def _gateways(self) -> list[InstalledGateway]:
        return [
            gateway
            for operator in self._cache.all(istio.IstioOperator)
            for gateway in self._memo.made(install, operator).gateways
        ]
