"""`apply --progressive`: changes of a plan that move requests from one side to another, and each weight.

Three levers, by what changed. An Ingress with another Service behind a path gets an action that forwards to both
target groups with weights. A VirtualService with another destination in a route gets both with weights. Where the load
balancer of a host is another one, its records become two weighted sets.

Nothing is stored. The weights of an object belong to a field manager of their own, which sends nothing but the routing,
so that all else is as before until the shift is done; a killed run reads the weights from there, or from the zone, and
goes on. The first side is the old one, so that a shift can be undone without knowing what was there before.

Source: aws-load-balancer-controller, `docs/guide/ingress/annotations.md`, "actions"; Istio's reference,
"HTTPRouteDestination"; Amazon Route 53 Developer Guide, "Weighted routing".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil, log
from typing import Any, Final, TypeAlias

from lockgate.deploy.planning.objects import Action, ObjectChange
from lockgate.deploy.planning.seen import SHIFT_MANAGER
from lockgate.dns.model import Alias, RecordSet, Weighted, Zone
from lockgate.dns.plan import Endpoint
from lockgate.resources.model import JsonObject, ObjectKey

PERCENT: Final = (5, 25, 50, 100)
"""The usual weights of the new side."""
RECORDS_TTL: Final = 60.0
"""Seconds for which a resolver keeps the answer of an alias of a load balancer."""
_FEWEST: Final = 10
_MISS: Final = 0.01  # how probable it may be that no probe meets the new side
_ACTIONS: Final = "alb.ingress.kubernetes.io/actions."
_ACTION: Final = "lockgate-shift-"
_ON_ANNOTATION: Final = "use-annotation"


def probes(percent: int) -> int:
    """How many requests meet the new side with a probability of 99 %."""
    return _FEWEST if percent >= 100 else max(_FEWEST, ceil(log(_MISS) / log(1 - percent / 100)))


@dataclass(frozen=True, slots=True)
class Side:
    """`text` names it in lines. `service` is the name and the port as it is written, of an Ingress's backend, or the
    destination's host and its port of a VirtualService."""

    text: str
    service: tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class Split:
    """One route of an object, at `place`, that leads from `old` to `new`. `weight` is the new side's share now."""

    place: tuple[str | int, ...]
    old: Any
    new: Any
    weight: int


@dataclass(frozen=True, slots=True)
class ObjectShift:
    """`live` is the object as it is. `api_version` is that of its manifest."""

    key: ObjectKey
    api_version: str
    live: JsonObject
    splits: tuple[Split, ...]

    @property
    def weight(self) -> int:
        """Where an earlier run stopped; 0 at the beginning."""
        return min(each.weight for each in self.splits)

    @property
    def title(self) -> str:
        pairs = dict.fromkeys((self._side(each.old).text, self._side(each.new).text) for each in self.splits)
        return ", ".join(f"{old} to {new}" for old, new in pairs)

    def sides(self) -> Iterator[tuple[Side, Side]]:
        """The old and the new side of each split."""
        for each in self.splits:
            yield self._side(each.old), self._side(each.new)

    def _side(self, end: Any) -> Side:
        return _backend_side(end) if self.key.kind == "Ingress" else _destination_side(end)

    def at(self, percent: int) -> JsonObject:
        """What the shift's field manager sends, for a weight of the new side."""
        return _ingress(self, percent) if self.key.kind == "Ingress" else _routes(self, percent)

    def only(self, *, new: bool) -> JsonObject:
        """The same with one side alone, as it was or will be without a shift."""
        spec = deepcopy(_routing(self.key, self.live))
        for each in self.splits:
            _put(spec, each.place, deepcopy(each.new if new else each.old))
        return self._partial(spec, {})

    def _partial(self, spec: JsonObject, annotations: Mapping[str, str]) -> JsonObject:
        metadata: JsonObject = {"name": self.key.name, "namespace": self.key.namespace}
        if annotations:
            metadata["annotations"] = dict(annotations)
        return {"apiVersion": self.api_version, "kind": self.key.kind, "metadata": metadata, "spec": spec}


