"""What `destroy` deletes, in the order that leaves nothing behind; and what stays, each with the reason.

An edge owns the objects with its label, the certificates and zones with its tag, and the records beside which its TXT
record is. The load balancer goes with its Ingress: the AWS Load Balancer Controller deletes it, so the controller must
run, and the Ingress's finalizer says when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.deploy.planning.certificates import Choice
from lockgate.deploy.planning.edges import owner
from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.objects import rank
from lockgate.deploy.planning.seen import OWNER_LABEL, Acm, Seen
from lockgate.dns.model import Records, Zone
from lockgate.dns.plan import Change
from lockgate.dns.plan import plan as plan_records
from lockgate.ingress.stack import ServiceId
from lockgate.resources.model import ObjectKey

_KEPT: Final = frozenset({"Namespace", "CustomResourceDefinition"})


@dataclass(frozen=True, slots=True)
class Destruction:
    """Performed from the first field to the last. `kept` are sentences."""

    records: tuple[tuple[str, tuple[Change, ...]], ...]
    balanced: tuple[ObjectKey, ...]
    """Ingresses, and Services with a load balancer of their own."""
    load_balancers: tuple[str, ...]
    """The ARNs that must be gone once those are."""
    objects: tuple[ObjectKey, ...]
    certificates: tuple[Acm, ...]
    validations: tuple[tuple[str, tuple[Change, ...]], ...]
    zones: tuple[Zone, ...]
    kept: tuple[str, ...]

    @property
    def anything(self) -> bool:
        parts = (self.records, self.balanced, self.objects, self.certificates, self.validations, self.zones)
        return any(parts)

    def lines(self) -> Iterator[str]:
        for _, changes in self.records:
            for change in changes:
                yield f"record {change.record_set.name.rstrip('.')} {change.record_set.type}"
        yield from map(str, self.balanced)
        yield from (f"load balancer {arn.rpartition('loadbalancer/')[2]}" for arn in self.load_balancers)
        yield from map(str, self.objects)
        yield from (f"ACM certificate {each.arn} for {', '.join(each.names)}" for each in self.certificates)
        for _, changes in self.validations:
            yield from (f"record {change.record_set.name.rstrip('.')} CNAME" for change in changes)
        yield from (f"hosted zone {each.name.rstrip('.')} ({each.id})" for each in self.zones)


def destruction(intent: Intent, seen: Seen, choices: Sequence[Choice], own_zones: Sequence[str]) -> Destruction:
    """`own_zones` are the IDs of zones with the edge's tag. Certificates are marked as `ours` by theirs."""
    edge = intent.name
    ours = [key for key, raw in seen.raw.items() if _label(raw) == edge]
    ordered = sorted(ours, key=rank, reverse=True)
    services = {
        ObjectKey("", "Service", each.group.namespace, each.group.name)
        for each in seen.groups
        if isinstance(each.group, ServiceId)
    }
    balanced = tuple(each for each in ordered if each.kind == "Ingress" or each in services)
    chosen = dict.fromkeys(each.found for each in choices if each.found is not None)
    certificates = tuple(each for each in chosen if each.ours)
    zones = tuple(each for each in seen.zones if each.id in own_zones)
    return Destruction(
        records=tuple(_records(seen, edge)),
        balanced=balanced,
        load_balancers=tuple(_load_balancers(ours, seen)),
        objects=tuple(each for each in ordered if each not in balanced and each.kind not in _KEPT),
        certificates=certificates,
        validations=tuple(_validations(seen, certificates)),
        zones=zones,
        kept=tuple(_kept(intent, seen, choices, ours)),
    )


def _label(raw: dict[str, object]) -> str:
    metadata = raw.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return str((labels or {}).get(OWNER_LABEL, ""))


def _records(seen: Seen, edge: str) -> Iterator[tuple[str, tuple[Change, ...]]]:
    for zone, groups in plan_records((), seen.zones, owner(edge)).changes.items():
        yield zone, tuple(change for group in groups for change in group)


def _load_balancers(ours: Sequence[ObjectKey], seen: Seen) -> Iterator[str]:
    """Those of groups whose members are all the edge's: another member keeps its load balancer."""
    keys = set(ours)
    for group in seen.groups:
        members = group.stack.members if group.stack else ()
        kind = ("", "Service") if isinstance(group.group, ServiceId) else ("networking.k8s.io", "Ingress")
        names = members or ((group.group.namespace, group.group.name),)
        if all(ObjectKey(*kind, *name) in keys for name in names):
            yield from (balancer.arn for balancer in group.existing.load_balancers)


def _validations(seen: Seen, certificates: Sequence[Acm]) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """The records that validate only what is deleted. Other certificates of a name are renewed by the same record."""
    gone = {each.arn for each in certificates}
    still = {name.removeprefix("*.") for each in seen.certificates if each.arn not in gone for name in each.names}
    asked = {
        (name.rstrip(".").lower(), value.rstrip(".").lower())
        for each in certificates
        for name, value in each.records
        if name.partition(".")[2].rstrip(".") not in still
    }
    for zone in seen.zones:
        found = tuple(
            Change("DELETE", each)
            for each in zone.record_sets
            if each.type == "CNAME"
            and isinstance(each.data, Records)
            and any((each.name.rstrip("."), value.rstrip(".").lower()) in asked for value in each.data.values)
        )
        if found:
            yield zone.id, found


def _kept(intent: Intent, seen: Seen, choices: Sequence[Choice], ours: Sequence[ObjectKey]) -> Iterator[str]:
    for key in ours:
        if key.kind in _KEPT:
            yield f"{key} stays: it may hold objects of others"
        if key.kind == "Certificate":
            yield f"the Secret of {key} stays: cert-manager keeps issued certificates"
    for document in intent.documents:
        if document.key in seen.raw and document.key not in ours:
            yield f"{document.key} stays: it is not this edge's"
    for choice in choices:
        if choice.found is not None and not choice.found.ours:
            yield f"ACM certificate {choice.found.arn} stays: it has no tag of this edge"
