"""What applying the manifests changes in the cluster: field by field, as the API server's dry run says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from lockgate.deploy.planning.adopting import LAST_APPLIED
from lockgate.deploy.planning.intent import CERTIFICATES, Intent, labelled
from lockgate.deploy.planning.seen import MANAGER, OWNER_LABEL, SHIFT_MANAGER, DryRun, Seen, managers
from lockgate.resources.faults import Origin
from lockgate.resources.model import JsonObject, ObjectKey

# They change with every write, or are not the manifest's.
_LEFT_OUT: Final = frozenset({"generation", "resourceVersion", "managedFields", "uid", "creationTimestamp"})
_MISSING: Final = object()


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after. None means that it is not set; values of Secrets are only hashes."""

    path: tuple[str | int, ...]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """`manifest` is what is sent. `foreign` names who made an object that is not this edge's: it is adopted first.
    `refused` is the API server's reason. `local` as in `DryRun`. `awaits` is the object that is created first, and
    without which the API server cannot check this one yet."""

    key: ObjectKey
    action: Action
    manifest: JsonObject
    origin: Origin
    fields: tuple[FieldChange, ...] = ()
    foreign: str = ""
    refused: str = ""
    conflicts: tuple[tuple[str, str], ...] = ()
    local: bool = False
    awaits: ObjectKey | None = None

    @property
    def level(self) -> int:
        """Objects of one level are applied side by side."""
        return _LAST if self.fronted else rank(self.key)[0]

    @property
    def fronted(self) -> bool:
        """Whether a load balancer with certificates is made with it: an Ingress, or a Service that names some."""
        path = CERTIFICATES.get(self.key.kind)
        annotations = (self.manifest.get("metadata") or {}).get("annotations") or {}
        return self.key.kind == "Ingress" or (path is not None and path[2] in annotations)


def object_changes(intent: Intent, seen: Seen, arns: Mapping[str, str]) -> tuple[ObjectChange, ...]:
    """In the order in which they are applied."""
    created = [each.key for each in intent.documents if each.key not in seen.raw]
    found = [
        _change(each.key, labelled(each.manifest, intent.name, dict(arns)), intent.name, seen, created)
        for each in intent.documents
    ]
    return (
        *sorted(found, key=lambda each: (each.level, rank(each.key))),
        *(ObjectChange(key, Action.DELETE, {}, Origin(key)) for key in pruned(intent, seen)),
    )


def pruned(intent: Intent, seen: Seen) -> list[ObjectKey]:
    """Objects that this edge created, and that are no longer in its manifests. The first to be deleted come first."""
    written = intent.keys
    found = [
        key
        for key, raw in seen.raw.items()
        if key not in written and key.kind not in _NEVER_PRUNED and not owner_of(raw, intent.name)
    ]
    return sorted(found, key=rank, reverse=True)


_NEVER_PRUNED: Final = frozenset({"Namespace", "CustomResourceDefinition", "Secret"})


def _change(key: ObjectKey, manifest: JsonObject, edge: str, seen: Seen, created: Sequence[ObjectKey]) -> ObjectChange:
    origin, before = Origin(key), seen.raw.get(key)
    dry_run = seen.dry_runs.get(key)
    awaits = _missing(dry_run.refused, key, created) if dry_run else None
    if dry_run is not None and awaits is not None:
        dry_run = DryRun(merged(before, manifest) if before else None, local=True)
    if before is None:
        refused = dry_run.refused if dry_run else ""
        fields = tuple(field_changes({}, shown(manifest), secret=key.kind == "Secret"))
        return ObjectChange(key, Action.CREATE, manifest, origin, fields, refused=refused, awaits=awaits)
    if dry_run is None:
        dry_run = DryRun(merged(before, manifest), local=True)
    foreign = owner_of(before, edge)
    after = dry_run.result if dry_run.result is not None else merged(before, manifest)
    fields = tuple(field_changes(shown(before), shown(after), secret=key.kind == "Secret"))
    action = Action.UPDATE if fields or dry_run.refused or dry_run.conflicts else Action.NONE
    return ObjectChange(
        key, action, manifest, origin, fields, foreign, dry_run.refused, dry_run.conflicts, dry_run.local, awaits
    )


