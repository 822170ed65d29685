"""A gateway's configuration with the patches of EnvoyFilters. A patch that Envoy rejects is left out alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import TypeAlias

from lockgate.gateway import model
from lockgate.gateway.patches import Patch
from lockgate.resources.memo import Memo
from lockgate.xds.gateway import patching
from lockgate.xds.gateway.patch_values import Unreadable, removed, value_of
from lockgate.xds.protobuf import serialised
from lockgate.xds.snapshot import CLUSTER, LISTENER, ROUTE, Entry, Piece, Snapshot, Source

PATCHED = {
    **dict.fromkeys((*patching.LISTENERS, "EXTENSION_CONFIG"), LISTENER),
    **dict.fromkeys(patching.ROUTES, ROUTE),
    "CLUSTER": CLUSTER,
}
_UNSERVED = {
    "BOOTSTRAP": "a proxy reads it when its Pod starts, and the gateway's Envoy here has Lockgate's own",
    "INVALID": "applyTo is missing",
}

Binds: TypeAlias = Mapping[int, tuple[str, int]]


def patched(made: Snapshot, gateway: model.Gateway, binds: Binds, memo: Memo) -> Snapshot:
    """The snapshot after the patches. The readiness probe's listener is not istiod's, and stays. A listener that a
    patch adds opens the port of this machine that stands for its own; without one, nothing leads to it."""
    readable = [patch for patch in gateway.patches if unreadable(patch) is None]
    by_type = {kind: tuple(patch for patch in readable if PATCHED[patch.apply_to] == kind) for kind in PATCHED.values()}
    ports = {
        LISTENER: {item.name: item.port for item in gateway.listeners},
        ROUTE: {name: item.port for name, item in gateway.routes.items()},
        CLUSTER: dict.fromkeys(gateway.clusters, 0),
    }
    resources = dict(made.resources)
    for kind, patches in by_type.items():
        if patches:
            resources[kind] = _resources(kind, made.resources[kind], patches, ports[kind], memo)
    resources[LISTENER] = {**resources[LISTENER], **dict(_added_listeners(by_type[LISTENER], binds))}
    return replace(made, resources=resources)


def unreadable(patch: Patch) -> str | None:
    """Why a patch cannot be applied here."""
    if patch.apply_to in _UNSERVED:
        return f"applyTo {patch.apply_to} is not served here: {_UNSERVED[patch.apply_to]}"
    if (reason := mistake(patch)) is not None:
        return reason
    if (what := removed(patch)) is not None:
        return f"its Envoy refuses {what}"
    if _adds_listener(patch) and not value_of(patch).address.socket_address.port_value:
        return "the listener has no port in address.socketAddress.portValue"
    return None


def mistake(patch: Patch) -> str | None:
    """Why Istio's webhook refuses a patch's value."""
    if not patch.value or patch.apply_to in _UNSERVED:
        return None
    try:
        value_of(patch)
    except Unreadable as error:
        return str(error)
    return None


def _adds_listener(patch: Patch) -> bool:
    return (patch.apply_to, patch.operation) == ("LISTENER", "ADD")


def _added_listeners(patches: Iterable[Patch], binds: Binds) -> Iterator[tuple[str, Entry]]:
    for patch in filter(_adds_listener, patches):
        listener = type(value := value_of(patch)).FromString(serialised(value))
        address = listener.address.socket_address
        if (bind := binds.get(address.port_value)) is not None:
            address.address, address.port_value = bind
            yield listener.name, Entry.of(serialised(listener), _source(patch))


def _resources(
    kind: str, entries: Mapping[str, Entry], patches: tuple[Patch, ...], ports: Mapping[str, int], memo: Memo
) -> dict[str, Entry]:
    found = {}
    for name, entry in entries.items():
        new = memo.made(_entry, kind, entry, patches, ports[name]) if name in ports else entry
        if new is not None:
            found[name] = new
    return found | (_added(patches) if kind == CLUSTER else {})


def _entry(kind: str, entry: Entry, patches: tuple[Patch, ...], port: int) -> Entry | None:
    body = _apply(kind, entry.body, patches, port)
    if body is None:
        return None
    if body == _apply(kind, entry.body, (), port):  # the same fields, in the same order
        return entry
    return Entry.of(body, entry.source, PatchedPieces(kind, entry, patches, port))


def _apply(kind: str, body: bytes, patches: Iterable[Patch], port: int) -> bytes | None:
    applied = tuple(patches)
    if kind == LISTENER:
        return patching.listener(body, applied, port)
    return patching.routes(body, applied, port) if kind == ROUTE else patching.cluster(body, applied)


def _added(patches: Iterable[Patch]) -> dict[str, Entry]:
    added = (patch for patch in patches if patch.operation == "ADD")
    return {value.name: Entry.of(serialised(value), _source(patch)) for patch in added if (value := value_of(patch))}


def _source(patch: Patch) -> Source:
    return Source(f"EnvoyFilter {patch.filter}", patch.origin)


@dataclass(frozen=True, slots=True)
class PatchedPieces:
    """The pieces of the resource, and the patches after them."""

    kind: str
    entry: Entry
    patches: tuple[Patch, ...]
    port: int

    def all(self) -> list[Piece]:
        return [*self._own(), *(Piece(patch, _source(patch)) for patch in self.patches)]

    def body(self, kept: Set[int]) -> bytes | None:
        own = len(self._own())
        inner = frozenset(place for place in kept if place < own)
        if len(inner) == own:
            body: bytes | None = self.entry.body
        else:
            body = self.entry.pieces.body(inner) if self.entry.pieces else None
        if body is None:
            return None
        return _apply(
            self.kind, body, (patch for place, patch in enumerate(self.patches, own) if place in kept), self.port
        )

    def _own(self) -> list[Piece]:
        return list(self.entry.pieces.all()) if self.entry.pieces else [Piece(self.entry.body, self.entry.source)]
