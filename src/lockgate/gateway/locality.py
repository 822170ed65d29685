"""Localities: where the gateway and its endpoints are, and in which order and share endpoints get requests.

Theory of operation. Endpoints of one locality form a group. A rule (a DestinationRule's, a Service's
trafficDistribution, or the mesh's) may give each group a share of the requests (`distribute`), or a priority: the
gateway's own locality first, then its zone, its region, the rest. Requests leave a priority only as its endpoints
become unhealthy, so priorities need outlier detection.

Source: istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, `pilot/pkg/networking/util/util.go`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lockgate.gateway.model import NOWHERE, Endpoint, Locality
from lockgate.resources import core, istio

REGION, ZONE, SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"
_HOSTNAME = "kubernetes.io/hostname"
_OWN = "istio-locality"  # a Pod's label
# The labels that a trafficDistribution compares, as far as a gateway of one network and cluster can differ.
_DISTRIBUTIONS = {
    "PreferClose": (REGION, ZONE, SUBZONE),
    "PreferSameZone": (REGION, ZONE, SUBZONE),
    "PreferSameNode": (REGION, ZONE, SUBZONE, _HOSTNAME),
}


@dataclass(frozen=True, slots=True)
class Place:
    """The gateway's locality, its node, and its Pod's labels."""

    locality: Locality = NOWHERE
    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """An endpoint of a service port. `labels` are its Pod's; None if no Pod is behind it. A `locality` of None is the
    gateway's own: a program of this machine, which is the node."""

    endpoint: Endpoint
    labels: Mapping[str, str] | None = None
    locality: Locality | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """How a cluster prefers localities. `failover` is whether requests may leave a priority."""

    setting: istio.LocalityLoadBalancerSetting
    failover: bool

    @property
    def weighted(self) -> bool:
        """Whether the weights of localities count."""
        moves = self.failover and bool(self.setting.failover or self.setting.failover_priority)
        return moves or bool(self.setting.distribute)


def parsed(text: str) -> Locality:
    """``region/zone/subzone``; a Pod's label has dots instead of slashes."""
    parts = text.split("/" if "/" in text else ".") if text else []
    return Locality(*parts[:3])


def of_pod(pod: core.Pod, nodes: Mapping[str, Locality]) -> Locality | None:
    """The locality of a Pod, by its own label or its node; None if neither says."""
    if own := pod.metadata.labels.get(_OWN):
        return parsed(own)
    return nodes.get(pod.spec.node_name)


def of_nodes(nodes: Iterable[core.Node]) -> dict[str, Locality]:
    found: dict[str, Locality] = {}
    for node in nodes:
        labels = node.metadata.labels
        if REGION in labels or ZONE in labels:
            found[node.name] = Locality(labels.get(REGION, ""), labels.get(ZONE, ""), labels.get(SUBZONE, ""))
    return found


def preference(
    own: istio.LoadBalancerSettings | None,
    distribution: str,
    mesh: istio.LocalityLoadBalancerSetting | None,
    outlier_detection: bool,
) -> Preference | None:
    """The rule's setting, else the Service's trafficDistribution, else the mesh's; None if localities do not count."""
    if own and own.locality_lb_setting:
        setting = own.locality_lb_setting
        return None if setting.enabled is False else Preference(setting, outlier_detection)
    if labels := _DISTRIBUTIONS.get(distribution):
        return Preference(istio.LocalityLoadBalancerSetting(failover_priority=labels), True)
    if mesh and mesh.enabled is False:
        return None
    return Preference(mesh or istio.LocalityLoadBalancerSetting(enabled=True), outlier_detection)


def arranged(backends: Sequence[Backend], place: Place, preferred: Preference | None) -> tuple[Endpoint, ...]:
    """The endpoints with their localities, priorities and shares. A `distribute` leaves out what it does not name."""
    located = [
        replace(each.endpoint, locality=place.locality if each.locality is None else each.locality) for each in backends
    ]
    if preferred is None:
        return tuple(located)
    if preferred.setting.distribute:
        return _distributed(located, place, preferred.setting.distribute)
    if not preferred.failover:
        return tuple(located)
    priorities = [0] * len(located)
    if labels := preferred.setting.failover_priority:
        priorities = [_label_priority(each, place, labels) for each in backends]
    if not labels or preferred.setting.failover:
        priorities = [
            5 * priority + _distance(each.locality, place.locality, preferred.setting.failover)
            for priority, each in zip(priorities, located, strict=True)
        ]
    order = {priority: rank for rank, priority in enumerate(sorted(set(priorities)))}
    return tuple(
        replace(each, priority=order[priority]) if order[priority] else each
        for priority, each in zip(priorities, located, strict=True)
    )


def _distributed(
    endpoints: list[Endpoint], place: Place, settings: Iterable[istio.LocalityDistribute]
) -> tuple[Endpoint, ...]:
    """By the first setting for the gateway's locality; without one, all localities share as they are."""
    setting = next((one for one in settings if _covers(one.from_, place.locality)), None)
    if setting is None:
        return tuple(endpoints)
    groups: dict[Locality, int] = {}
    for each in endpoints:
        groups[each.locality] = groups.get(each.locality, 0) + each.weight
    shares: dict[Locality, int] = {}
    for pattern, weight in sorted(setting.to.items()):
        covered = [one for one in groups if one not in shares and _covers(pattern, one)]
        total = sum(groups[one] for one in covered)
        shares.update({one: math.ceil(groups[one] * weight / total) for one in covered})
    return tuple(replace(each, share=shares[each.locality]) for each in endpoints if shares.get(each.locality))


def _covers(pattern: str, locality: Locality) -> bool:
    """``*`` and an omitted part cover any value."""
    desired = parsed(pattern)
    return (
        desired.region in ("*", locality.region)
        and desired.zone in ("*", "", locality.zone)
        and desired.subzone in ("*", "", locality.subzone)
    )


def _distance(locality: Locality, own: Locality, failover: Iterable[istio.LocalityFailover]) -> int:
    if locality.region == own.region:
        if locality.zone == own.zone:
            return 0 if locality.subzone == own.subzone else 1
        return 2
    named = next((one for one in failover if one.from_ == own.region), None)
    return 4 if named and named.to != locality.region else 3


def _label_priority(backend: Backend, place: Place, labels: Sequence[str]) -> int:
    """0 if all labels agree with the gateway's, more the earlier the first one that differs. ``label=value`` compares
    with that value instead."""
    locality = place.locality if backend.locality is None else backend.locality
    node = place.node if backend.locality is None else backend.node
    mine = _labels(place.labels, place.locality, place.node)
    theirs = _labels(backend.labels or {}, locality, node)
    for index, label in enumerate(labels):
        name, given, value = label.partition("=")
        if (value if given else mine.get(name, "")) != theirs.get(name, ""):
            return len(labels) - index
    return 0


def _labels(own: Mapping[str, str], locality: Locality, node: str) -> dict[str, str]:
    """The labels that istiod compares: a Pod's, and where it runs."""
    return {**own, REGION: locality.region, ZONE: locality.zone, SUBZONE: locality.subzone, _HOSTNAME: node}
