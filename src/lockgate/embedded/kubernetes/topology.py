"""How the maps and lists of a kind are merged by server-side apply: as a whole (atomic), or by their parts.

Source: kubernetes.io "Server-Side Apply", "Merge strategy".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeAlias

from lockgate.embedded.kubernetes.protobuf.messages import SCALARS, Field, Many, fields_of, is_atomic, message_of
from lockgate.resources import merge_keys
from lockgate.resources.model import JsonObject, Resource

# Only field names and map keys, without positions in lists.
Path: TypeAlias = tuple[str, ...]


class Topology(Protocol):
    def list_keys(self, path: Path) -> tuple[str, ...] | None:
        """The keys of the list at a path: field names, () for a set, None for an atomic list."""

    def is_atomic(self, path: Path) -> bool:
        """Whether the map or object at a path, or in the list at a path, is owned as a whole."""

    def is_struct(self, path: Path) -> bool:
        """Whether the object at a path is always there, as Go's plain structs are."""

    def is_declared(self, path: Path) -> bool:
        """Whether the last name of a path is a field's, not a key of a map."""

    def default(self, path: Path, key: str) -> Any:
        """The value of a key that an item of the list at a path lacks."""


@dataclass(frozen=True, slots=True)
class OfModel:
    """A typed kind of Istio, cert-manager or the load balancer controller: its lists are atomic."""

    model: type[Resource]

    def list_keys(self, path: Path) -> tuple[str, ...] | None:
        return merge_keys.list_keys(self.model, path)

    def is_atomic(self, path: Path) -> bool:
        return path == _OWNERS

    def is_struct(self, path: Path) -> bool:
        return path == ("metadata",)

    def is_declared(self, path: Path) -> bool:
        return True

    def default(self, path: Path, key: str) -> Any:
        return None


@dataclass(frozen=True, slots=True)
class OfMessage:
    """A built-in kind."""

    message: str

    def list_keys(self, path: Path) -> tuple[str, ...] | None:
        found = _at(self.message, path)
        return found.keys if isinstance(found, Field) else None

    def patch_key(self, path: Path) -> str | None:
        found = _at(self.message, path)
        return found.patch_key if isinstance(found, Field) else None

    def is_atomic(self, path: Path) -> bool:
        found = _at(self.message, path)
        if isinstance(found, Field):
            return found.atomic if found.many == "%" else is_atomic(found.of) or found.of in _FREE
        return found is not None and (is_atomic(found) or found in _FREE)

    def is_struct(self, path: Path) -> bool:
        found = _at(self.message, path)
        return isinstance(found, Field) and not found.many and not found.pointer

    def is_declared(self, path: Path) -> bool:
        return isinstance(_at(self.message, path), Field)

    def default(self, path: Path, key: str) -> Any:
        return "TCP" if key == "protocol" else None


def of_built_in(api_version: str, kind: str) -> OfMessage | None:
    message = message_of(api_version, kind)
    return OfMessage(message) if message else None


@cache
def _at(message: str, path: Path) -> Field | str | None:
    """The field at a path, or the type of a map's value there. None for a path that the message does not have."""
    if not path:
        return message
    outer = _at(message, path[:-1])
    if isinstance(outer, Field):
        many: Many = outer.many
        if many == "%":
            return outer.of
        outer = outer.of
    return None if outer is None or outer in SCALARS else _named(outer, path[-1])


def _named(message: str, name: str) -> Field | None:
    try:
        own = fields_of(message)
    except KeyError:  # JSON of any shape
        return None
    for field in own:
        if field.name == name:
            return field
        if not field.name and (inlined := _named(field.of, name)):
            return inlined
    return None


_FREE = frozenset({"runtime.RawExtension", "apiextensions/v1.JSON"})


@dataclass(frozen=True, slots=True)
class OfSchema:
    """A user's kind, by the schema of its definition."""

    schema: JsonObject

    def list_keys(self, path: Path) -> tuple[str, ...] | None:
        found = self._at(path)
        match found.get("x-kubernetes-list-type"):
            case "map":
                return tuple(found.get("x-kubernetes-list-map-keys") or ()) or None
            case "set":
                return ()
            case _:
                return _METADATA_KEYS.get(path)

    def is_atomic(self, path: Path) -> bool:
        return path == _OWNERS or _item(self._at(path)).get("x-kubernetes-map-type") == "atomic"

    def is_struct(self, path: Path) -> bool:
        return path == ("metadata",)

    def is_declared(self, path: Path) -> bool:
        if path[0] == "metadata":
            return len(path) < 3
        return path[-1] in (_item(self._at(path[:-1])).get("properties") or ())

    def default(self, path: Path, key: str) -> Any:
        return ((_item(self._at(path)).get("properties") or {}).get(key) or {}).get("default")

    def _at(self, path: Path) -> JsonObject:
        schema = self.schema
        for name in path:
            schema = _item(schema)
            properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
            schema = properties.get(name) or (more if isinstance(more, dict) else {})
        return schema


def _item(schema: JsonObject) -> JsonObject:
    while schema.get("type") == "array":
        schema = schema.get("items") or {}
    return schema


_OWNERS: Path = ("metadata", "ownerReferences")
_METADATA_KEYS: dict[Path, tuple[str, ...]] = {
    ("metadata", "finalizers"): (),
    _OWNERS: ("uid",),
}
