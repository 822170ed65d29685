"""The whole plan as one value: what is to do, what it changes, what it costs, and what prevents it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lockgate.check.findings import Finding
from lockgate.check.outcome import outcome
from lockgate.deploy.planning import cost, edges, iam, limits, problems, releases, versions
from lockgate.deploy.planning.certificates import Choice, choose
from lockgate.deploy.planning.deletions import RecordKey, deletions
from lockgate.deploy.planning.granting import granting
from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.objects import Action, ObjectChange, object_changes
from lockgate.deploy.planning.problems import Problem
from lockgate.deploy.planning.releases import Release
from lockgate.deploy.planning.seen import Seen
from lockgate.deploy.planning.shifting import ObjectShift, RecordShift, abrupt, object_shifts, record_shift
from lockgate.deploy.planning.steps import Inputs, Readiness, State, Step, steps
from lockgate.dns.model import Records
from lockgate.dns.plan import Plan as RecordPlan
from lockgate.edge.edge import Edge
from lockgate.edge.endpoints import endpoints
from lockgate.edge.objects import Objects
from lockgate.edge.supply import Supply, supply
from lockgate.ingress.flags import controller
from lockgate.ingress.manifests import DEFAULTS
from lockgate.ingress.stack import ServiceId
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, networking, workloads
from lockgate.resources.codes import objects as codes
from lockgate.resources.model import ObjectKey, Resource
from lockgate.trace.difference import Difference, difference

HASHED: Final = re.compile(r"k8s-[\w-]*-[0-9a-f]{10}")  # not one that an annotation gives


# What `lockgate up` does not do, and a cluster does.
_OF_THIS_MACHINE: Final = frozenset(
    each.id
    for each in (
        codes.OBJECT_WITHOUT_EFFECT,
        codes.FIELD_WITHOUT_EFFECT,
        codes.CONTAINERS_NOT_RUN,
        codes.NOT_ENFORCED,
    )
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options that decide what a plan does. `identity` is ``pod-identity``, ``irsa``, the ARN of a role, or "".
    `progressive` are the shares of the new side in percent, the last of them 100; `pause` is how long each is kept, in
    seconds. `charts` are places of charts by their names, in place of their repositories.
    """

    install: bool = False
    identity: str = ""
    force_conflicts: bool = False
    adopt: bool = False
    progressive: tuple[int, ...] = ()
    pause: float = 0.0
    charts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run makes its repr in vain
class Plan:
    """`problems` prevent `apply`. `misfits` and `warnings` do not."""

    intent: Intent
    seen: Seen
    steps: tuple[Step, ...]
    objects: tuple[ObjectChange, ...]
    choices: tuple[Choice, ...]
    records: RecordPlan
    deletions: Mapping[RecordKey, str]
    """The reason for each record that is deleted."""
    requests: Difference
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    misfits: tuple[str, ...]
    costs: tuple[cost.Cost, ...]
    saved: tuple[cost.Cost, ...]
    """What the load balancers that are deleted cost until now."""
    quotas: tuple[limits.Quota, ...]
    needs: iam.Needs
    edge: Edge
    releases: tuple[Release, ...] = ()
    abrupt: tuple[str, ...] = ()
    """What `--progressive` cannot shift."""

    @property
    def todo(self) -> tuple[Step, ...]:
        return tuple(each for each in self.steps if each.state is State.TODO)

    @property
    def unknown_names(self) -> frozenset[str]:
        """Names of AWS resources that hash the UID of a Service that is still to be created."""
        new = {each.key for each in self.objects if each.action is Action.CREATE}
        found = set()
        for stack in (group.stack for group in self.seen.groups if group.stack is not None):
            found |= {
                each.name for each in stack.bindings if ObjectKey("", "Service", each.namespace, each.service) in new
            }
            if isinstance(stack.id, ServiceId) and ObjectKey("", "Service", stack.id.namespace, stack.id.name) in new:
                found |= {each.name for each in (stack.network, stack.security_group) if each is not None}
        return frozenset(each for each in found if HASHED.fullmatch(each))

    @property
    def changes(self) -> bool:
        """Whether `apply` would write anything, or the controller has still to."""
        return bool(self.todo) or any(group.changes for group in self.seen.groups)


