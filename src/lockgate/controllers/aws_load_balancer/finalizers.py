"""Adds and removes finalizers of the current object."""

from __future__ import annotations

from collections.abc import Callable

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.resources.model import Resource
from lockgate.resources.status import ApiError


async def add_finalizer(kubernetes: Kubernetes, resource: Resource, name: str) -> None:
    if name not in resource.metadata.finalizers:
        await _change(kubernetes, resource, lambda held: held if name in held else [*held, name])


async def remove_finalizer(kubernetes: Kubernetes, resource: Resource, name: str) -> None:
    """Succeeds if the object no longer exists."""
    if name not in resource.metadata.finalizers:
        return
    try:
        await _change(kubernetes, resource, lambda held: [other for other in held if other != name])
    except ApiError as error:
        if error.code != 404:
            raise


async def _change(kubernetes: Kubernetes, resource: Resource, change: Callable[[list[str]], list[str]]) -> None:
    kind = type(resource)
    now = await kubernetes.get(kind, resource.name, resource.namespace)
    held = list(now.metadata.finalizers)
    changed = change(held)
    if changed != held:
        # With the read resourceVersion, so that another controller's concurrent finalizer is not lost.
        metadata = {"finalizers": changed, "resourceVersion": now.metadata.resource_version}
        await kubernetes.patch(kind, resource.name, resource.namespace, {"metadata": metadata})
