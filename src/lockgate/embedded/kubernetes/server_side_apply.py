"""Server-side apply: field ownership in `metadata.managedFields`, and the merge of an applied configuration.

Theory of operation. Each writer of an object, a *manager*, owns fields. An apply request contains all fields that its
manager wants to own, and nothing else. The API compares this set with the ownership of all managers:

- Fields in the request are set, and the manager owns them.
- If another manager owns such a field and the value differs, the request conflicts, unless it is forced; then the other
  manager loses the field. If the value is equal, both own it.
- Fields that the manager owned before but that are missing from the request are removed, unless another manager owns
  them. This is how deleting a line from a manifest deletes the field.
- All other fields are unchanged.

Other writes (create, update, patch) have no such set. `record_update` derives it: the fields whose value changed become
the writer's, and every other manager loses them.

Items of a list are fields, too, if the list has keys (`topology`). Other lists, and atomic maps, are owned as a whole.

Sources: kubernetes.io "Server-Side Apply"; structured-merge-diff, `merge/update.go`, with which
`tests/embedded/kubernetes/peers/apply` compares.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lockgate.embedded.kubernetes import field_sets as sets
from lockgate.embedded.kubernetes.field_sets import Tree
from lockgate.embedded.kubernetes.topology import Path, Topology
from lockgate.resources.interning import shared
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import Conflict, Unclassified

# Set by the server; no manager owns them.
_SYSTEM_METADATA = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "selfLink", "managedFields", "generateName",
}  # fmt: skip


class UntypedPatch(Unclassified):
    """A configuration does not fit the schema."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A writer: the client's name, API version, subresource, and time (RFC 3339)."""

    name: str
    api_version: str
    subresource: str
    time: str


def record_update(
    before: JsonObject | None,
    after: JsonObject,
    entries: Sequence[JsonObject],
    manager: Manager,
    topology: Topology,
) -> list[JsonObject]:
    """The managedFields after `after` has replaced `before`: only the writer owns the changed fields."""
    old, new = _owned_part(before or {}), _owned_part(after)
    changed = sets.changes(old, new, (), topology)
    result: list[JsonObject] = []
    own: Tree = {}
    time = manager.time
    for entry in entries:
        fields = sets.remaining(sets.difference(sets.read(entry), changed), old, new, (), topology)
        if _is_by(entry, manager, "Update"):
            own = fields
            if not changed:
                time = entry.get("time", time)
        elif fields:
            result.append(_rewritten(entry, fields))
    if own or changed:
        result.append(_entry(manager, "Update", sets.union(own, changed), time))
    return _sorted(result)


def apply(
    live: JsonObject, applied: JsonObject, manager: Manager, topology: Topology, *, force: bool, kind: Kind
) -> JsonObject:
    """`live` with the applied configuration merged in, managedFields included.

    A field that `manager` applied before and now omits is removed, unless another manager owns it, too. Raises
    `Conflict` if another manager owns a field with another value, unless `force`.
    """
    entries = _entries(live, manager, topology)
    desired = _without_nulls(_owned_part(applied))
    held = _owned_part(live)
    if found := list(_duplicates(desired, (), topology, "")):
        raise untyped(applied, kind, found)
    configured = sets.fields(desired, (), topology)
    others = [(entry, sets.read(entry)) for entry in entries if not _is_by(entry, manager, "Apply")]
    earlier = next((entry for entry in entries if _is_by(entry, manager, "Apply")), None)
    merged = _merge(held, desired, (), topology)
    if earlier is not None:
        owned = configured
        for _, fields in others:
            owned = sets.union(owned, fields)
        merged = _prune(merged, sets.read(earlier), owned, topology)
    changed = sets.changes(held, merged, (), topology)
    clashes = [(entry, both) for entry, fields in others if (both := sets.intersection(fields, changed))]
    if clashes and not force:
        raise _conflict(clashes)

    kept: list[JsonObject] = []
    for entry, fields in others:
        if still := sets.remaining(sets.difference(fields, changed), held, merged, (), topology):
            kept.append(_rewritten(entry, still))
    merged = _without_nulls(merged)
    time = manager.time
    if earlier is not None and merged == held and sets.read(earlier) == configured:
        time = earlier.get("time", time)
    own = _entry(manager, "Apply", configured, time)
    metadata = {
        **{name: value for name, value in live.get("metadata", {}).items() if name in _SYSTEM_METADATA},
        **merged.get("metadata", {}),
        "managedFields": _sorted([*kept, own] if configured else kept),
    }
    return {**{name: live[name] for name in ("apiVersion", "kind") if name in live}, **merged, "metadata": metadata}


def _duplicates(value: Any, path: Path, topology: Topology, shown: str) -> Iterator[str]:
    """Items of lists in a configuration that have the same keys. Stored objects may have some."""
    if isinstance(value, list) and (names := topology.list_keys(path)) is not None:
        seen: set[str] = set()
        for item in value:
            if not names or isinstance(item, dict):
                name = (
                    f"v:{sets.compact(item)}"
                    if not names
                    else f"k:{sets.compact(sets.identity(item, names, path, topology))}"
                )
                if name in seen:
                    yield f"{shown}: duplicate entries for key {sets.step(name)}"
                seen.add(name)
                yield from _duplicates(item, path, topology, shown + sets.step(name)) if names else ()
    elif isinstance(value, dict) and not topology.is_atomic(path):
        for name, part in value.items():
            yield from _duplicates(part, (*path, name), topology, f"{shown}.{name}")


