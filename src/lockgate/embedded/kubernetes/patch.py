"""The three patch types of the API, as functions from object to object that do not modify their arguments.

Sources: RFC 6902, RFC 7396, and for strategic merge "Update API Objects in Place Using kubectl patch" and
sig-api-machinery's "strategic-merge-patch.md".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.exchange import TooLarge
from lockgate.resources.model import JsonObject
from lockgate.resources.status import BadRequest, Invalid, Unclassified

# kube-apiserver's limits: operations of a JSON patch, and the bytes that its copies may add.
MOST_OPERATIONS, MOST_COPIED = 10_000, 3 * 1024 * 1024

Path: TypeAlias = tuple[str, ...]
# The merge key of the list at a path: a field name, "" for a set of scalars, None for a list that is replaced.
# A path has only field names, without positions in lists.
MergeKey: TypeAlias = Callable[[Path], str | None]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: null removes, objects are merged, other values replace."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises `BadRequest` for an invalid patch, `Invalid` for one that cannot be applied to the object."""
    if not isinstance(operations, list):
        raise BadRequest("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > MOST_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}")
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise BadRequest("error decoding patch: json: cannot unmarshal into Go value of type handlers.jsonPatchOp")
        if not isinstance(operation.get("path"), str):
            raise Invalid("the server rejected our request due to an error in our request: missing path")
        try:
            if operation.get("op") == "copy":
                copied += _size(_at(target, _source(operation)))
                if copied > MOST_COPIED:
                    raise ValueError(
                        f"the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
                    )
            target = _operate(target, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Invalid(
                f"the server rejected our request due to an error in our request: {operation.get('op')} "
                f"{operation['path']}: {error}"
            ) from error
    return target


def strategic_merge_patch(target: Any, patch: Any, merge_key: MergeKey, path: Path = ()) -> Any:
    """Merges by the schema's merge keys, with `$patch`, `$retainKeys`, `$setElementOrder` and the like."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise Unclassified(f"unknown patch type: {_in_go(directive)} in map: {_in_go(patch)}")
    result = dict(target) if isinstance(target, dict) else {}
    if (retained := patch.get("$retainKeys")) is not None:
        _list_in("$retainKeys", retained)
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _merge_list(result.get(name), value, merge_key, (*path, name))
        elif isinstance(value, dict) and value.get("$patch") == "delete":
            result.pop(name, None)
        else:
            result[name] = strategic_merge_patch(result.get(name), value, merge_key, (*path, name))
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            _list_in(name, value)
            result[field] = [item for item in _list_in(field, result.get(field) or []) if item not in value]
    for name, value in patch.items():
        if name.startswith("$setElementOrder/"):
            field = name.partition("/")[2]
            _list_in(name, value)
            if isinstance(listed := result.get(field), list):
                before = target.get(field) if isinstance(target, dict) else None
                earlier = before if isinstance(before, list) else ()
                result[field] = _in_order(listed, value, earlier, merge_key((*path, field)) or "")
    return result


def _in_go(value: Any) -> str:
    """As Go's ``%v``: ``map[a:1 b:[x y]]``."""
    match value:
        case dict():
            return f"map[{' '.join(f'{name}:{_in_go(value[name])}' for name in sorted(value))}]"
        case list():
            return f"[{' '.join(map(_in_go, value))}]"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
    return str(value)


def _list_in(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"error decoding patch: {name} is not a list")
    return value


def _interleave(patched: Sequence[Any], others: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """`patched` in its order, with each of `others` before the items that it preceded in `before`."""
    places = {place: index for index, place in enumerate(before)}
    result: list[Any] = []
    waiting = list(others)
    for place in patched:
        while waiting and place in places and places[waiting[0]] < places[place]:
            result.append(waiting.pop(0))
        result.append(place)
    return result + waiting


def _merge_list(target: Any, patch: list[Any], merge_key: MergeKey, path: Path) -> list[Any]:
    key = merge_key(path)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    current = list(target) if isinstance(target, list) else []
    if key is None:
        return patch
    if key == "":
        return current + [item for item in patch if item not in current]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise Unclassified(f"map: {_in_go(item)} does not contain declared merge key: {key}")
        found = [at for at, have in enumerate(current) if isinstance(have, dict) and have.get(key) == item[key]]
        if item.get("$patch") == "delete":
            for at in reversed(found):
                del current[at]
        elif found:
            current[found[0]] = strategic_merge_patch(current[found[0]], item, merge_key, path)
        else:
            current.append(strategic_merge_patch({}, item, merge_key, path))
    return current


def _in_order(listed: list[Any], order: list[Any], before: Sequence[Any], key: str) -> list[Any]:
    def name(item: Any) -> Any:
        found = item.get(key) if key and isinstance(item, dict) else item
        return json.dumps(found, sort_keys=True) if isinstance(found, dict | list) else found

    by_name = {name(item): item for item in listed}
    ordered = [name(item) for item in order if name(item) in by_name]
    others = [place for place in by_name if place not in set(ordered)]
    places = [name(item) for item in before]
    known = [place for place in others if place in places]
    fresh = [place for place in others if place not in places]
    return [by_name[place] for place in _interleave(ordered, known, places) + fresh]


def _operate(target: Any, operation: JsonObject) -> Any:
    path = _pointer(operation["path"])
    match operation.get("op"):
        case "add":
            return _changed(target, path, lambda _: operation.get("value"), insert=True)
        case "replace":  # of a field that is not there, too, as in a cluster
            _at(target, path[:-1])
            return _changed(target, path, lambda _: operation.get("value"))
        case "remove":
            _at(target, path)
            return _removed(target, path)
        case "move":
            source = _source(operation)
            value = _at(target, source)
            return _changed(_removed(target, source), path, lambda _: value, insert=True)
        case "copy":
            value = _at(target, _source(operation))
            return _changed(target, path, lambda _: value, insert=True)
        case "test":
            if _at(target, path) != operation.get("value"):
                raise ValueError("the value differs")
            return target
        case unknown:
            raise ValueError(f"unexpected kind of operation: {unknown}")


def _source(operation: JsonObject) -> list[str]:
    if not isinstance(operation.get("from"), str):
        raise ValueError("missing from")
    return _pointer(operation["from"])


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _pointer(text: str) -> list[str]:
    """RFC 6901."""
    if text == "":
        return []
    if not text.startswith("/"):
        raise ValueError(f"not a JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _at(target: Any, path: list[str]) -> Any:
    for part in path:
        target = target[_index(part, len(target) - 1)] if isinstance(target, list) else target[part]
    return target


def _index(part: str, last: int) -> int:
    if not _INDEX.fullmatch(part) or int(part) > last:
        raise IndexError(f"no item {part[:64]}")
    return int(part)


_INDEX = re.compile("0|[1-9][0-9]{0,8}")


def _changed(target: Any, path: list[str], change: Callable[[Any], Any], *, insert: bool = False) -> Any:
    if not path:
        return change(target)
    part, rest = path[0], path[1:]
    if isinstance(target, list):
        if not rest and insert:
            at = len(target) if part == "-" else _index(part, len(target))
            return [*target[:at], change(None), *target[at:]]
        at = _index(part, len(target) - 1)
        return [*target[:at], _changed(target[at], rest, change, insert=insert), *target[at + 1 :]]
    if not isinstance(target, dict):
        raise TypeError(f"no field {part} in a scalar")
    if rest and part not in target:
        raise KeyError(part)
    return {**target, part: _changed(target.get(part), rest, change, insert=insert)}


def _removed(target: Any, path: list[str]) -> Any:
    if not path:
        raise ValueError("the whole object cannot be removed")
    *parents, last = path

    def without(container: Any) -> Any:
        if isinstance(container, list):
            at = _index(last, len(container) - 1)
            return [*container[:at], *container[at + 1 :]]
        if not isinstance(container, dict):
            raise TypeError(f"no field {last} in a scalar")
        return {name: value for name, value in container.items() if name != last}

    return _changed(target, parents, without)
