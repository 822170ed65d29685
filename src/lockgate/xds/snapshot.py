"""What one Envoy ought to have: a value that the configuration stream compares with what it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from lockgate.resources.faults import Origin

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105  a type

# Clusters before what refers to them, endpoints before listeners, so that nothing is served half.
ORDER: Final = (CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, serialised. `origin` is what it comes from, for when Envoy rejects it: a part of a manifest, or a
    piece of the AWS account in words."""

    body: bytes = field(repr=False)  # may hold a private key
    origin: Origin | str = field(default="", compare=False)
    version: str = ""

    @staticmethod
    def of(body: bytes, origin: Origin | str = "") -> Entry:
        return Entry(body, origin, blake2b(body, digest_size=8).hexdigest())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources of one Envoy: type URL to name to entry."""

    resources: Mapping[str, Mapping[str, Entry]]

    def names(self, type_url: str) -> frozenset[str]:
        return frozenset(self.resources.get(type_url, {}))


EMPTY: Final = Snapshot({})