def decide(intent: Intent, seen: Seen, wishes: Wishes) -> Plan:
    choices = chosen(intent, seen)
    arns = {each.reference: each.arn for each in choices if each.found}
    objects = object_changes(intent, seen, arns)
    overlay = edges.overlaid(intent, seen, arns)
    lacking = _lacking(overlay, intent, seen)
    if wishes.install:
        overlay = edges.overlaid(intent, seen, arns, _installed(intent, lacking))
    before, after = edges.before(seen), edges.after(intent, seen, choices, overlay)
    there = versions.installed(overlay.all(workloads.Deployment))
    role = granting(intent, seen, list(overlay.all(workloads.Deployment)), wishes.identity)
    wanted = frozenset(_needed(intent))
    new_zones = [each.name.rstrip(".") for each in edges.missing_zones(intent, seen)]
    zones = [*seen.zones, *edges.missing_zones(intent, seen)]
    published = edges.with_statuses(overlay, after, after.load_balancers)
    records = edges.records(published, zones, intent.name)
    locate = intent.planned.manifests.positions()
    findings = outcome(after, intent.planned.manifests).findings
    gateways = [
        f"{namespace}/{each.manifest['metadata']['name']}"
        for each in lacking.objects
        if each.manifest["kind"] == "Service" and _is_gateway(each.manifest)
        for namespace in (each.manifest["metadata"]["namespace"],)
    ]
    missing = releases.missing(
        there,
        gateways,
        [each.manifest for each in intent.operators],
        cluster=seen.place.cluster,
        region=seen.place.region,
        vpc_id=seen.place.vpc_id,
        needed=wanted,
        cert_manager_values=role.values,
    )
    helm = tuple(
        replace(each, place=wishes.charts.get(each.chart.partition("/")[2], ""))
        for each in (missing if wishes.install else ())
    )
    shifts: tuple[ObjectShift, ...] = ()
    moved: RecordShift | None = None
    if wishes.progressive:
        shifts = tuple(object_shifts(objects, seen.raw))
        hosts = frozenset(
            change.record_set.name
            for groups in records.changes.values()
            for group in groups
            for change in group
            if change.record_set.type == "A"
        )
        balancers = frozenset(each.dns_name.lower() for each in seen.balancers.all)
        moved = record_shift(endpoints(published), hosts, zones, balancers)
    stacks = [group.stack for group in seen.groups if group.stack is not None]
    names = [each.name for each in seen.balancers.all]
    quotas = tuple(limits.used(stacks, names, seen.counts, seen.limits))
    counted = [each for each in findings if each.position is not None and each.code not in _OF_THIS_MACHINE]
    found = (
        *problems.of_manifests(intent, counted, locate),
        *problems.of_cluster(
            there,
            wanted,
            list(_taken_for_granted(lacking, seen, wishes)),
            install=wishes.install,
            has_releases=bool(helm),
        ),
        *problems.of_account(seen, intent, choices, records),
        *problems.of_objects(objects, locate, force=wishes.force_conflicts, adopt=wishes.adopt),
        *problems.of_quotas(quotas),
        *role.problems,
        *(problems.of_shifts(shifts, intent, _replaced(intent, seen, after)) if wishes.progressive else ()),
    )
    return Plan(
        intent,
        seen,
        steps(
            Inputs(
                choices,
                objects,
                new_zones,
                namespaces=_namespaces(lacking, seen),
                releases=helm,
                identity=role.before,
                binding=role.after,
                validated=frozenset(each.reference for each in choices if _is_validated(each, seen)),
                readiness=_readiness(intent, seen, overlay, _balanced(intent, seen, after)),
                records=[
                    (zone.name, zone.id, tuple(change for group in records.changes[zone.id] for change in group))
                    for zone in zones
                    if zone.id in records.changes
                ],
                records_known=_are_known(after, seen),
                shifts=shifts,
                record_shift=moved,
                percent=wishes.progressive,
                waited_certificates=_keys(intent, cm.Certificate),
                waited_ingresses=_balanced(intent, seen, after),
            )
        ),
        objects,
        choices,
        records,
        deletions(records, published),
        difference(before, after),
        tuple(counted),
        found,
        tuple(versions.misfits(there, seen.place.version)),
        tuple(cost.costs(stacks, new_zones)),
        tuple(cost.saved(seen.groups)),
        quotas,
        _needs(intent, seen, choices, new_zones, wishes),
        after,
        helm,
        tuple(abrupt(objects, shifts)) if wishes.progressive else (),
    )


