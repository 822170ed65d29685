"""What prevents an edge from being applied: each problem with its place, if it has one, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate.check.findings import Finding
from lockgate.deploy.planning.certificates import Choice
from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.limits import Quota
from lockgate.deploy.planning.objects import ObjectChange
from lockgate.deploy.planning.seen import Seen
from lockgate.deploy.planning.shifting import ObjectShift
from lockgate.deploy.planning.versions import CONTROLLERS, Installed
from lockgate.dns.plan import Plan as RecordPlan
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Locate, Severity
from lockgate.resources.model import ObjectKey


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is ``file:line:column``, or ""."""

    text: str
    fix: str = ""
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.text}{f' — {self.fix}' if self.fix else ''}"


def of_manifests(intent: Intent, findings: Sequence[Finding], locate: Locate) -> Iterator[Problem]:
    """Errors of the files, placeholders that nobody has replaced, and what `check` calls an error."""
    shown = set()
    for fault in intent.blocking:
        found = diagnose(fault, locate)
        shown.add((found.code, str(found.position)))
        yield Problem(f"{found.message} [{found.code}]", found.fix or "", str(found.position or ""))
    for finding in findings:
        if finding.severity is Severity.ERROR and (finding.code, str(finding.position)) not in shown:
            found = finding.diagnostic
            yield Problem(f"{found.message} [{found.code}]", found.fix or "", str(found.position))


def of_objects(changes: Sequence[ObjectChange], locate: Locate, *, force: bool, adopt: bool) -> Iterator[Problem]:
    for change in changes:
        where = str(locate(change.origin) or "")
        if change.foreign and not adopt:
            yield Problem(
                f"{change.key} exists, and {change.foreign} made it",
                "take it over with `lockgate adopt`, or remove it from the manifests",
                where,
            )
        elif change.refused:
            yield Problem(f"the API server refuses {change.key}: {change.refused}", "", where)
        elif change.conflicts and not (force or adopt):
            fields = ", ".join(f"{field} ({manager})" for field, manager in change.conflicts)
            yield Problem(
                f"{change.key}: other field managers own {fields}",
                "remove the fields from the manifest, or take them with --force-conflicts",
                where,
            )


def of_account(seen: Seen, intent: Intent, choices: Sequence[Choice], records: RecordPlan) -> Iterator[Problem]:
    ids = {each.id for each in seen.zones}
    for zone in intent.planned.supply.zones:
        if zone.zone_id and zone.zone_id not in ids:
            yield Problem(
                f"the account {seen.place.account} has no hosted zone {zone.zone_id}, which an issuer names for "
                f"{zone.name}",
                "correct hostedZoneID, or use the credentials of the account that has it",
            )
    for choice in choices:
        if choice.found is not None and choice.found.failure:
            yield Problem(f"ACM has failed {choice.arn}: {choice.found.failure}", "delete it, and apply again")
    for endpoint, why in records.left:
        yield Problem(
            f"{endpoint.host} gets no record: {why}", "remove that record, or take it over with `lockgate adopt`"
        )
    for group in seen.groups:
        if group.refused:
            yield Problem(f"the AWS Load Balancer Controller builds nothing for {group.group}: {group.refused}")


def of_cluster(
    found: Mapping[str, Installed],
    needed: frozenset[str],
    missing: Sequence[str],
    *,
    install: bool,
    has_releases: bool,
) -> Iterator[Problem]:
    """`missing` are sentences about other objects that the manifests take for granted."""
    if not install:
        for controller in CONTROLLERS:
            if controller.name in needed and controller.name not in found:
                yield Problem(f"the cluster has no {controller.name}", "install it, or let --install do it with Helm")
    for there in found.values():
        if there.controller.name in needed and not there.available:
            name = f"{there.namespace}/{there.name}"
            yield Problem(
                f"{there.controller.name} does not run: no Pod of Deployment {name} is available",
                f"kubectl describe deployment -n {there.namespace} {there.name}",
            )
    if not (install and has_releases):
        yield from (Problem(text) for text in missing)


def of_shifts(shifts: Sequence[ObjectShift], intent: Intent, replaced: Sequence[ObjectKey]) -> Iterator[Problem]:
    """`replaced` are Ingresses whose load balancer is replaced."""
    for key in replaced:
        yield Problem(
            f"--progressive cannot shift requests to the new load balancer of {key}: the controller deletes the old "
            "one as soon as the Ingress asks for another",
            "give the Ingress another name, so that both exist, or apply without --progressive",
        )
    subsets = {
        str(each.manifest["spec"].get("host")): {one.get("name") for one in each.manifest["spec"].get("subsets") or ()}
        for each in intent.documents
        if each.key.kind == "DestinationRule"
    }
    for shift in shifts:
        for split in shift.splits if shift.key.kind == "VirtualService" else ():
            old = split.old[0].get("destination") or {}
            if old.get("subset") and old["subset"] not in subsets.get(str(old.get("host")), {old["subset"]}):
                yield Problem(
                    f"the DestinationRule of {old['host']} has no subset {old['subset']} anymore, from which "
                    f"{shift.key} shifts requests",
                    "keep the subset until the shift is done",
                )


def of_quotas(quotas: Sequence[Quota]) -> Iterator[Problem]:
    for quota in quotas:
        if quota.exceeded:
            yield Problem(
                f"{quota.used} {quota.name} exceed the quota of {quota.limit}", "request an increase in Service Quotas"
            )
