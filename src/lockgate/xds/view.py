"""A snapshot as Envoy's own JSON, for `lockgate show envoy`. Keys and certificates are left out."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.json_format import MessageToDict

from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Snapshot

Json: TypeAlias = dict[str, Any]

_MESSAGES: Mapping[str, tuple[str, Any]] = {
    "listeners": (LISTENER, Listener),
    "routes": (ROUTE, RouteConfiguration),
    "clusters": (CLUSTER, Cluster),
    "endpoints": (ENDPOINT, ClusterLoadAssignment),
}
SECTIONS = (*_MESSAGES, "secrets")


def snapshot_json(snapshot: Snapshot, filters: tuple[str, ...] = ()) -> Json:
    """The resources by section. A filter is a section, with ``/`` and a glob for names: ``clusters/*reviews*``."""
    shown: Json = {}
    for section, (kind, message) in _MESSAGES.items():
        entries = snapshot.resources.get(kind, {})
        chosen = [entry for name, entry in entries.items() if _chosen(section, name, filters)]
        if chosen:
            shown[section] = [
                MessageToDict(message.FromString(entry.body), preserving_proto_field_name=True) for entry in chosen
            ]
    names = [name for name in snapshot.resources.get(SECRET, {}) if _chosen("secrets", name, filters)]
    if names:
        shown["secrets"] = [{"name": name} for name in names]
    return shown


def _chosen(section: str, name: str, filters: tuple[str, ...]) -> bool:
    if not filters:
        return True
    for each in filters:
        desired, slash, glob = each.partition("/")
        if desired == section and (not slash or fnmatchcase(name, glob)):
            return True
    return False