def chosen(intent: Intent, seen: Seen) -> tuple[Choice, ...]:
    return tuple(choose(each.arn, each.names, seen.certificates) for each in intent.planned.supply.certificates)


def _lacking(overlay: Objects, intent: Intent, seen: Seen) -> Supply:
    """What neither the manifests nor the cluster have."""
    place = intent.planned.supply.place
    flags = controller(overlay.all(workloads.Deployment), DEFAULTS).settings
    from lockgate.edge.options import Options

    given = overlay.adding(each.resource for each in intent.operators if each.resource is not None)
    return supply(given, Options(()), place, flags, secret_access_key="")


def _taken_for_granted(lacking: Supply, seen: Seen, wishes: Wishes) -> Iterator[str]:
    for each in lacking.objects:
        manifest = each.manifest
        kind, metadata = manifest["kind"], manifest["metadata"]
        key = ObjectKey(
            manifest["apiVersion"].rpartition("/")[0], kind, metadata.get("namespace", ""), metadata["name"]
        )
        if key in seen.raw or kind in ("Namespace", "IngressClass"):
            continue
        if kind == "Secret" and wishes.identity:
            continue
        yield f"the cluster has no {key}, which the manifests refer to"
    for pair in lacking.key_pairs:
        if ObjectKey("", "Secret", pair.namespace, pair.name) not in seen.raw:
            yield f"the cluster has no Secret {pair.namespace}/{pair.name}, which the manifests refer to"


def _installed(intent: Intent, lacking: Supply) -> Iterator[Resource]:
    """The gateways that Helm installs, as their Services and the IstioOperators that describe them."""
    yield from (each.resource for each in intent.operators if each.resource is not None)
    for each in lacking.objects:
        if each.manifest["kind"] == "Service" and _is_gateway(each.manifest):
            yield core.Service.model_validate(each.manifest)
    documents = intent.planned.documents
    yield from (each for each in intent.planned.given.all(core.Service) if each.key not in documents)


def _is_gateway(manifest: Mapping[str, object]) -> bool:
    spec = manifest.get("spec")
    return isinstance(spec, dict) and "istio" in (spec.get("selector") or {})


def _needed(intent: Intent) -> Iterator[str]:
    """The controllers without which the manifests do nothing."""
    kinds = {each.key.kind for each in intent.documents if each.key.group or each.key.kind == "Service"}
    for each in versions.CONTROLLERS:
        if each.needed_for in kinds:
            yield each.name


def _namespaces(lacking: Supply, seen: Seen) -> list[str]:
    names = [each.manifest["metadata"]["name"] for each in lacking.objects if each.manifest["kind"] == "Namespace"]
    return [name for name in names if ObjectKey("", "Namespace", "", name) not in seen.raw]


def _is_validated(choice: Choice, seen: Seen) -> bool:
    """Whether the account's zones have the records that ACM waits for."""
    if choice.found is None or not choice.found.records:
        return False
    values = {
        (each.name.rstrip("."), value.rstrip("."))
        for zone in seen.zones
        for each in zone.record_sets
        if each.type == "CNAME" and isinstance(each.data, Records)
        for value in each.data.values
    }
    return all((name.rstrip("."), value.rstrip(".")) in values for name, value in choice.found.records)