@dataclass(frozen=True, slots=True)
class RecordShift:
    """The hosts whose records lead to another load balancer. `endpoints` are all of the edge's, as they will be.
    `old` has each host's load balancer now, as a DNS name. `weight` as in `ObjectShift`."""

    endpoints: tuple[Endpoint, ...]
    old: tuple[tuple[str, str], ...]
    weight: int

    @property
    def title(self) -> str:
        return f"{', '.join(dict(self.old))} to another load balancer"

    def at(self, percent: int) -> list[Endpoint]:
        """Endpoints, of which those of the shifted hosts are there twice, with weights."""
        old = dict(self.old)
        found: list[Endpoint] = []
        for each in self.endpoints:
            before = old.get(each.host)
            if before is None:
                found.append(each)
                continue
            for name, weight in ((before, 100 - percent), (each.targets[0], percent)):
                found.append(replace(each, targets=(name,), policy=Weighted(weight), set_identifier=_identifier(name)))
        return found

    def only_old(self) -> list[Endpoint]:
        old = dict(self.old)
        return [replace(each, targets=(old.get(each.host, each.targets[0]),)) for each in self.endpoints]


Shift: TypeAlias = ObjectShift | RecordShift


def object_shifts(objects: Sequence[ObjectChange], raw: Mapping[ObjectKey, JsonObject]) -> Iterator[ObjectShift]:
    """Of the objects that exist and lead elsewhere in the manifests."""
    for change in objects:
        live = raw.get(change.key)
        find = _FINDERS.get((change.key.group, change.key.kind))
        if live is None or find is None or change.action is not Action.UPDATE:
            continue
        if splits := tuple(find(live, change.manifest)):
            yield ObjectShift(change.key, change.manifest["apiVersion"], live, splits)


def abrupt(objects: Sequence[ObjectChange], shifts: Sequence[ObjectShift]) -> Iterator[str]:
    """Routing that changes without a shift, because it is not the same routes with other ends."""
    shifted = {each.key for each in shifts}
    for change in objects:
        names = [each.path[1] for each in change.fields if each.path[:1] == ("spec",) and len(each.path) > 1]
        routing = {"rules", "http", "defaultBackend"} & {*names}
        if change.key not in shifted and change.action is Action.UPDATE and routing:
            yield f"{change.key} changes at once: only what one route leads to can shift, and no shares of its own"


def record_shift(
    endpoints: Sequence[Endpoint], names: frozenset[str], zones: Sequence[Zone], balancers: frozenset[str]
) -> RecordShift | None:
    """`names` are of the A records that change, with a final dot. `balancers` are the DNS names of load balancers that
    exist: only between two of them can a host's share shift."""
    old: dict[str, str] = {}
    weights: list[int] = []
    for each in endpoints:
        new = _bare(each.targets[0])
        if f"{each.host.lower()}." not in names or len(each.targets) != 1 or new not in balancers:
            continue
        there = _aliases(f"{each.host}.", zones)
        others = [(name, record) for name, record in there if name != new and name in balancers]
        if others and each.host not in old:
            old[each.host] = others[0][0]
            policies = [record.policy for name, record in there if name == new]
            weights.append(sum(each.weight for each in policies if isinstance(each, Weighted)))
    return RecordShift(tuple(endpoints), tuple(old.items()), min(weights)) if old else None


def _aliases(name: str, zones: Sequence[Zone]) -> list[tuple[str, RecordSet]]:
    return [
        (_bare(record.data.dns_name), record)
        for zone in zones
        for record in zone.by_name.get(name.lower(), ())
        if record.type == "A" and isinstance(record.data, Alias)
    ]


def _bare(dns_name: str) -> str:
    return dns_name.lower().rstrip(".").removeprefix("dualstack.")


def _identifier(dns_name: str) -> str:
    return _bare(dns_name).partition(".")[0]


# --- an Ingress ----------------------------------------------------------------------------------------------------


def _routing(key: ObjectKey, raw: JsonObject) -> JsonObject:
    """The fields that a shift owns. Both lists are atomic: they have one owner."""
    spec = raw.get("spec") or {}
    return {name: spec[name] for name in (("rules",) if key.kind == "Ingress" else ("http",)) if name in spec}


def _paths(raw: JsonObject) -> Iterator[tuple[tuple[str | int, ...], tuple[Any, ...], JsonObject]]:
    """Of each path the place of its backend, what it matches, and the backend."""
    for number, rule in enumerate((raw.get("spec") or {}).get("rules") or ()):
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            place = ("rules", number, "http", "paths", index, "backend")
            yield place, (rule.get("host"), path.get("path"), path.get("pathType")), path.get("backend") or {}


def _ingress_splits(live: JsonObject, manifest: JsonObject) -> Iterator[Split]:
    """Paths are compared by position: of two with the same match the first decides, so the order means something."""
    before, after = list(_paths(live)), list(_paths(manifest))
    if [match for _, match, _ in before] != [match for _, match, _ in after]:
        return
    annotations = live["metadata"].get("annotations") or {}
    for (place, _, was), (_, _, will) in zip(before, after, strict=True):
        if not _is_service(will):
            continue
        shares = _shares(was, annotations)
        target = _backend_side(will).service
        others = [(backend, weight) for backend, weight in shares if _backend_side(backend).service != target]
        if shares and others:
            mine = sum(weight for backend, weight in shares if _backend_side(backend).service == target)
            yield Split(place, others[0][0], will, mine)