def untyped(applied: JsonObject, kind: Kind, faults: Sequence[str]) -> UntypedPatch:
    """The error for a configuration with faults, each a path and a text."""
    metadata = applied.get("metadata") or {}
    named = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    texts = faults[0] if len(faults) == 1 else "errors:\n" + "\n".join(f"  {fault}" for fault in faults)
    version = applied.get("apiVersion") or kind.api_version
    version = version if "/" in version else f"/{version}"
    return UntypedPatch(f"failed to create typed patch object ({named}; {version}, Kind={kind.kind}): {texts}")


def _entries(live: JsonObject, manager: Manager, topology: Topology) -> list[JsonObject]:
    """The entries of an object. One without any belongs to a manager of its own, so that nobody's fields are lost."""
    entries = list(live.get("metadata", {}).get("managedFields") or ())
    if entries or not _owned_part(live):
        return entries
    return record_update(None, live, (), replace(manager, name="before-first-apply"), topology)


def _owned_part(obj: JsonObject) -> JsonObject:
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in _SYSTEM_METADATA}
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"metadata": metadata, **rest} if metadata else rest


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


# Lists as maps from an item's name to the item, where the schema says how items are distinguished.


def _merge(live: Any, applied: Any, path: Path, topology: Topology) -> Any:
    if isinstance(live, dict) and isinstance(applied, dict) and not topology.is_atomic(path):
        result = dict(live)
        for name, value in applied.items():
            result[name] = _merge(live[name], value, (*path, name), topology) if name in live else value
        return result
    if isinstance(live, list) and isinstance(applied, list):
        have, want = sets.items(live, path, topology), sets.items(applied, path, topology)
        if have is not None and want is not None:
            order = _order(list(have), list(want), have, want)
            return [
                _merge(have[name], want[name], path, topology)
                if name in have and name in want
                else want.get(name, have.get(name))
                for name in order
            ]
        if topology.list_keys(path) is not None and not applied:
            return live  # an empty list does not remove the items of others
    return applied


def _order(have: list[str], want: list[str], live: Container[str], applied: Container[str]) -> list[str]:
    """Items of both lists in the applied order; the others keep their place, live ones before new ones."""
    order: list[str] = []
    at = next_ = 0
    while at < len(have) or next_ < len(want):
        if at < len(have) and have[at] not in applied:
            order.append(have[at])
            at += 1
        elif next_ < len(want):
            if want[next_] in live and at < len(have) and have[at] == want[next_]:
                at += 1
            order.append(want[next_])
            next_ += 1
        else:
            at += 1  # in both: it is already in the order, where the applied list has it
    return order


def _prune(merged: Any, last: Tree, owned: Tree, topology: Topology) -> Any:
    """`merged` without the fields of `last`, the manager's last configuration, that are not in `owned`: those of its
    new configuration and of all other managers. A container that this empties is null.

    A field of a struct goes with all that it contains, and an item of a list, too, including what nobody owns.
    """
    last, owned = sets.with_structs(last, (), topology), sets.with_structs(owned, (), topology)
    everything = sets.with_structs(sets.fields(merged, (), topology), (), topology)
    pruned = sets.without(merged, last, (), topology)
    left = sets.with_structs(sets.fields(pruned, (), topology), (), topology)
    pruned = sets.without(merged, sets.difference(everything, sets.union(left, owned)), (), topology)
    left = sets.with_structs(sets.fields(pruned, (), topology), (), topology)
    return sets.without(merged, sets.intersection(sets.difference(everything, left), last), (), topology) or {}


# managedFields entries


def _is_by(entry: Mapping[str, Any], manager: Manager, operation: str) -> bool:
    return (
        entry.get("manager") == manager.name
        and entry.get("operation") == operation
        and entry.get("subresource", "") == manager.subresource
    )


def _sorted(entries: list[JsonObject]) -> list[JsonObject]:
    names = ("operation", "time", "manager", "apiVersion", "subresource")
    return sorted(entries, key=lambda entry: [entry.get(name, "") for name in names])


def _entry(manager: Manager, operation: str, fields: Tree, time: str) -> JsonObject:
    result: JsonObject = {
        "manager": manager.name,
        "operation": operation,
        "apiVersion": manager.api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": shared(sets.written(fields)),
    }
    if manager.subresource:
        result["subresource"] = manager.subresource
    return result


def _rewritten(entry: JsonObject, fields: Tree) -> JsonObject:
    written = shared(sets.written(fields))
    return entry if entry.get("fieldsV1") == written else {**entry, "fieldsV1": written}


def _conflict(clashes: list[tuple[JsonObject, Tree]]) -> Conflict:
    """In the words of apimachinery's `managedfields/internal/conflict.go`."""
    paths = [(entry, path) for entry, tree in clashes for path in sets.paths(tree, "")]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_who(entry)}", "field": path}
        for entry, path in paths
    ]
    if len(paths) == 1:
        summary = f"1 conflict: conflict with {_who(paths[0][0])}: {paths[0][1]}"
    else:
        by_manager: dict[str, list[str]] = {}
        for entry, path in paths:
            by_manager.setdefault(_who(entry), []).append(path)
        lines = [
            f"conflicts with {who}:\n" + "\n".join(f"- {field}" for field in fields)
            for who, fields in sorted(by_manager.items())
        ]
        summary = f"{len(paths)} conflicts: " + "\n".join(lines)
    return Conflict(f"Apply failed with {summary}", details={"causes": causes})


def _who(entry: Mapping[str, Any]) -> str:
    subresource = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    using = f" using {entry.get('apiVersion', '')}" if entry.get("operation") == "Update" else ""
    return f'"{entry.get("manager")}"{subresource}{using}'
