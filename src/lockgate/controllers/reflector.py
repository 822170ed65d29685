"""emberstack's Reflector: copies Secrets and ConfigMaps to other namespaces, as annotations request.

Source: emberstack/kubernetes-reflector, its README and `src/ES.Kubernetes.Reflector`. Like it, this controller reports
only in the log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import Queue, follow
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.status import AlreadyExists, NotFound

log = logging.getLogger("lockgate.controllers.reflector")

PREFIX = "reflector.v1.k8s.emberstack.com/"
ALLOWED = f"{PREFIX}reflection-allowed"
ALLOWED_NAMESPACES = f"{PREFIX}reflection-allowed-namespaces"
AUTO = f"{PREFIX}reflection-auto-enabled"
AUTO_NAMESPACES = f"{PREFIX}reflection-auto-namespaces"
REFLECTS = f"{PREFIX}reflects"
AUTO_REFLECTS = f"{PREFIX}auto-reflects"
REFLECTED_AT = f"{PREFIX}reflected-at"
REFLECTED_VERSION = f"{PREFIX}reflected-version"
_SELECTOR = "-selector"

Mirrored = core.Secret | core.ConfigMap
_KINDS: dict[str, type[core.Secret] | type[core.ConfigMap]] = {"Secret": core.Secret, "ConfigMap": core.ConfigMap}


class Reflector:
    """Keeps mirrors equal to their sources. `now` is written into them."""

    def __init__(self, kubernetes: Kubernetes, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kubernetes = kubernetes
        self._now = now
        self._queue: Queue[ObjectKey] = Queue()
        self._sources: set[ObjectKey] = set()  # sources with automatic mirrors

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._kubernetes, core.Secret, self._changed))
            group.create_task(follow(self._kubernetes, core.ConfigMap, self._changed))
            group.create_task(follow(self._kubernetes, core.Namespace, self._namespace_changed))
            group.create_task(self._queue.run(self.reconcile, name="reflector"))

    def _changed(self, resource: Mirrored) -> None:
        if any(name.startswith(PREFIX) for name in resource.metadata.annotations) or resource.key in self._sources:
            self._queue.add(resource.key)
        if source := _source_of(resource):
            self._queue.add(source)

    def _namespace_changed(self, _: core.Namespace) -> None:
        for source in self._sources:
            self._queue.add(source)

    async def reconcile(self, key: ObjectKey) -> None:
        """Handles one object as the source of mirrors, and as a mirror that a user created."""
        kind = _KINDS[key.kind]
        try:
            resource: Mirrored | None = await self._kubernetes.get(kind, key.name, key.namespace)
        except NotFound:
            resource = None
        mirrors = [each for each in await self._kubernetes.list(kind) if _source_of(each) == key]
        if resource is None or resource.metadata.deletion_timestamp:
            self._sources.discard(key)
            for mirror in mirrors:
                if _is_auto(mirror):
                    await self._delete(mirror, key)
            return
        await self._serve(resource, mirrors)
        if (source := _source_of(resource)) and not _is_auto(resource):
            await self._follow_source(resource, source)

    # --- automatic mirrors ---------------------------------------------------------------------------------------

    async def _serve(self, source: Mirrored, mirrors: list[Mirrored]) -> None:
        permission = _permission(source)
        if permission.auto:
            self._sources.add(source.key)
        else:
            self._sources.discard(source.key)
        for mirror in mirrors:
            if not _is_auto(mirror):
                await self._copy_if_allowed(source, mirror)
        namespaces = await self._kubernetes.list(core.Namespace)
        desired = {
            each.name
            for each in namespaces
            if each.name != source.namespace
            and not each.metadata.deletion_timestamp
            and permission.auto
            and permission.allows(each)
            and permission.makes_in(each)
        }
        tally = {"Created": 0, "Updated": 0, "Deleted": 0, "Validated": 0}
        for mirror in mirrors:
            if _is_auto(mirror) and mirror.namespace not in desired:
                await self._delete(mirror, source.key)
                tally["Deleted"] += 1
        for namespace in sorted(desired):
            tally[await self._make(source, namespace)] += 1
        if permission.auto:
            counts = " - ".join(f"{what} {count}" for what, count in tally.items())
            log.info("Auto-reflected %s where permitted. %s.", source.key, counts)

    async def _make(self, source: Mirrored, namespace: str) -> str:
        """The action for a namespace. An existing object that is not a mirror is unchanged."""
        try:
            existing = await self._kubernetes.get(type(source), source.name, namespace)
        except NotFound:
            existing = None
        if existing is not None:
            if _source_of(existing) != source.key or not _is_auto(existing):
                return "Validated"
            return "Updated" if await self._copy(source, existing) else "Validated"
        metadata: JsonObject = {
            "name": source.name,
            "namespace": namespace,
            "annotations": self._annotations(source, auto=True),
        }
        try:
            await self._kubernetes.create({**_content(source), "metadata": metadata})
        except (AlreadyExists, NotFound):  # another client was faster, or the namespace is being deleted
            return "Validated"
        log.info("Created %s/%s as a reflection of %s/%s", namespace, source.name, source.namespace, source.name)
        return "Created"

    async def _delete(self, mirror: Mirrored, source: ObjectKey) -> None:
        try:
            await self._kubernetes.delete(type(mirror), mirror.name, mirror.namespace)
        except NotFound:
            return
        log.info("Deleted %s/%s: %s is gone or permits it no longer", mirror.namespace, mirror.name, source)

    # --- mirrors that users created ------------------------------------------------------------------------------

    async def _follow_source(self, mirror: Mirrored, key: ObjectKey) -> None:
        try:
            source = await self._kubernetes.get(_KINDS[key.kind], key.name, key.namespace)
        except NotFound:
            log.warning("Could not update %s - Source %s could not be found.", mirror.key, key)
            return
        await self._copy_if_allowed(source, mirror)

    async def _copy_if_allowed(self, source: Mirrored, mirror: Mirrored) -> None:
        try:
            namespace = await self._kubernetes.get(core.Namespace, mirror.namespace)
        except NotFound:
            return
        if not _permission(source).allows(namespace):
            log.warning("Could not update %s - Source %s does not permit it.", mirror.key, source.key)
            return
        await self._copy(source, mirror)

    async def _copy(self, source: Mirrored, mirror: Mirrored) -> bool:
        """False if the mirror has this version of its source: a manual edit is reverted only when the source
        changes."""
        if mirror.metadata.annotations.get(REFLECTED_VERSION) == source.metadata.resource_version:
            return False
        data: JsonObject = dict.fromkeys(mirror.data.keys() - source.data.keys())
        patch: JsonObject = {
            "metadata": {"annotations": self._annotations(source, auto=_is_auto(mirror))},
            "data": {**data, **source.data},
        }
        await self._kubernetes.patch(type(mirror), mirror.name, mirror.namespace, patch)
        log.info("Patched %s/%s as a reflection of %s/%s", mirror.namespace, mirror.name, source.namespace, source.name)
        return True

    def _annotations(self, source: Mirrored, *, auto: bool) -> dict[str, str]:
        return {
            REFLECTS: f"{source.namespace}/{source.name}",
            AUTO_REFLECTS: str(auto),
            REFLECTED_VERSION: source.metadata.resource_version,
            REFLECTED_AT: self._now().astimezone(UTC).isoformat(),
        }


@dataclass(frozen=True, slots=True)
class _Where:
    """Namespaces by name patterns or labels. `everywhere` is the meaning of an empty selection."""

    patterns: tuple[str, ...]
    selector: Mapping[str, str] | None

    def holds(self, namespace: core.Namespace) -> bool:
        if not self.patterns and self.selector is None:
            return True
        if any(_matches(pattern, namespace.name) for pattern in self.patterns):
            return True
        return self.selector is not None and self.selector.items() <= namespace.metadata.labels.items()


@dataclass(frozen=True, slots=True)
class _Permission:
    allowed: bool
    where: _Where
    auto: bool
    made_in: _Where

    def allows(self, namespace: core.Namespace) -> bool:
        return self.allowed and self.where.holds(namespace)

    def makes_in(self, namespace: core.Namespace) -> bool:
        return self.made_in.holds(namespace)


def _permission(source: Resource) -> _Permission:
    annotations = source.metadata.annotations
    allowed = annotations.get(ALLOWED, "").lower() == "true"
    return _Permission(
        allowed=allowed,
        where=_where(annotations, ALLOWED_NAMESPACES),
        auto=allowed and annotations.get(AUTO, "").lower() == "true",
        made_in=_where(annotations, AUTO_NAMESPACES),
    )


def _where(annotations: Mapping[str, str], name: str) -> _Where:
    patterns = tuple(each.strip() for each in annotations.get(name, "").split(",") if each.strip())
    text = annotations.get(name + _SELECTOR, "")
    selector = dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part) if text else None
    return _Where(patterns, selector)


def _matches(pattern: str, name: str) -> bool:
    """A regular expression for the whole name: ``istio-.*``. ``istio-*`` is valid, too, but means something else."""
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error as error:
        log.warning("%r is no regular expression: %s", pattern, error)
        return False


def _source_of(resource: Mirrored) -> ObjectKey | None:
    text = resource.metadata.annotations.get(REFLECTS, "")
    namespace, slash, name = text.partition("/")
    if not text or (slash and not name):
        return None
    if not slash:
        namespace, name = resource.namespace, text
    return ObjectKey("", resource.KIND.kind, namespace, name)


def _is_auto(mirror: Resource) -> bool:
    return mirror.metadata.annotations.get(AUTO_REFLECTS, "").lower() == "true"


def _content(source: Mirrored) -> JsonObject:
    """The source's type and data only."""
    content: JsonObject = {"apiVersion": "v1", "kind": source.KIND.kind, "data": dict(source.data)}
    if isinstance(source, core.Secret):
        content["type"] = source.type
    return content
