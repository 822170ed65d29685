"""A running edge at one time, as a value: the only input of `report`, `hops` and `status`.

`runtime.observe` creates it from the two APIs, the Envoys and DNS. Its readers are pure functions, so an edge's reports
are tested without an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from lockgate.dataplane.desired import Rejection
from lockgate.edge.port_table import PortTable
from lockgate.edge.supply import Supply
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.storage import GroupKind
from lockgate.gateway.model import Gateway
from lockgate.ingress.manifests import Stacks
from lockgate.loadbalancer.model import LoadBalancer, TargetState
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import core
from lockgate.resources.faults import Fault, Locate
from lockgate.resources.model import ObjectKey, Resource, ResourceT
from lockgate.resources.reader import Document
from lockgate.xds.snapshot import EMPTY, Snapshot

_SIDE_NOTES = frozenset({"NotServed"})  # about settings without effect, independent of the object's state


class Cluster:
    """The Kubernetes API's objects at one time. Values are parsed on demand, once."""

    def __init__(
        self, objects: Mapping[GroupKind, Mapping[tuple[str, str], Stored]], earlier: Cluster | None = None
    ) -> None:
        """`objects` are by kind, namespace and name; they must not change afterwards. What was read of kinds that are
        as in the `earlier` one is not read again."""
        self._objects = objects
        self._lists: dict[GroupKind, tuple[Resource, ...]] = {}
        self._warnings: Mapping[str, str] | None = None
        if earlier is not None:
            same = {kind for kind, each in objects.items() if each is earlier._objects.get(kind)}
            self._lists = {kind: listed for kind, listed in earlier._lists.items() if kind in same}
            self._warnings = earlier._warnings if core.Event.KIND.group_kind in same else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cluster) and self._objects == other._objects

    __hash__ = None  # type: ignore[assignment]  # like other mappings

    @staticmethod
    def of(resources: Iterable[Resource]) -> Cluster:
        objects: dict[GroupKind, dict[tuple[str, str], Stored]] = {}
        for resource in resources:
            stored = Stored(resource.key, resource.manifest(), 0, resource)
            objects.setdefault(resource.KIND.group_kind, {})[resource.namespace, resource.name] = stored
        return Cluster(objects)

    def __contains__(self, key: ObjectKey) -> bool:
        return (key.namespace, key.name) in self._objects.get((key.group, key.kind), {})

    @property
    def parts(self) -> Iterable[object]:
        """Identifies all objects: one for each kind, as `objects_of`."""
        return self._objects.values()

    def objects_of(self, kind: type[Resource]) -> object:
        """Identifies the objects of a kind: the same object while none of them changes."""
        return self._objects.get(kind.KIND.group_kind)

    def without(self, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        """Those of the keys that are no objects of the cluster."""
        kinds, nothing = self._objects, dict[tuple[str, str], Stored]()
        return [key for key in keys if (key[2], key[3]) not in kinds.get((key[0], key[1]), nothing)]

    def get(self, kind: type[ResourceT], name: str, namespace: str = "") -> ResourceT | None:
        stored = self._objects.get(kind.KIND.group_kind, {}).get((namespace, name))
        return stored.parsed(kind) if stored else None

    def all(self, kind: type[ResourceT]) -> tuple[ResourceT, ...]:
        """Sorted by namespace and name."""
        at = kind.KIND.group_kind
        if at not in self._lists:
            stored = self._objects.get(at, {})
            self._lists[at] = tuple(stored[name].parsed(kind) for name in sorted(stored))
        return self._lists[at]  # type: ignore[return-value]  # all of this kind

    @property
    def warnings(self) -> Mapping[str, str]:
        """The latest warning event of each object, by the object's UID."""
        if self._warnings is None:
            events = (event for event in self.all(core.Event) if event.reason not in _SIDE_NOTES)
            latest = {event.involved_object.uid: event for event in sorted(events, key=_when)}
            self._warnings = {uid: event.message for uid, event in latest.items() if event.type == "Warning"}
        return self._warnings


def _when(event: core.Event) -> tuple[str, str]:
    """Times have whole seconds, so the name, which contains the time, breaks ties."""
    return event.last_timestamp, event.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Balancing:
    """The load balancers that are served, and their state.

    `addresses` are by DNS name in lower case, `ports` by that and the listener's port. `targets` (``id:port`` to state)
    and `complaints` (of health checks) are by target group. `current` is False while an API has changes that Envoy's
    configuration does not have yet. `unserved` says why a listener, ``NAME:PORT``, is not served.
    """

    load_balancers: tuple[LoadBalancer, ...] = ()
    network_load_balancers: tuple[NetworkLoadBalancer, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[tuple[str, int], int] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, TargetState]] = field(default_factory=dict)
    complaints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unserved: Mapping[str, str] = field(default_factory=dict)
    current: bool = True

    @property
    def all(self) -> tuple[AnyLoadBalancer, ...]:
        return (*self.load_balancers, *self.network_load_balancers)


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy. `trouble` describes the fault of its process. `settled` means that it has accepted all of `snapshot`,
    and that no change is on its way into it; `gateway` is None for the load balancers' Envoy. `istiod` describes
    the user's, if that configures it."""

    pid: int | None = None
    restarts: int = 0
    trouble: str = ""
    settled: bool = False
    rejections: tuple[Rejection, ...] = ()
    snapshot: Snapshot = EMPTY
    gateway: Gateway | None = None
    istiod: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """The whole edge at one time. `about` has names, addresses and paths, and no secrets.

    `documents` are the user's objects, `applied` the keys of those that the API accepted. `refused` are those that are
    not served as they are, each with the fault, which may be another's: an Ingress spoils its whole group. `retried`
    has the error of the last try of what a controller tries again. `resolved` has the addresses of the hosts that
    DNS answers for, `issued` the ARNs of the ACM certificates that exist. `envoys` are by node id.
    """

    about: Mapping[str, Any]
    files: tuple[str, ...] = ()
    documents: Mapping[ObjectKey, Document] = field(default_factory=dict)
    applied: AbstractSet[ObjectKey] = frozenset()
    refused: Mapping[ObjectKey, Fault] = field(default_factory=dict)
    retried: Mapping[ObjectKey, str] = field(default_factory=dict)
    supply: Supply | None = None
    notes: tuple[str, ...] = ()
    stacks: Stacks | None = None
    cluster: Cluster = field(default_factory=lambda: Cluster({}))
    zones: tuple[str, ...] = ()
    resolved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    issued: AbstractSet[str] = frozenset()
    balancing: Balancing = Balancing()
    envoys: Mapping[str, Proxy] = field(default_factory=dict)
    ports: PortTable = field(default_factory=lambda: PortTable(frozenset()))
    faults: tuple[Fault, ...] = ()
    locate: Locate = lambda origin: None  # the current lines of `faults`
    timeline: tuple[tuple[str, float], ...] = ()
    controllers: Mapping[str, str] = field(default_factory=dict)  # those that do not run here, as in `Options`

    @property
    def gateways(self) -> Mapping[str, Gateway]:
        """By the node id of their Envoy."""
        return {node: envoy.gateway for node, envoy in sorted(self.envoys.items()) if envoy.gateway is not None}

    @property
    def alb(self) -> Proxy:
        return self.envoys.get("alb", Proxy())