def _missing(refused: str, key: ObjectKey, created: Sequence[ObjectKey]) -> ObjectKey | None:
    """The object that an API server or a webhook does not find, if it is created before the one that it refuses."""
    if "not found" not in refused:
        return None
    return next(
        (each for each in created if f'"{each.name}" not found' in refused and each.kind in refused and each != key),
        None,
    )


def owner_of(raw: JsonObject, edge: str) -> str:
    """Who made an object, "" if this edge did."""
    metadata = raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get(OWNER_LABEL) == edge:
        return ""
    if other := labels.get(OWNER_LABEL):
        return f"lockgate's edge {other}"
    if release := annotations.get("meta.helm.sh/release-name"):
        return f"Helm release {release}"
    if tracked := annotations.get("argocd.argoproj.io/tracking-id") or labels.get("argocd.argoproj.io/instance"):
        return f"Argo CD ({tracked})"
    if flux := labels.get("kustomize.toolkit.fluxcd.io/name"):
        return f"Flux ({flux})"
    found = [name for name in managers(raw) if name not in (MANAGER, SHIFT_MANAGER)]
    return found[0] if found else "another client"


def field_changes(before: JsonObject, after: JsonObject, *, secret: bool = False) -> Iterator[FieldChange]:
    for change in _changes((), before, after):
        if secret and (change.path[0] in ("data", "stringData") or change.path[-1] == LAST_APPLIED):
            yield FieldChange(change.path, _hashed(change.before), _hashed(change.after))
        else:
            yield change


def _changes(path: tuple[str | int, ...], before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(each for each in after if each not in before)):
            yield from _changes((*path, key), before.get(key, _MISSING), after.get(key, _MISSING))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changes((*path, index), one, other)
    elif before is _MISSING and isinstance(after, dict) and after:
        for key, value in after.items():
            yield from _changes((*path, key), _MISSING, value)
    elif before != after:
        yield FieldChange(path, None if before is _MISSING else before, None if after is _MISSING else after)


def shown(raw: JsonObject) -> JsonObject:
    """Without the kind and its version: an object has all versions, and items of a list name none."""
    metadata = {key: value for key, value in raw["metadata"].items() if key not in _LEFT_OUT}
    kept = {key: value for key, value in raw.items() if key not in ("apiVersion", "kind", "status")}
    return {**kept, "metadata": metadata}


def _hashed(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return f"sha256:{sha256(text.encode()).hexdigest()[:12]} ({len(text)} characters)"


def merged(before: JsonObject, manifest: JsonObject) -> JsonObject:
    """The manifest laid over an object: maps by key, lists as a whole. Items of the lists of Kubernetes' own kinds keep
    their defaults; those of most custom kinds have none."""
    group = manifest.get("apiVersion", "").rpartition("/")[0]
    laid: JsonObject = _laid(before, manifest, keyed="." not in group or group.endswith(".k8s.io"))
    return laid


def _laid(before: Any, manifest: Any, *, keyed: bool) -> Any:
    if isinstance(before, dict) and isinstance(manifest, dict):
        return {**before, **{key: _laid(before.get(key), value, keyed=keyed) for key, value in manifest.items()}}
    if keyed and isinstance(before, list) and isinstance(manifest, list):
        there = {_item_key(each): each for each in before}
        return [_laid(there.get(_item_key(each) or ()), each, keyed=True) for each in manifest]
    return manifest


# By which fields Kubernetes tells the items of a list apart: ports of Services and of containers, containers, volumes.
_ITEM_KEYS: Final = (("port", "protocol"), ("containerPort", "protocol"), ("mountPath",), ("name",))


def _item_key(item: Any) -> tuple[object, ...] | None:
    fields = next((each for each in _ITEM_KEYS if isinstance(item, dict) and each[0] in item), None)
    return tuple(item.get(each, "TCP") for each in fields) if fields else None


_ORDER: Final = (
    "CustomResourceDefinition",
    "Namespace",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "Deployment",
    "Service",
    "IngressClassParams",
    "IngressClass",
    "ClusterIssuer",
    "Issuer",
    "Certificate",
    "Gateway",
)
_RANK: Final = {kind: number for number, kind in enumerate(_ORDER)}
_LAST: Final = len(_ORDER) + 1


def rank(key: ObjectKey) -> tuple[int, str, str, str]:
    """Kinds that others depend on come first, and Ingresses last, because with them a load balancer is made."""
    at = _LAST if key.kind == "Ingress" else _RANK.get(key.kind, len(_ORDER))
    return at, key.kind, key.namespace, key.name
