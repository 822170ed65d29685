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
from lockgate.deploy.planning.identity import ANNOTATION, Bearer
from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.objects import rank
from lockgate.deploy.planning.releases import Installation, installed_by
from lockgate.deploy.planning.seen import OWNER_LABEL, Acm, GroupSeen, Seen
from lockgate.dns.model import Records, Zone
from lockgate.dns.plan import Change
from lockgate.dns.plan import plan as plan_records
from lockgate.ingress.stack import ServiceId, StackId
from lockgate.resources.model import ObjectKey

_KEPT: Final = frozenset({"Namespace", "CustomResourceDefinition"})


@dataclass(frozen=True, slots=True)
class Granted:
    """What the edge made in EKS and IAM: IDs of associations, the name of its role, the ARN of its OIDC provider."""

    associations: tuple[str, ...] = ()
    role: str = ""
    provider: str = ""
    kept: tuple[str, ...] = ()

    @property
    def named(self) -> list[tuple[str, str]]:
        both = (("IAM role", self.role), ("IAM OIDC provider", self.provider))
        return [(kind, name) for kind, name in both if name]


@dataclass(frozen=True, slots=True)
class Destruction:
    """Performed from the first field to the last. `kept` are sentences."""

    records: tuple[tuple[str, tuple[Change, ...]], ...]
    balanced: tuple[ObjectKey, ...]
    """Ingresses, and Services with a load balancer of their own."""
    load_balancers: tuple[str, ...]
    """The ARNs that must be gone once those are."""
    stacks: tuple[StackId, ...]
    """What the AWS Load Balancer Controller made for these has their tags."""
    objects: tuple[ObjectKey, ...]
    bearer: Bearer | None
    """The service account with the annotation of the edge's role."""
    releases: tuple[Installation, ...]
    certificates: tuple[Acm, ...]
    validations: tuple[tuple[str, tuple[Change, ...]], ...]
    granted: Granted
    zones: tuple[Zone, ...]
    kept: tuple[str, ...]

    @property
    def anything(self) -> bool:
        cluster = (self.balanced, self.objects, self.bearer, self.releases)
        account = (self.records, self.load_balancers, self.certificates, self.validations, self.zones)
        granted = (self.granted.associations, self.granted.role, self.granted.provider)
        return any((*cluster, *account, *granted))

    def lines(self) -> Iterator[str]:
        for _, changes in self.records:
            for change in changes:
                yield f"record {change.record_set.name.rstrip('.')} {change.record_set.type}"
        yield from map(str, self.balanced)
        yield from (f"load balancer {arn.rpartition('loadbalancer/')[2]}" for arn in self.load_balancers)
        yield from map(str, self.objects)
        yield from (f"Helm release {each.namespace}/{each.name}" for each in self.releases)
        yield from (f"annotation {ANNOTATION} of {each}" for each in (self.bearer,) if each)
        yield from (f"ACM certificate {each.arn} for {', '.join(each.names)}" for each in self.certificates)
        for _, changes in self.validations:
            yield from (f"record {change.record_set.name.rstrip('.')} CNAME" for change in changes)
        yield from (f"Pod Identity association {each}" for each in self.granted.associations)
        yield from (f"{kind} {name}" for kind, name in self.granted.named)
        yield from (f"hosted zone {each.name.rstrip('.')} ({each.id})" for each in self.zones)


def destruction(
    intent: Intent,
    seen: Seen,
    choices: Sequence[Choice],
    own_zones: Sequence[str],
    granted: Granted,
    bearer: Bearer | None,
    *,
    installed: bool,
) -> Destruction:
    """`own_zones` are the IDs of zones with the edge's tag. Certificates are marked as `ours` by theirs. `installed`
    means the Helm releases, too."""
    releases = installed_by(intent.name, seen.raw)
    left = [] if installed else releases
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
    groups = list(_groups(intent, ours, seen))
    zones = tuple(each for each in seen.zones if each.id in own_zones)
    return Destruction(
        records=tuple(_records(seen, edge)),
        balanced=balanced,
        load_balancers=tuple(each.arn for group in groups for each in group.existing.load_balancers),
        stacks=tuple(group.group for group in groups),
        objects=tuple(each for each in ordered if each not in balanced and each.kind not in _KEPT),
        bearer=bearer,
        releases=tuple(releases) if installed else (),
        certificates=certificates,
        validations=tuple(_validations(seen, certificates)),
        granted=granted,
        zones=zones,
        kept=(
            *_kept(intent, seen, choices, ours),
            *(f"Helm release {each.namespace}/{each.name} stays without --installed" for each in left),
            *granted.kept,
        ),
    )


def _label(raw: dict[str, object]) -> str:
    metadata = raw.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return str((labels or {}).get(OWNER_LABEL, ""))


def _records(seen: Seen, edge: str) -> Iterator[tuple[str, tuple[Change, ...]]]:
    for zone, groups in plan_records((), seen.zones, owner(edge)).changes.items():
        yield zone, tuple(change for group in groups for change in group)


def _groups(intent: Intent, ours: Sequence[ObjectKey], seen: Seen) -> Iterator[GroupSeen]:
    """Those whose members are all the edge's, or gone: another member keeps its load balancer."""
    keys = {*ours, *(each for each in intent.keys if each not in seen.raw)}
    for group in seen.groups:
        members = group.stack.members if group.stack else ()
        kind = ("", "Service") if isinstance(group.group, ServiceId) else ("networking.k8s.io", "Ingress")
        names = members or ((group.group.namespace, group.group.name),)
        if all(ObjectKey(*kind, *name) in keys for name in names):
            yield group


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
