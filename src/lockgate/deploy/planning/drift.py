"""How an account and a cluster differ from an edge's manifests, and what will fail soon: the rows of `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from lockgate.deploy.planning.objects import Action
from lockgate.deploy.planning.plan import Plan, is_ready
from lockgate.deploy.planning.steps import Annotate, Associate, CreateProvider, PutRole, RestartPods
from lockgate.dns.model import RecordSet
from lockgate.resources import cert_manager

_SOON: Final = timedelta(days=14)


class Verdict(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Row:
    part: str
    name: str
    verdict: Verdict
    detail: str


def urls(plan: Plan) -> list[str]:
    """One for each host that the edge serves: HTTPS where a load balancer listens for it."""
    listeners = [each for one in plan.edge.load_balancers for each in one.listeners]
    secure = any(each.protocol in ("HTTPS", "TLS") or each.port == 443 for each in listeners)
    hosts = plan.intent.planned.supply.hosts
    return [f"{'https' if secure else 'http'}://{host}/" for host in hosts if not host.startswith("*")]


def served(plan: Plan) -> list[str]:
    """Those of hosts that have records now."""
    there = {name.rstrip(".") for zone in plan.seen.zones for name, sets in zone.by_name.items() if _is_address(sets)}
    return [url for url in urls(plan) if {(host := url.split("/")[2]), f"*.{host.partition('.')[2]}"} & there]


def _is_address(sets: Sequence[RecordSet]) -> bool:
    return any(each.type in ("A", "AAAA", "CNAME") for each in sets)


def rows(plan: Plan, now: datetime) -> Iterator[Row]:
    yield from _objects(plan)
    yield from _identity(plan)
    yield from _certificates(plan, now)
    yield from _balancers(plan)
    yield from _records(plan)


def _objects(plan: Plan) -> Iterator[Row]:
    """One row for all that is as it should be, and one for each object that is not."""
    same = sum(each.action is Action.NONE for each in plan.objects)
    yield Row("objects", f"{len(plan.intent.documents)} in the manifests", Verdict.FINE, f"{same} as written")
    for change in plan.objects:
        match change.action:
            case Action.CREATE:
                yield Row("object", str(change.key), Verdict.DRIFT, "does not exist")
            case Action.UPDATE:
                paths = [".".join(map(str, each.path)) for each in change.fields]
                shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
                who = ", ".join(dict.fromkeys(manager for _, manager in change.conflicts))
                yield Row("object", str(change.key), Verdict.DRIFT, f"{shown} differ{f': {who}' if who else ''}")
            case Action.DELETE:
                yield Row("object", str(change.key), Verdict.DRIFT, "is not in the manifests")
            case Action.NONE:
                pass


def _identity(plan: Plan) -> Iterator[Row]:
    """What is missing of cert-manager's role."""
    for step in plan.todo:
        if isinstance(step.action, CreateProvider | PutRole | Associate | Annotate | RestartPods):
            yield Row("identity", "cert-manager", Verdict.DRIFT, f"to do: {step.title}")


def _certificates(plan: Plan, now: datetime) -> Iterator[Row]:
    for choice in plan.choices:
        name = ", ".join(choice.names)
        if choice.found is None:
            yield Row("certificate", f"acm {name}", Verdict.DRIFT, "the account has none")
        elif not choice.issued:
            yield Row("certificate", f"acm {name}", Verdict.DRIFT, choice.found.failure or choice.found.status)
        else:
            yield _expiring(f"acm {name}", choice.found.not_after, now, "issued")
    written = plan.intent.keys
    for resource in plan.seen.resources:
        if not isinstance(resource, cert_manager.Certificate) or resource.key not in written:
            continue
        name = f"{resource.namespace}/{resource.name}"
        if is_ready(resource):
            yield _expiring(name, resource.status.not_after or "", now, "ready")
        else:
            reasons = [each.message for each in resource.status.conditions if each.type == "Ready" and each.message]
            yield Row("certificate", name, Verdict.DRIFT, reasons[0] if reasons else "is not ready")


def _expiring(name: str, not_after: str, now: datetime, state: str) -> Row:
    try:
        end = datetime.fromisoformat(not_after)
    except ValueError:
        return Row("certificate", name, Verdict.FINE, state)
    left = end - now
    verdict = Verdict.DRIFT if left < timedelta() else Verdict.WARNING if left < _SOON else Verdict.FINE
    return Row("certificate", name, verdict, f"{state}, expires in {left.days} days")


def _balancers(plan: Plan) -> Iterator[Row]:
    for group in plan.seen.groups:
        balancer = group.stack.outer if group.stack else None
        name = balancer.name if balancer else str(group.group)
        if group.refused:
            yield Row("load balancer", name, Verdict.DRIFT, group.refused)
            continue
        if group.changes:
            more = f" and {len(group.changes) - 1} more" if len(group.changes) > 1 else ""
            yield Row("load balancer", name, Verdict.DRIFT, f"{group.changes[0]}{more}")
        for there in group.existing.load_balancers:
            found = next((each for each in plan.seen.balancers.all if each.arn == there.arn), None)
            targets = [
                target for arn in (found.target_groups if found else ()) for target in plan.seen.health.get(arn, ())
            ]
            healthy = sum(each.state == "healthy" for each in targets)
            state = plan.seen.states.get(there.arn, "unknown")
            detail = f"{state}, {healthy}/{len(targets)} targets healthy"
            sick = [each.reason for each in targets if each.state != "healthy" and each.reason]
            verdict = Verdict.FINE if state == "active" and healthy else Verdict.DRIFT
            if verdict is Verdict.FINE and sick:
                verdict = Verdict.WARNING
            yield Row("load balancer", there.name, verdict, f"{detail}{f': {sick[0]}' if sick else ''}")


def _records(plan: Plan) -> Iterator[Row]:
    hosts = set(plan.intent.planned.supply.hosts)
    open_ = {
        change.record_set.name.rstrip(".")
        for groups in plan.records.changes.values()
        for group in groups
        for change in group
        if change.record_set.type != "TXT"
    }
    for host in sorted(open_):
        yield Row("record", host, Verdict.DRIFT, "is not an alias of the load balancer")
    if fine := sorted(hosts - open_ - {endpoint.host for endpoint, _ in plan.records.left}):
        yield Row("records", ", ".join(fine), Verdict.FINE, "alias of the load balancer")
    for endpoint, why in plan.records.left:
        yield Row("record", endpoint.host, Verdict.DRIFT, why)
