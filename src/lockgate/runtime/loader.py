"""Keeps the Kubernetes API equal to the user's files and the supplied objects.

Files and other clients of the API may disagree. A file counts when it is saved: a changed object is applied over
changes of other clients, and an object that another client deleted is created again. Until then, other clients' changes
stay. See docs/reference/state.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from lockgate.edge.manifests import Manifests
from lockgate.edge.supply import Object
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault, Origin, Position
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.reader import Document
from lockgate.resources.status import ApiError, NotFound
from lockgate.runtime import garbage
from lockgate.runtime.pace import Pace

MANAGER = "lockgate"

# Kinds that others depend on come first: a namespace before its objects, a class before its Ingresses, a policy before
# what it judges (but not before its parameters).
_ORDER = (
    "Namespace",
    "CustomResourceDefinition",
    "IngressClassParams",
    "IngressClass",
    "Secret",
    "ConfigMap",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "Service",
)
_FIRST = {kind: rank for rank, kind in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A desired object. `position` is None for a supplied one. `resource` is its typed value."""

    manifest: JsonObject
    position: Position | None
    resource: Resource | None = None

    def is_from(self, saved: Set[str]) -> bool:
        """Whether its file has been saved; what is supplied counts as in any file."""
        return bool(saved) if self.position is None else self.position.file in saved


@dataclass(slots=True)
class Loaded:
    """The results of a load by object, and the API's refusals."""

    created: list[ObjectKey] = field(default_factory=list)
    changed: list[ObjectKey] = field(default_factory=list)
    restored: list[ObjectKey] = field(default_factory=list)
    removed: list[ObjectKey] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    refused: dict[ObjectKey, Resource | None] = field(default_factory=dict)
    """What the API has instead of each that it refused."""

    @property
    def anything(self) -> bool:
        return bool(self.created or self.changed or self.restored or self.removed)


class Loader:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._memo = Memo()
        self._loaded: dict[ObjectKey, Wanted] = {}
        self._applied: frozenset[ObjectKey] | None = None
        self.documents: Mapping[ObjectKey, Document] = {}

    @property
    def applied(self) -> frozenset[ObjectKey]:
        """The objects that the API has accepted."""
        if self._applied is None:
            self._applied = frozenset(self._loaded)
        return self._applied

    async def load(self, manifests: Manifests, supplied: Sequence[Object], saved: Set[str] = frozenset()) -> Loaded:
        """Applies new and changed objects, and deletes removed ones. Objects that the API refuses stay as before.

        Objects in `saved` files are created again if another client deleted them; supplied objects after any saved
        file. A long load yields to the edge's other work.
        """
        pace = Pace()
        self._memo.turn()
        documents = manifests.documents
        keys = self._memo.facts("keys", self._key_of, documents)
        self.documents = dict(zip(keys, documents, strict=True))
        wanted = {self._key(piece.manifest): self._memo.made(_supplied, piece) for piece in supplied}
        accepted = zip(keys, self._memo.each("wanted", _wanted, documents), strict=True)
        wanted.update((key, each) for key, each in accepted if each is not None)
        # Of the rest, nothing has changed that this edge knows of.
        todo = [key for key, each in wanted.items() if self._loaded.get(key) is not each or each.is_from(saved)]
        loaded = Loaded()
        for key in sorted(todo, key=_rank):
            await pace.keep()
            await self._apply(key, wanted[key], saved, loaded)
            if len(loaded.created) % garbage.MANY == garbage.MANY - 1:
                garbage.leave_out_more()
        loaded.removed = sorted(self._loaded.keys() - wanted.keys(), key=_rank, reverse=True)
        for key in loaded.removed:
            await pace.keep()
            await self._delete(key)
        return loaded

    async def _apply(self, key: ObjectKey, wanted: Wanted, saved: Set[str], loaded: Loaded) -> None:
        before = self._loaded.get(key)
        self._applied = self._applied if before else None
        verdict = loaded.created if before is None else loaded.changed
        if before is not None and before.manifest == wanted.manifest:
            self._loaded[key] = wanted  # its position may have changed
            if not wanted.is_from(saved) or self._store.storage.get(key):
                return
            verdict = loaded.restored
        try:
            warnings = await self._store.load(
                wanted.manifest, wanted.resource, manager=MANAGER, judged=wanted.position is not None
            )
        except ApiError as error:
            origin = Origin(key, tuple(error.path))
            loaded.faults.append(codes.REFUSED.at(origin, object=key, refusal=error.message))
            loaded.refused[key] = None
            if before is not None:
                model = self._store.model(before.manifest["apiVersion"], key.kind)
                loaded.refused[key] = model.model_validate(before.manifest)
        else:
            self._loaded[key] = wanted
            verdict.append(key)
            loaded.faults += [codes.ADVISED.at(Origin(key), warning=each) for each in warnings]

    def _key_of(self, document: Document) -> ObjectKey:
        return self._key(document.manifest)

    def _key(self, manifest: JsonObject) -> ObjectKey:
        kind = self._store.accept(manifest["apiVersion"], manifest["kind"]).KIND
        metadata = manifest["metadata"]
        return ObjectKey(kind.group, kind.kind, metadata.get("namespace", ""), metadata["name"])

    async def _delete(self, key: ObjectKey) -> None:
        self._applied = None
        versions = self._loaded.pop(key).manifest["apiVersion"]
        try:
            await self._store.delete(self._store.model(versions, key.kind), key.name, key.namespace)
        except NotFound:
            return  # another client deleted it


def _supplied(piece: Object) -> Wanted:
    return Wanted(piece.manifest, None)


def _wanted(document: Document) -> Wanted | None:
    if not document.accepted:
        return None
    return Wanted(document.manifest, document.position, document.resource)


def describe(loaded: Loaded) -> str:
    """One line about the results of a load."""
    parts = [
        f"{verb} {_listed(keys)}"
        for verb, keys in (
            ("created", loaded.created),
            ("changed", loaded.changed),
            ("restored", loaded.restored),
            ("removed", loaded.removed),
        )
        if keys
    ]
    return " · ".join(parts)


def _listed(keys: Iterable[ObjectKey]) -> str:
    names = [str(key) for key in keys]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _rank(key: ObjectKey) -> tuple[int, str, str, str, str]:
    return _FIRST.get(key.kind, len(_FIRST)), key.group, key.kind, key.namespace, key.name
