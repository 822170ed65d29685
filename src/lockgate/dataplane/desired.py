"""The desired configuration of one Envoy: the published snapshot, without what Envoy rejects.

A resource that Envoy rejects keeps its last accepted version. That would block all other changes in it, and one route
configuration has the routes of a whole gateway. So the faulty pieces are found (`culprits`) and left out, and Envoy
accepts the rest. Pieces are identified by value, so a faulty piece is left out of later snapshots too, until its object
changes or is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lockgate.xds.snapshot import EMPTY, ORDER, Entry, Piece, Snapshot, Source

ResourceName: TypeAlias = tuple[str, str]  # type URL, name


@dataclass(frozen=True, slots=True)
class Rejection:
    """Envoy's rejection of a resource, or of the one piece that is at fault and therefore left out."""

    node: str
    type_url: str
    name: str
    source: Source
    message: str
    left_out: bool = False

    def __str__(self) -> str:
        rejected = f"Envoy ({self.node}) rejects {str(self.source) or self.name}: {self.message}"
        return f"{rejected}; it is left out, and the rest is served" if self.left_out else rejected


class Desired:
    """Shared by all connections of a node; `snapshot` is the desired configuration."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.snapshot = EMPTY
        self.left_out: tuple[Rejection, ...] = ()
        self._published = EMPTY
        self._faulty: list[tuple[object, str]] = []  # values of faulty pieces, with Envoy's reasons
        self._accepted: dict[ResourceName, Entry] = {}
        self._rejected: dict[ResourceName, str] = {}  # the rejected version

    def publish(self, snapshot: Snapshot) -> None:
        self._published = snapshot
        self._leave_out_faulty()
        live = {(type_url, name) for type_url in ORDER for name in snapshot.names(type_url)}
        for known in (self._accepted, self._rejected):
            for gone in known.keys() - live:
                del known[gone]

    def leave_out(self, faulty: Iterable[tuple[Piece, str]]) -> None:
        """Leaves these pieces out of all resources from now on. Each has Envoy's reason."""
        self._faulty += ((piece.value, message) for piece, message in faulty)
        self._leave_out_faulty()

    def entry(self, type_url: str, name: str) -> Entry | None:
        """The entry to serve: the desired one, or the last accepted one if Envoy rejected it."""
        if self.is_rejected(type_url, name):
            return self._accepted.get((type_url, name))
        return self._wanted(type_url, name)

    def is_rejected(self, type_url: str, name: str) -> bool:
        """Whether Envoy has rejected the desired version of this name."""
        wanted = self._wanted(type_url, name)
        return wanted is not None and self._rejected.get((type_url, name)) == wanted.version

    def unserved(self, type_url: str) -> frozenset[str]:
        """The names of which Envoy has rejected every version."""
        names = (name for kind, name in self._rejected if kind == type_url)
        return frozenset(name for name in names if self.entry(type_url, name) is None)

    def accepted(self, type_url: str, entries: Mapping[str, Entry]) -> None:
        for name, entry in entries.items():
            self._accepted[type_url, name] = entry
            if self._rejected.get((type_url, name)) == entry.version:
                del self._rejected[type_url, name]

    def rejected(self, type_url: str, name: str, entry: Entry) -> None:
        self._rejected[type_url, name] = entry.version

    def _wanted(self, type_url: str, name: str) -> Entry | None:
        return self.snapshot.resources.get(type_url, {}).get(name)

    def _leave_out_faulty(self) -> None:
        self.snapshot, self.left_out = self._published, ()
        if not self._faulty:
            return
        resources: dict[str, dict[str, Entry]] = {}
        rejections: dict[object, Rejection] = {}
        met: set[int] = set()
        for type_url, entries in self._published.resources.items():
            served = resources[type_url] = dict(entries)
            for name, entry in entries.items():
                if entry.pieces is None:
                    continue
                kept: set[int] = set()
                pieces = entry.pieces.all()
                for place, piece in enumerate(pieces):
                    fault = next((at for at, (value, _) in enumerate(self._faulty) if value == piece.value), None)
                    if fault is None:
                        kept.add(place)
                        continue
                    met.add(fault)
                    rejection = Rejection(self.node, type_url, name, piece.source, self._faulty[fault][1], True)
                    rejections.setdefault(piece.source.origin or piece.source, rejection)
                if len(kept) == len(pieces):
                    continue
                rest = entry.of_pieces(kept)
                if rest is None:
                    del served[name]
                else:
                    served[name] = rest
        self._faulty = [each for at, each in enumerate(self._faulty) if at in met]
        self.snapshot, self.left_out = Snapshot(resources), tuple(rejections.values())
