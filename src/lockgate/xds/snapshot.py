"""What one Envoy ought to have: a value that the configuration stream compares with what it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Protocol

from lockgate.resources.faults import Origin

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105  a type

# Clusters before what refers to them, endpoints before listeners, so that nothing is served half.
ORDER: Final = (CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE)


@dataclass(frozen=True, slots=True)
class Source:
    """Where something in Envoy's configuration comes from, for when Envoy rejects it.

    `what` says it in words. `origin` is the manifest's, where the configuration is made from manifests; what is made
    from ELBv2's state has the name of its load balancer, the listener's port and the rule's priority instead.
    """

    what: str
    origin: Origin | None = None
    balancer: str = ""
    port: int = 0
    priority: int = 0

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a resource that can be left out. Pieces with equal values are the same piece, wherever they are."""

    value: object
    source: Source


class Pieces(Protocol):
    """How a resource is put together, so that one piece that Envoy rejects does not hold up the others."""

    def all(self) -> Sequence[Piece]:
        """In the order in which they count: of two that exclude each other, the later one is at fault."""
        ...

    def body(self, kept: Set[int]) -> bytes | None:
        """The resource from only those of its pieces, by their place; None where that would be no resource at all."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, serialised. `pieces` is None for a resource that is either whole or not there."""

    body: bytes = field(repr=False)  # may hold a private key
    source: Source = field(default=Source(""), compare=False)
    version: str = ""
    pieces: Pieces | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(body: bytes, source: Source | str = "", pieces: Pieces | None = None) -> Entry:
        source = Source(source) if isinstance(source, str) else source
        return Entry(body, source, blake2b(body, digest_size=8).hexdigest(), pieces)

    def of_pieces(self, kept: Set[int]) -> Entry | None:
        """The entry from only those of its pieces, by their place."""
        assert self.pieces is not None
        body = self.pieces.body(kept)
        return None if body is None else Entry.of(body, self.source, self.pieces)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources of one Envoy: type URL to name to entry."""

    resources: Mapping[str, Mapping[str, Entry]]

    def names(self, type_url: str) -> frozenset[str]:
        return frozenset(self.resources.get(type_url, {}))


EMPTY: Final = Snapshot({})
