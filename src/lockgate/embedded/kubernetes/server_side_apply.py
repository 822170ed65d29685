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

List items are fields, too, if the list has keys (`merge_keys`): ``k:{"name":"web"}`` for a map item, ``v:"a"`` for a
set item. A list without keys is atomic, and owned as a whole.

A set of fields is a tree of FieldsV1 names (``f:spec``, ``k:{"name":"web"}``, ``v:"a"``). The name ``.`` in a node
means that the node itself is in the set; the written form omits a lone ``.``.

Sources: kubernetes.io "Server-Side Apply"; the FieldsV1 format of structured-merge-diff (`fieldpath/serialize.go`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.patch import Path
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import Conflict

Tree: TypeAlias = dict[str, Any]
# The keys of the list at a path: field names, () for a set of scalars, None for an atomic list.
ListKeys: TypeAlias = Callable[[Path], tuple[str, ...] | None]

_ITSELF: Tree = {".": {}}
# Set by the server; no manager owns them.
_SYSTEM_METADATA = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "selfLink", "managedFields", "generateName",
}  # fmt: skip


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
    keys: ListKeys,
) -> list[JsonObject]:
    """The managedFields after `after` has replaced `before`: only the writer owns the changed fields."""
    old, new = _owned_part(before or {}), _owned_part(after)
    changed = _changes(old, new, (), keys)
    result: list[JsonObject] = []
    own: Tree = {}
    time = manager.time
    for entry in entries:
        fields = _present(_difference(_read(entry), changed), new, (), keys)
        if _is_by(entry, manager, "Update"):
            own = fields
            if not changed:
                time = entry.get("time", time)
        elif fields:
            result.append(_rewritten(entry, fields))
    if own or changed:
        result.append(_entry(manager, "Update", _union(own, changed), time))
    return result


def apply(
    live: JsonObject, applied: JsonObject, manager: Manager, keys: ListKeys, *, force: bool, kind: Kind
) -> JsonObject:
    """`live` with the applied configuration merged in, managedFields included.

    A field that `manager` applied before and now omits is removed, unless another manager owns it, too. Raises
    `Conflict` if another manager owns a field with another value, unless `force`.
    """
    entries = list(live.get("metadata", {}).get("managedFields") or ())
    desired = _without_nulls(_owned_part(applied))
    held = _owned_part(live)
    merged = _merge(held, desired, (), keys)
    changed = _changes(held, merged, (), keys)
    configured = _fields(desired, (), keys)
    others = [entry for entry in entries if not _is_by(entry, manager, "Apply")]
    earlier = next((entry for entry in entries if _is_by(entry, manager, "Apply")), None)
    clashes = [(entry, both) for entry in others if (both := _intersection(_read(entry), changed))]
    if clashes and not force:
        raise _conflict(clashes, kind, live["metadata"]["name"])

    remaining = [(entry, _difference(_read(entry), changed)) for entry in others]
    dropped = _difference(_read(earlier), configured) if earlier else {}
    for _, fields in remaining:
        dropped = _difference(dropped, fields)
    merged = _prune(merged, dropped, configured, [fields for _, fields in remaining], (), keys)

    kept: list[JsonObject] = []
    for entry, fields in remaining:
        if still := _present(fields, merged, (), keys):
            kept.append(_rewritten(entry, still))
    time = manager.time
    if earlier is not None and merged == held and _read(earlier) == configured:
        time = earlier.get("time", time)
    own = _entry(manager, "Apply", configured, time)
    metadata = {
        **{name: value for name, value in live.get("metadata", {}).items() if name in _SYSTEM_METADATA},
        **merged.get("metadata", {}),
        "managedFields": [*kept, own],
    }
    return {**{name: live[name] for name in ("apiVersion", "kind") if name in live}, **merged, "metadata": metadata}


def _owned_part(obj: JsonObject) -> JsonObject:
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in _SYSTEM_METADATA}
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"metadata": metadata, **rest} if metadata else rest


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