def _balanced(intent: Intent, seen: Seen, after: Edge) -> list[ObjectKey]:
    """The Ingresses and Services that get a load balancer."""
    services = {group.group for group in seen.groups if group.stack is not None and group.stack.network is not None}
    return [
        *(key for key in _keys(intent, networking.Ingress) if _is_member(key, after)),
        *(key for key in _keys(intent, core.Service) if ServiceId(key.namespace, key.name) in services),
    ]


def _readiness(intent: Intent, seen: Seen, overlay: Objects, balanced: Sequence[ObjectKey]) -> Readiness:
    balancers = {each.dns_name.lower(): each for each in seen.balancers.all}
    certificates, made, healthy = set(), set(), set()
    for key in _keys(intent, cm.Certificate):
        if (found := overlay.get(cm.Certificate, key.namespace, key.name)) is not None and is_ready(found):
            certificates.add(key)
    for key in balanced:
        front: networking.Ingress | core.Service | None
        if key.kind == "Ingress":
            front = overlay.get(networking.Ingress, key.namespace, key.name)
        else:
            front = overlay.get(core.Service, key.namespace, key.name)
        published = front.status.load_balancer.ingress if front else ()
        names = [each.hostname for each in published if each.hostname]
        found_balancers = [balancers[name.lower()] for name in names if name.lower() in balancers]
        if not found_balancers or any(seen.states.get(each.arn) != "active" for each in found_balancers):
            continue
        made.add(key)
        if all(map(_serves, (seen.health.get(arn, ()) for each in found_balancers for arn in each.target_groups))):
            healthy.add(key)
    return Readiness(frozenset(certificates), frozenset(made), frozenset(healthy))


def is_ready(certificate: cm.Certificate) -> bool:
    """Whether it is issued as it is now, and not as it was before an edit."""
    for condition in certificate.status.conditions:
        if condition.type == "Ready":
            current = condition.observed_generation in (None, 0, certificate.metadata.generation)
            return condition.status == "True" and current
    return False


def _serves(targets: Sequence[object]) -> bool:
    states = [getattr(each, "state", "") for each in targets]
    return "healthy" in states and "initial" not in states


def _replaced(intent: Intent, seen: Seen, after: Edge) -> list[ObjectKey]:
    """Ingresses whose load balancer the controller replaces, so that the old one goes before records can shift."""
    had = {each.dns_name.lower(): each.name for each in seen.balancers.all}
    found = []
    for key in _keys(intent, networking.Ingress):
        status = ((seen.raw.get(key) or {}).get("status") or {}).get("loadBalancer") or {}
        names = {had.get(str(each.get("hostname", "")).lower()) for each in status.get("ingress") or ()} - {None}
        will = {name for name, members in after.members.items() if (key.namespace, key.name) in members}
        if names and will and not names & will:
            found.append(key)
    return found


def _are_known(after: Edge, seen: Seen) -> bool:
    names = {each.dns_name for each in seen.balancers.all}
    return all(each.dns_name in names for each in after.load_balancers)


def _is_member(key: ObjectKey, after: Edge) -> bool:
    return any((key.namespace, key.name) in members for members in after.members.values())


def _keys(intent: Intent, kind: type[Resource]) -> list[ObjectKey]:
    return [each.key for each in intent.documents if isinstance(each.resource, kind)]


def _needs(
    intent: Intent, seen: Seen, choices: Sequence[Choice], new_zones: Sequence[str], wishes: Wishes
) -> iam.Needs:
    return iam.Needs(
        seen.place.account,
        seen.place.region,
        intent.name,
        seen.place.cluster,
        zones=tuple(each.id for each in seen.zones),
        names=tuple(name for choice in choices for name in choice.names),
        new_zones=tuple(new_zones),
        reads=tuple(sorted({action for group in seen.groups for action in group.reads})),
        identity=wishes.identity,
    )
