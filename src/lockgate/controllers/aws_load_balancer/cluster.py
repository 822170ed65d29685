"""A cache of the cluster's objects that the controller reads, kept up to date by watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from lockgate.controllers.cache import Mirror
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.ingress.world import Name, Objects
from lockgate.resources import core, eks, elbv2, networking
from lockgate.resources.model import Resource

Changed: TypeAlias = Callable[[Resource | None, Resource | None], None]

K = TypeVar("K")
V = TypeVar("V")


class Cluster:
    """Objects by name. `synced` is set when all objects that existed at the start are cached."""

    def __init__(self) -> None:
        self.ingresses: dict[Name, networking.Ingress] = {}
        self.services: dict[Name, core.Service] = {}
        self.secrets: dict[Name, core.Secret] = {}
        self.classes: dict[str, networking.IngressClass] = {}
        self.class_params: dict[str, elbv2.IngressClassParams] = {}
        self.auto_params: dict[str, eks.AutoIngressClassParams] = {}
        self.namespaces: dict[str, dict[str, str]] = {}
        self.nodes: dict[str, core.Node] = {}
        self.pods: dict[Name, core.Pod] = {}
        self.slices: dict[Name, dict[str, core.EndpointSlice]] = {}
        """EndpointSlices by Service, then by their own name."""
        self.bindings: dict[Name, elbv2.TargetGroupBinding] = {}
        self.objects = Objects(
            self.ingresses,
            self.services,
            self.secrets,
            self.classes,
            self.class_params,
            self.auto_params,
            self.namespaces,
        )
        self.synced = asyncio.Event()
        self._moved = asyncio.Event()

    async def follow(self, kubernetes: Kubernetes, changed: Changed) -> None:
        """Runs until cancelled: caches each change, then calls `changed` with the object before and after it."""

        def note(before: Resource | None, after: Resource | None) -> None:
            if (now := after or before) is not None:
                self.take(now, gone=after is None)
            changed(before, after)
            self._moved.set()
            self._moved = asyncio.Event()

        mirrors: list[Mirror[Any]] = [Mirror(kind, note) for kind in WATCHED]
        async with asyncio.TaskGroup() as tasks:
            for mirror in mirrors:
                tasks.create_task(mirror.run(kubernetes))
            for mirror in mirrors:
                await mirror.synced.wait()
            self.synced.set()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Waits until a condition holds for the cluster. Returns False after the timeout."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def take(self, now: Resource, *, gone: bool = False) -> None:
        name = (now.namespace, now.name)
        match now:
            case networking.Ingress():
                _put(self.ingresses, name, now, gone)
            case core.Service():
                _put(self.services, name, now, gone)
            case core.Secret():
                _put(self.secrets, name, now, gone)
            case networking.IngressClass():
                _put(self.classes, now.name, now, gone)
            case elbv2.IngressClassParams():
                _put(self.class_params, now.name, now, gone)
            case eks.AutoIngressClassParams():
                _put(self.auto_params, now.name, now, gone)
            case core.Namespace():
                _put(self.namespaces, now.name, now.metadata.labels, gone)
            case core.Node():
                _put(self.nodes, now.name, now, gone)
            case core.Pod():
                _put(self.pods, name, now, gone)
            case core.EndpointSlice():
                service = (now.namespace, service_of(now))
                _put(self.slices.setdefault(service, {}), now.name, now, gone)
            case elbv2.TargetGroupBinding():
                _put(self.bindings, name, now, gone)


WATCHED: tuple[type[Resource], ...] = (
    core.Namespace,
    networking.IngressClass,
    elbv2.IngressClassParams,
    eks.AutoIngressClassParams,
    core.Node,
    core.Secret,
    core.Service,
    core.EndpointSlice,
    core.Pod,
    elbv2.TargetGroupBinding,
    networking.Ingress,
)


def service_of(endpoints: core.EndpointSlice) -> str:
    return endpoints.metadata.labels.get("kubernetes.io/service-name", "")


def _put(where: dict[K, V], key: K, value: V, gone: bool) -> None:
    if gone:
        where.pop(key, None)
    else:
        where[key] = value