# Lists as maps from an item's name to the item, where the schema says how items are distinguished.


def _items(value: list[Any], path: Path, keys: ListKeys) -> dict[str, Any] | None:
    """None when the list is atomic, or if its items cannot be distinguished."""
    names = keys(path)
    if names is None or not value:
        return None
    if names == ():
        items = {f"v:{_compact(item)}": item for item in value}
    else:
        if not all(isinstance(item, dict) for item in value):
            return None
        items = {f"k:{_compact(_identity(item, names))}": item for item in value}
    return items if len(items) == len(value) else None


def _identity(item: JsonObject, names: tuple[str, ...]) -> JsonObject:
    # A port without a protocol is a TCP port: the one key that has a default in the API's schema.
    identity = {name: item.get(name, "TCP" if name == "protocol" else None) for name in names}
    return {name: value for name, value in identity.items() if value is not None}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _children(value: Any, path: Path, keys: ListKeys) -> Iterator[tuple[str, Any, Path]]:
    """The parts of a value, as (name, part, path of the part). Scalars and atomic lists have none."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"f:{name}", part, (*path, name)
    elif isinstance(value, list):
        for name, part in (_items(value, path, keys) or {}).items():
            yield name, part, path


def _fields(value: Any, path: Path, keys: ListKeys) -> Tree:
    tree: Tree = {}
    for name, part, at in _children(value, path, keys):
        inside = _fields(part, at, keys)
        if not inside:
            tree[name] = _ITSELF
        else:
            tree[name] = {**_ITSELF, **inside} if name.startswith("k:") else inside
    return tree


def _changes(old: Any, new: Any, path: Path, keys: ListKeys) -> Tree:
    """The fields of `new` that `old` lacks or has with another value."""
    if old is new:
        return {}
    before = {name: part for name, part, _ in _children(old, path, keys)}
    tree: Tree = {}
    for name, part, at in _children(new, path, keys):
        if name not in before:
            inside = _fields(part, at, keys)
            tree[name] = {**_ITSELF, **inside} if name.startswith("k:") else inside or _ITSELF
            continue
        earlier = before[name]
        if earlier == part:
            continue
        if inside := _changes(earlier, part, at, keys):
            tree[name] = inside
        elif not any(_children(part, at, keys)):
            tree[name] = _ITSELF
    return tree


def _merge(live: Any, applied: Any, path: Path, keys: ListKeys) -> Any:
    if isinstance(live, dict) and isinstance(applied, dict):
        result = dict(live)
        for name, value in applied.items():
            result[name] = _merge(live[name], value, (*path, name), keys) if name in live else value
        return result
    if isinstance(live, list) and isinstance(applied, list):
        have, want = _items(live, path, keys), _items(applied, path, keys)
        if have is not None and want is not None:
            order = _order(list(have), list(want), have, want)
            return [
                _merge(have[name], want[name], path, keys)
                if name in have and name in want
                else want.get(name, have.get(name))
                for name in order
            ]
        if keys(path) is not None and not applied:
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


def _prune(value: Any, dropped: Tree, configured: Tree, others: list[Tree], path: Path, keys: ListKeys) -> Any:
    """`value` without the fields in `dropped`, and without the containers that this empties."""

    def keep(name: str, part: Any, at: Path) -> tuple[bool, Any]:
        gone = dropped.get(name)
        if gone is None:
            return True, part
        mine = configured.get(name, {})
        theirs = [tree[name] for tree in others if name in tree]
        if not mine and not theirs:
            # The last owner of a list's item removes all of it, including fields that nobody owns.
            if "." in gone or not any(_children(part, at, keys)):
                return False, None
            inside = _prune(part, gone, mine, theirs, at, keys)
            return bool(inside), inside
        return True, _prune(part, {n: t for n, t in gone.items() if n != "."}, mine, theirs, at, keys)

    if isinstance(value, dict):
        result: JsonObject = {}
        for name, part in value.items():
            stays, inside = keep(f"f:{name}", part, (*path, name))
            if stays:
                result[name] = inside
        return result
    if isinstance(value, list) and (items := _items(value, path, keys)) is not None:
        kept = [keep(name, part, path) for name, part in items.items()]
        return [inside for stays, inside in kept if stays]
    return value


def _present(tree: Tree, value: Any, path: Path, keys: ListKeys) -> Tree:
    """The fields of a set that `value` still has."""
    parts = {name: (part, at) for name, part, at in _children(value, path, keys)}
    result: Tree = {}
    for name, inside in tree.items():
        if name == ".":
            result["."] = inside
        elif name in parts:
            part, at = parts[name]
            if still := _present(inside, part, at, keys):
                result[name] = still
    return result


def _union(one: Tree, other: Tree) -> Tree:
    result = dict(one)
    for name, inside in other.items():
        result[name] = _union(one[name], inside) if name in one else inside
    return result


def _difference(one: Tree, other: Tree) -> Tree:
    if not other:
        return one
    result: Tree = {}
    for name, inside in one.items():
        if name == ".":
            if name not in other:
                result[name] = inside
        elif name not in other:
            result[name] = inside
        elif left := _difference(inside, other[name]):
            result[name] = left
    return result


def _intersection(one: Tree, other: Tree) -> Tree:
    result: Tree = {}
    for name, inside in one.items():
        if name in other:
            if name == ".":
                result[name] = inside
            elif both := _intersection(inside, other[name]):
                result[name] = both
    return result


# managedFields entries


def _is_by(entry: Mapping[str, Any], manager: Manager, operation: str) -> bool:
    return (
        entry.get("manager") == manager.name
        and entry.get("operation") == operation
        and entry.get("subresource", "") == manager.subresource
    )


def _entry(manager: Manager, operation: str, fields: Tree, time: str) -> JsonObject:
    result: JsonObject = {
        "manager": manager.name,
        "operation": operation,
        "apiVersion": manager.api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": _written(fields),
    }
    if manager.subresource:
        result["subresource"] = manager.subresource
    return result


def _rewritten(entry: JsonObject, fields: Tree) -> JsonObject:
    written = _written(fields)
    return entry if entry.get("fieldsV1") == written else {**entry, "fieldsV1": written}


def _read(entry: Mapping[str, Any]) -> Tree:
    return {name: _read_node(inside) for name, inside in (entry.get("fieldsV1") or {}).items()}


def _read_node(node: Any) -> Tree:
    if not node:
        return _ITSELF
    return {name: {} if name == "." else _read_node(inside) for name, inside in node.items()}


def _written(tree: Tree) -> Tree:
    return {name: {} if name == "." or inside == _ITSELF else _written(inside) for name, inside in tree.items()}


def _conflict(clashes: list[tuple[JsonObject, Tree]], kind: Kind, name: str) -> Conflict:
    """In the words of apimachinery's `managedfields/internal/conflict.go`."""
    paths = [(entry, path) for entry, tree in clashes for path in _paths(tree, "")]
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
    details = {"causes": causes, "name": name, "group": kind.group, "kind": kind.plural}
    return Conflict(f"Apply failed with {summary}", details=details)


def _who(entry: Mapping[str, Any]) -> str:
    subresource = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    using = f" using {entry.get('apiVersion', '')}" if entry.get("operation") == "Update" else ""
    return f'"{entry.get("manager")}"{subresource}{using}'


def _paths(tree: Tree, prefix: str) -> Iterator[str]:
    for name, inside in sorted(tree.items()):
        if name == ".":
            if prefix:
                yield prefix
            continue
        mark, _, rest = name.partition(":")
        match mark:
            case "f":
                step = f".{rest}"
            case "k":
                identity = json.loads(rest)
                step = f"[{','.join(f'{key}={_compact(value)}' for key, value in identity.items())}]"
            case _:
                step = f"[={rest}]"
        yield from _paths(inside, prefix + step)
