"""The Kubernetes API in this process, for controllers. kubectl uses it through `api`.

No method yields to the event loop, so a caller never sees half a write. Typed values are frozen and shared by all
readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import lockgate.resources.kinds  # noqa: F401  registers the typed kinds
from lockgate.embedded.kubernetes.admitting.admission import Admission
from lockgate.embedded.kubernetes.admitting.caller import namespace_of
from lockgate.embedded.kubernetes.admitting.policies import Policies
from lockgate.embedded.kubernetes.catalogue import KEPT, Catalogue, guess, unstructured
from lockgate.embedded.kubernetes.custom.definitions import Definitions
from lockgate.embedded.kubernetes.history import Reader, Stored
from lockgate.embedded.kubernetes.patch import merge_patch
from lockgate.embedded.kubernetes.refusals import not_found
from lockgate.embedded.kubernetes.schemas import Given, Schemas
from lockgate.embedded.kubernetes.selectors import equal_labels
from lockgate.embedded.kubernetes.storage import GroupKind, Storage
from lockgate.embedded.kubernetes.token_requests import TokenRequests
from lockgate.embedded.kubernetes.writes import By, Writes
from lockgate.embedded.service_accounts import ServiceAccountTokens
from lockgate.resources.changes import Change
from lockgate.resources.model import JsonObject, ObjectKey, Resource, ResourceT, kinds
from lockgate.resources.status import BadRequest, Expired, NotFound

# The holder of the kubeconfig, in the form of SelfSubjectReview.
ADMINISTRATOR: JsonObject = {"username": "lockgate", "groups": ["system:masters", "system:authenticated"]}
_EXPIRY_SECONDS = 60.0
_AT_ONCE = 100  # changes delivered without a pause
_FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def _now() -> datetime:
    return datetime.now(UTC)


class Store:
    """All methods raise `resources.status.ApiError`. `namespace` is ignored for cluster-scoped kinds.

    `tokens` signs the tokens of service accounts. By default, the store has its own key.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = _now,
        history: int = 4096,
        tokens: ServiceAccountTokens | None = None,
    ) -> None:
        typed = kinds()
        self.catalogue = Catalogue(
            [*typed.values(), *(unstructured(kind) for kind in KEPT if kind.group_kind not in typed)]
        )
        self.schemas = Schemas()
        # Milliseconds since 1970, which exceeds the revisions of earlier runs on this machine.
        self.storage = Storage(first_revision=int(clock().timestamp() * 1000), history=history)
        self.writes = Writes(self.storage, self.catalogue, self.schemas, clock)
        Definitions(self.catalogue, self.schemas, self.writes, clock)
        self._watching: set[Reader] = set()
        self._policies = Policies(self.storage)
        self.clock = clock
        self.tokens = TokenRequests(self.storage, tokens or ServiceAccountTokens(), clock)
        for name in _FIRST_NAMESPACES:
            self.writes.create(self.model("v1", "Namespace"), {"metadata": {"name": name}}, By())

    async def run(self) -> None:
        """Runs the API's own controllers until cancelled. Without it, large deletions are not completed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.writes.deletions.garbage.run())
            tasks.create_task(self._expire())

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SECONDS)
            self.writes.deletions.expire_events(self.clock())

    @property
    def followed(self) -> bool:
        """Whether every watch of this process has acted on all changes. A write returns before they have."""
        return not any(reader.behind for reader in self._watching)

    async def get(self, kind: type[ResourceT], name: str, namespace: str = "") -> ResourceT:
        stored = self.storage.get(_key(kind, name, namespace))
        if stored is None:
            raise not_found(kind.KIND, name)
        return stored.parsed(kind)

    async def list(
        self, kind: type[ResourceT], namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[ResourceT]:
        """Sorted by namespace and name; `namespace` "" means all, `labels` must all be equal."""
        found = self.storage.all(kind.KIND.group_kind, namespace)
        if labels:
            matches = equal_labels(labels)
            found = [stored for stored in found if matches(stored.json)]
        return [stored.parsed(kind) for stored in found]

    async def watch(self, kind: type[ResourceT]) -> AsyncIterator[Change[ResourceT]]:
        """Yields all existing objects as ADDED, then SYNCED, then changes as they happen.

        A reader that is too far behind for the history gets the difference between its last state and the current one.
        """
        at = kind.KIND.group_kind
        with self._following(at) as reader:
            seen: dict[ObjectKey, Stored] = {}
            for stored in self.storage.all(at):
                seen[stored.key] = stored
                yield Change("ADDED", stored.parsed(kind))
            yield Change("SYNCED", None)
            while True:
                await reader.changed()
                try:
                    events = reader.events()
                except Expired:
                    reader.done(self.storage.revision)
                    for change in _difference(seen, self.storage.all(at), kind):
                        yield change
                    continue
                for number, event in enumerate(events, 1):
                    if event.type == "DELETED":
                        seen.pop(event.object.key, None)
                    else:
                        seen[event.object.key] = event.object
                    yield Change(event.type, event.object.parsed(kind))
                    reader.done(event.revision)
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)

    @contextmanager
    def _following(self, kind: GroupKind) -> Iterator[Reader]:
        with self.storage.reading(kind, self.storage.revision) as reader:
            self._watching.add(reader)
            try:
                yield reader
            finally:
                self._watching.remove(reader)

    async def create(self, manifest: JsonObject) -> JsonObject:
        return _copy(self.writes.create(self._model_of(manifest), manifest, By()))

    async def apply(self, manifest: JsonObject, *, manager: str, outside: bool = False) -> JsonObject:
        """Server-side apply with force: `manager` then owns exactly the fields in `manifest`. A no-op writes nothing.

        `outside` means that the manifest is not from a component of the edge: see `By`.
        """
        by = By(manager=manager, api_version=manifest.get("apiVersion", ""), outside=outside)
        return _copy(self.writes.apply(self._model_of(manifest), manifest, by, force=True))

    async def load(
        self, manifest: JsonObject, resource: Resource | None, *, manager: str, judged: bool
    ) -> tuple[str, ...]:
        """The same for a manifest that is kept. `resource` is its typed value, if it was found valid. `judged` means
        that ValidatingAdmissionPolicies decide about it; the result is their warnings."""
        given = Given(manifest, resource) if resource is not None else None
        admission = None
        if judged and self._policies:
            admission = Admission((), (), partial(namespace_of, self.storage), ADMINISTRATOR, self._policies)
        version = manifest.get("apiVersion", "")
        by = By(manager=manager, api_version=version, outside=True, given=given, admission=admission)
        self.writes.apply(self._model_of(manifest), manifest, by, force=True)
        return tuple(admission.warnings) if admission else ()

    async def patch(self, kind: type[Resource], name: str, namespace: str, patch: JsonObject) -> JsonObject:
        """A JSON merge patch of everything except `status`."""
        change = partial(_merged, patch=patch)
        return _copy(self.writes.update(kind, _key(kind, name, namespace), change, By()))

    async def patch_status(self, kind: type[Resource], name: str, namespace: str, status: JsonObject) -> JsonObject:
        """A JSON merge patch of `status`. A no-op writes nothing."""
        change = partial(_merged, patch={"status": status})
        return _copy(self.writes.update(kind, _key(kind, name, namespace), change, By(subresource="status")))

    async def delete(self, kind: type[Resource], name: str, namespace: str = "") -> None:
        self.writes.deletions.delete(kind, _key(kind, name, namespace))

    async def create_token(self, name: str, namespace: str, audiences: Sequence[str], seconds: int) -> str:
        """A token of a service account, as from TokenRequest; `seconds` is at least 600."""
        request = {"spec": {"audiences": list(audiences), "expirationSeconds": seconds}}
        token: str = self.tokens.create(namespace, name, request)["status"]["token"]
        return token

    def model(self, api_version: str, kind: str) -> type[Resource]:
        """The model of a served kind. Raises `NotFound`."""
        group, _, version = api_version.rpartition("/")
        model = self.catalogue.by_kind(group, kind)
        if model is None or version not in model.KIND.versions:
            raise NotFound(f'no matches for kind "{kind}" in version "{api_version}"')
        return model

    def accept(self, api_version: str, kind: str, *, namespaced: bool | None = None) -> type[Resource]:
        """The model of a kind. An undefined kind is stored without validation from now on, with a guessed plural."""
        group, _, version = api_version.rpartition("/")
        model = self.catalogue.by_kind(group, kind)
        if model is not None and version in model.KIND.versions:
            return model
        model = unstructured(guess(api_version, kind, namespaced=namespaced))
        self.catalogue.add(model)
        return model

    def _model_of(self, manifest: JsonObject) -> type[Resource]:
        api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            raise BadRequest("Object 'Kind' is missing: a manifest needs `apiVersion` and `kind`")
        return self.model(api_version, kind)


def _key(kind: type[Resource], name: str, namespace: str) -> ObjectKey:
    group, name_of_kind = kind.KIND.group_kind
    return ObjectKey(group, name_of_kind, namespace if kind.KIND.namespaced else "", name)


def _merged(body: JsonObject, *, patch: JsonObject) -> JsonObject:
    result: JsonObject = merge_patch(body, patch)
    return result


def _difference(seen: dict[ObjectKey, Stored], current: list[Stored], kind: type[ResourceT]) -> list[Change[ResourceT]]:
    changes: list[Change[ResourceT]] = []
    for stored in current:
        before = seen.get(stored.key)
        if before is None:
            changes.append(Change("ADDED", stored.parsed(kind)))
        elif before.revision != stored.revision:
            changes.append(Change("MODIFIED", stored.parsed(kind)))
    gone = seen.keys() - {stored.key for stored in current}
    changes += [Change("DELETED", seen[key].parsed(kind)) for key in sorted(gone)]
    seen.clear()
    seen.update((stored.key, stored) for stored in current)
    return changes


def _copy(body: JsonObject) -> JsonObject:
    """A deep copy, so that callers cannot modify the stored object."""
    return {name: _copied(value) for name, value in body.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return _copy(value)
    return [_copied(item) for item in value] if isinstance(value, list) else value