def _is_service(backend: JsonObject) -> bool:
    return "service" in backend and (backend["service"].get("port") or {}).get("name") != _ON_ANNOTATION


def _shares(backend: JsonObject, annotations: Mapping[str, str]) -> list[tuple[JsonObject, int]]:
    """The Services of a backend with their weights; none for an action of the manifests."""
    if _is_service(backend):
        return [(backend, 100)]
    name = (backend.get("service") or {}).get("name", "")
    if not name.startswith(_ACTION):
        return []
    groups = json.loads(annotations[f"{_ACTIONS}{name}"])["forwardConfig"]["targetGroups"]
    return [(_of_group(each), int(each["weight"])) for each in groups]


def _of_group(group: Mapping[str, Any]) -> JsonObject:
    port = group["servicePort"]
    return {
        "service": {"name": group["serviceName"], "port": {"number" if isinstance(port, int) else "name": port}},
    }


def _backend_side(backend: JsonObject) -> Side:
    service = backend["service"]
    port = (service.get("port") or {}).get("number") or (service.get("port") or {}).get("name", "")
    return Side(f"Service {service['name']}:{port}", (service["name"], port))


def _ingress(shift: ObjectShift, percent: int) -> JsonObject:
    spec, annotations = deepcopy(_routing(shift.key, shift.live)), {}
    for number, each in enumerate(shift.splits):
        name = f"{_ACTION}{number}"
        groups = [
            {"serviceName": side.service[0], "servicePort": side.service[1], "weight": weight}
            for side, weight in ((_backend_side(each.old), 100 - percent), (_backend_side(each.new), percent))
        ]
        action = {"type": "forward", "forwardConfig": {"targetGroups": groups}}
        annotations[f"{_ACTIONS}{name}"] = json.dumps(action)
        _put(spec, each.place, {"service": {"name": name, "port": {"name": _ON_ANNOTATION}}})
    return shift._partial(spec, annotations)


# --- a VirtualService ----------------------------------------------------------------------------------------------


def _route_splits(live: JsonObject, manifest: JsonObject) -> Iterator[Split]:
    before = (live.get("spec") or {}).get("http") or []
    after = (manifest.get("spec") or {}).get("http") or []
    if [each.get("match") for each in before] != [each.get("match") for each in after]:
        return
    shifting = owns(live, "http")
    for index, (was, will) in enumerate(zip(before, after, strict=True)):
        routes, target = was.get("route") or [], will.get("route") or []
        if len(target) != 1 or not routes or (len(routes) > 1 and not shifting):
            continue
        others = [each for each in routes if each.get("destination") != target[0].get("destination")]
        if others:
            mine = sum(each.get("weight", 0) for each in routes if each not in others)
            place = ("http", index, "route")
            yield Split(place, [_unweighted(others[0])], target, mine)


def owns(raw: JsonObject, name: str) -> bool:
    """Whether a field of `spec` has its value from a shift."""
    return any(
        entry.get("manager") == SHIFT_MANAGER and f"f:{name}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in raw["metadata"].get("managedFields") or ()
    )


def _unweighted(route: JsonObject) -> JsonObject:
    return {key: value for key, value in route.items() if key != "weight"}


def _destination_side(routes: Sequence[JsonObject]) -> Side:
    destination = routes[0].get("destination") or {}
    host, subset = destination.get("host", ""), destination.get("subset", "")
    port = (destination.get("port") or {}).get("number", "")
    text = f"{host}{f':{port}' if port else ''}{f' ({subset})' if subset else ''}"
    return Side(text, (host, port))


def _routes(shift: ObjectShift, percent: int) -> JsonObject:
    spec = deepcopy(_routing(shift.key, shift.live))
    for each in shift.splits:
        old, new = each.old[0], _unweighted(each.new[0])
        _put(spec, each.place, [{**old, "weight": 100 - percent}, {**new, "weight": percent}])
    return shift._partial(spec, {})


def _put(spec: Any, place: Sequence[str | int], value: Any) -> None:
    *path, last = place
    for part in path:
        spec = spec[part]
    spec[last] = value


_FINDERS: Final = {
    ("networking.k8s.io", "Ingress"): _ingress_splits,
    ("networking.istio.io", "VirtualService"): _route_splits,
}
