"""The desired configuration of one Envoy, which the configuration stream compares with Envoy's current one."""

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

# Clusters come before the resources that reference them, and endpoints before listeners, so that nothing is half
# served.
ORDER: Final = (CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of Envoy's configuration comes from, for reports when Envoy rejects it.

    `what` describes it in words. `origin` is the place in a manifest, for configuration built from manifests.
    Configuration built from ELBv2 state has the load balancer's name, the listener's port and the rule's priority
    instead.
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
    """A part of a resource that can be omitted. Pieces with equal values are the same piece, in whatever resource."""

    value: object
    source: Source


class Pieces(Protocol):
    """How a resource is assembled from pieces, so that a piece that Envoy rejects does not block the others."""

    def all(self) -> Sequence[Piece]:
        """Pieces in order of precedence: of two that conflict, the later one is at fault."""
        ...

    def body(self, kept: Set[int]) -> bytes | None:
        """The resource from the pieces at these positions; None if that is not a valid resource."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One serialised resource. `pieces` is None for a resource that cannot be served in part."""

    body: bytes = field(repr=False)  # may hold a private key
    source: Source = field(default=Source(""), compare=False)
    version: str = ""
    pieces: Pieces | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(body: bytes, source: Source | str = "", pieces: Pieces | None = None) -> Entry:
        source = Source(source) if isinstance(source, str) else source
        return Entry(body, source, blake2b(body, digest_size=8).hexdigest(), pieces)

    def of_pieces(self, kept: Set[int]) -> Entry | None:
        """The entry from the pieces at these positions."""
        assert self.pieces is not None
        body = self.pieces.body(kept)
        return None if body is None else Entry.of(body, self.source, self.pieces)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources of one Envoy, by type URL and name."""

    resources: Mapping[str, Mapping[str, Entry]]

    def names(self, type_url: str) -> frozenset[str]:
        return frozenset(self.resources.get(type_url, {}))


EMPTY: Final = Snapshot({})
