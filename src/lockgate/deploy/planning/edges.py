"""The edge that is there, and the edge that the manifests lead to: two values that `trace.difference` compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lockgate.deploy.planning.certificates import Choice
from lockgate.deploy.planning.intent import Intent, labelled
from lockgate.deploy.planning.objects import pruned
from lockgate.deploy.planning.seen import Seen
from lockgate.dns.model import RecordSet, Zone
from lockgate.dns.plan import Plan as RecordPlan
from lockgate.dns.plan import plan as plan_records
from lockgate.edge.edge import Certificate, Edge
from lockgate.edge.endpoints import endpoints
from lockgate.edge.from_manifests import from_plan, stacks_of, with_host_names
from lockgate.edge.from_state import from_state
from lockgate.edge.location import Place
from lockgate.edge.objects import Objects
from lockgate.edge.plan import Plan
from lockgate.edge.supply import AcmCertificate, Supply
from lockgate.edge.supply import Zone as NamedZone
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource, kinds


def overlaid(intent: Intent, seen: Seen, arns: Mapping[str, str], installed: Iterable[Resource] = ()) -> Objects:
    """The cluster's objects as they are once the manifests are applied: as the dry run says, where there was one.
    `installed` are those that Helm will have created by then."""
    found: dict[object, Resource] = {each.key: each for each in (*installed, *seen.resources)}
    for key in pruned(intent, seen):
        found.pop(key, None)
    for document in intent.documents:
        model = kinds().get((document.key.group, document.key.kind))
        if model is None:
            continue
        dry_run, before = seen.dry_runs.get(document.key), found.get(document.key)
        if dry_run is not None and dry_run.result is not None:
            made = model.model_validate(dry_run.result)
        else:
            made = model.model_validate(labelled(document.manifest, intent.name, dict(arns)))
            if before is not None and hasattr(before, "status"):
                made = made.model_copy(update={"status": before.status})
        found[document.key] = made
    return Objects(found.values())


def before(seen: Seen) -> Edge:
    return from_state(seen.resources, seen.zones, seen.balancers.all, _certificates(seen))


def after(intent: Intent, seen: Seen, choices: Sequence[Choice], objects: Objects) -> Edge:
    """`objects` are those of `overlaid`. Load balancers that exist keep their DNS names; a new one gets a name that
    nobody knows yet."""
    asked = [AcmCertificate(each.arn or each.reference, each.names, "") for each in choices]
    had = [AcmCertificate(each.arn, each.names, "") for each in seen.certificates if each.status == "ISSUED"]
    supply = Supply(
        Place(seen.place.account, seen.place.region),
        hosts=intent.planned.supply.hosts,
        zones=tuple(NamedZone(each.name.rstrip("."), each.id, "") for each in seen.zones),
        certificates=tuple({each.arn: each for each in (*had, *asked)}.values()),
    )
    made = from_plan(
        Plan(
            manifests=intent.planned.manifests,
            objects=objects,
            resources=tuple(objects),
            documents=intent.planned.documents,
            supply=supply,
            supplied=frozenset(),
            given=objects,
            memo=Memo(),
        )
    )
    names = {(type(each), each.name): each.dns_name for each in seen.balancers.all}
    balancers = tuple(
        replace(each, dns_name=names.get((type(each), each.name), each.dns_name)) for each in made.load_balancers
    )
    ours = {(type(each), each.name) for each in balancers}
    deleted = {each.arn for group in seen.groups for each in group.deleted}
    others = tuple(
        each for each in seen.balancers.all if (type(each), each.name) not in ours and each.arn not in deleted
    )
    return replace(
        made,
        load_balancers=(*balancers, *others),
        zones=_zones(intent, seen, objects, balancers, made),
    )


def _zones(
    intent: Intent, seen: Seen, objects: Objects, balancers: Sequence[AnyLoadBalancer], made: Edge
) -> tuple[Zone, ...]:
    """The account's zones with the records that will be written, and those of zones that will be created."""
    zones = [*seen.zones, *missing_zones(intent, seen)]
    planned = records(with_statuses(objects, made, balancers), zones, intent.name)
    return tuple(_changed(zone, planned) for zone in zones)


def missing_zones(intent: Intent, seen: Seen) -> list[Zone]:
    """Zones of the manifests that the account does not have, with their name for an ID."""
    there = {each.name for each in seen.zones}
    return [
        Zone(each.name, f"{each.name}.", ()) for each in intent.planned.supply.zones if f"{each.name}." not in there
    ]


def _changed(zone: Zone, planned: RecordPlan) -> Zone:
    sets: dict[tuple[str, str, str], RecordSet] = {each.key: each for each in zone.record_sets}
    for group in planned.changes.get(zone.id, ()):
        for change in group:
            if change.action == "DELETE":
                sets.pop(change.record_set.key, None)
            else:
                sets[change.record_set.key] = change.record_set
    return replace(zone, record_sets=tuple(sets.values()))


def records(objects: Objects, zones: Sequence[Zone], edge: str) -> RecordPlan:
    """The changes after which each host of the edge is an alias of its load balancer. Their TXT records name the
    owner, in external-dns' format."""
    return plan_records(endpoints(objects), zones, owner(edge))


def owner(edge: str) -> str:
    return f"lockgate-{edge}"


def with_statuses(objects: Objects, made: Edge, balancers: Sequence[AnyLoadBalancer]) -> Objects:
    """The objects with the names that the controller will write into the status of Ingresses and Services."""
    return with_host_names(objects, stacks_of(made), balancers, Memo())


def _certificates(seen: Seen) -> dict[str, Certificate]:
    return {each.arn: Certificate(each.names, "ACM") for each in seen.certificates if each.status == "ISSUED"}
