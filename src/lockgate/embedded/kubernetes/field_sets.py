"""Sets of an object's fields, as trees of FieldsV1 names.

The names are ``f:spec`` for a field, ``k:{"name":"web"}`` for an item of a list with keys, and ``v:"a"`` for a member
of a set. The name ``.`` in a node means that the node itself is in the set; the written form omits a lone ``.``.

Source: structured-merge-diff, `fieldpath/set.go`, `fieldpath/serialize.go`, `typed/tofieldset.go`, `typed/compare.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from lockgate.embedded.kubernetes.topology import Path, Topology
from lockgate.resources.model import JsonObject

Tree: TypeAlias = dict[str, Any]

_ITSELF: Final[Tree] = {".": {}}


def fields(value: Any, path: Path, topology: Topology) -> Tree:
    """The fields of an applied configuration: its leaves, items of lists, and entries of maps."""
    tree: Tree = {}
    for name, part, at in _children(value, path, topology):
        inside = fields(part, at, topology)
        if not inside and (part == {} or not _is_granular(part, at, topology)):
            tree[name] = _ITSELF
        elif name.startswith("k:") or (name.startswith("f:") and not topology.is_declared(at)):
            tree[name] = {**_ITSELF, **inside}
        elif inside:
            tree[name] = inside
    return tree


def changes(old: Any, new: Any, path: Path, topology: Topology) -> Tree:
    """The fields of `new` that `old` lacks or has with another value."""
    if old is new:
        return {}
    before = {name: part for name, part, _ in _children(old, path, topology)}
    tree: Tree = {}
    for name, part, at in _children(new, path, topology):
        if name not in before:
            tree[name] = _added(part, at, topology)
        elif (earlier := before[name]) == part:
            continue
        elif part is None and earlier and _is_granular(earlier, at, topology):
            continue  # all its parts were removed
        elif _is_granular(earlier, at, topology) is not _is_granular(part, at, topology):
            tree[name] = _added(part, at, topology)
        elif not _is_granular(part, at, topology):
            tree[name] = _ITSELF
        elif inside := changes(earlier, part, at, topology):
            tree[name] = inside
    return tree


def remaining(tree: Tree, old: Any, new: Any, path: Path, topology: Topology) -> Tree:
    """The fields of a set without those that `old` has and `new` lacks."""
    before = {name: part for name, part, _ in _children(old, path, topology)}
    after = {name: (part, at) for name, part, at in _children(new, path, topology)}
    result: Tree = {}
    for name, inside in tree.items():
        if name in after:
            part, at = after[name]
            if still := remaining(inside, before.get(name), part, at, topology):
                result[name] = still
        elif name == "." or name not in before:
            result[name] = inside
    return result


def union(one: Tree, other: Tree) -> Tree:
    result = dict(one)
    for name, inside in other.items():
        result[name] = union(one[name], inside) if name in one else inside
    return result


def difference(one: Tree, other: Tree) -> Tree:
    if not other:
        return one
    result: Tree = {}
    for name, inside in one.items():
        if name == ".":
            if name not in other:
                result[name] = inside
        elif name not in other:
            result[name] = inside
        elif left := difference(inside, other[name]):
            result[name] = left
    return result


def intersection(one: Tree, other: Tree) -> Tree:
    result: Tree = {}
    for name, inside in one.items():
        if name in other:
            if name == ".":
                result[name] = inside
            elif both := intersection(inside, other[name]):
                result[name] = both
    return result


def with_structs(tree: Tree, path: Path, topology: Topology) -> Tree:
    """A set with the fields of structs that it has parts of."""
    result: Tree = {}
    for name, inside in tree.items():
        if name == ".":
            result[name] = inside
            continue
        at = (*path, name[2:]) if name.startswith("f:") else path
        itself = _ITSELF if inside and name.startswith("f:") and topology.is_declared(at) else {}
        result[name] = {**itself, **with_structs(inside, at, topology)}
    return result


def without(value: Any, removed: Tree, path: Path, topology: Topology) -> Any:
    """`value` without the fields of a set. None if nothing is left."""
    if isinstance(value, dict):
        if not value or topology.is_atomic(path):
            return value
        result: JsonObject = {}
        for name, part in value.items():
            gone = removed.get(f"f:{name}", {})
            if "." not in gone:
                result[name] = without(part, gone, (*path, name), topology) if gone else part
        return result or None
    if isinstance(value, list) and (named := items(value, path, topology)) is not None:
        left = []
        for name, part in named.items():
            gone = removed.get(name, {})
            if "." not in gone:
                left.append(without(part, gone, path, topology) if gone else part)
        return left or None
    return value


def items(value: list[Any], path: Path, topology: Topology) -> dict[str, Any] | None:
    """None when the list is atomic, or if its items cannot be distinguished."""
    names = topology.list_keys(path)
    if names is None or not value:
        return None
    if names == ():
        found = {f"v:{compact(item)}": item for item in value}
    else:
        if not all(isinstance(item, dict) for item in value):
            return None
        found = {f"k:{compact(identity(item, names, path, topology))}": item for item in value}
    return found if len(found) == len(value) else None


def identity(item: JsonObject, names: tuple[str, ...], path: Path, topology: Topology) -> JsonObject:
    values = {name: item.get(name, topology.default(path, name)) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def paths(tree: Tree, prefix: str) -> Iterator[str]:
    """In upstream's order: the members of a level, then their parts."""
    steps = [(prefix + step(name), inside) for name, inside in sorted(tree.items()) if name != "."]
    yield from (path for path, inside in steps if "." in inside)
    for path, inside in steps:
        yield from paths(inside, path)


def step(name: str) -> str:
    mark, _, rest = name.partition(":")
    match mark:
        case "f":
            return f".{rest}"
        case "k":
            return f"[{','.join(f'{key}={compact(value)}' for key, value in json.loads(rest).items())}]"
        case _:
            return f"[={rest}]"


def read(entry: Mapping[str, Any]) -> Tree:
    return {name: _read_node(inside) for name, inside in (entry.get("fieldsV1") or {}).items()}


def written(tree: Tree) -> Tree:
    return {name: {} if name == "." or inside == _ITSELF else written(inside) for name, inside in tree.items()}


def _added(value: Any, path: Path, topology: Topology) -> Tree:
    """The fields of a new value. Unlike in an applied configuration, maps and lists are fields themselves."""
    inside = {name: _added(part, at, topology) for name, part, at in _children(value, path, topology)}
    return inside if inside and topology.is_struct(path) and isinstance(value, dict) else {**_ITSELF, **inside}


def _is_granular(value: Any, path: Path, topology: Topology) -> bool:
    """Whether a value has parts with owners of their own."""
    if isinstance(value, dict):
        return not topology.is_atomic(path)
    return isinstance(value, list) and topology.list_keys(path) is not None


def _children(value: Any, path: Path, topology: Topology) -> Iterator[tuple[str, Any, Path]]:
    """The parts of a value, as (name, part, path of the part). Scalars, atomic maps and atomic lists have none."""
    if isinstance(value, dict):
        if topology.is_atomic(path):
            return
        for name, part in value.items():
            yield f"f:{name}", part, (*path, name)
    elif isinstance(value, list):
        for name, part in (items(value, path, topology) or {}).items():
            yield name, part, path


def _read_node(node: Any) -> Tree:
    if not node:
        return _ITSELF
    return {name: {} if name == "." else _read_node(inside) for name, inside in node.items()}
