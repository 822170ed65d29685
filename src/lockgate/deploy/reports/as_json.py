"""A plan as data. `format` changes with the meaning of a field; new fields may come at any time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from lockgate.deploy.planning import iam
from lockgate.deploy.planning.objects import Action, ObjectChange
from lockgate.deploy.planning.plan import Plan
from lockgate.deploy.planning.steps import Step, minutes
from lockgate.ingress.changes.change import as_json as change_as_json
from lockgate.resources.faults import Locate
from lockgate.trace.difference.text import as_json as difference_as_json

FORMAT: Final = "1.0"


def as_json(plan: Plan) -> dict[str, Any]:
    locate = plan.intent.planned.manifests.positions()
    low, high = minutes(plan.steps)
    return {
        "format": FORMAT,
        "edge": plan.intent.name,
        "account": plan.seen.place.account,
        "region": plan.seen.place.region,
        "caller": plan.seen.place.caller,
        "cluster": {
            "name": plan.seen.place.cluster,
            "context": plan.seen.place.context,
            "server": plan.seen.place.server,
            "version": plan.seen.place.version,
        },
        "changes": plan.changes,
        "minutes": [low, high],
        "steps": [_step(each) for each in plan.steps],
        "objects": [_object(each, locate) for each in plan.objects],
        "certificates": [
            {"reference": each.reference, "names": list(each.names), "arn": each.arn or None, "issued": each.issued}
            for each in plan.choices
        ],
        "records": [
            {
                "zone": zone,
                "action": change.action,
                "name": change.record_set.name,
                "type": change.record_set.type,
                "data": asdict(change.record_set.data),
                "reason": plan.deletions.get(change.record_set.key, ""),
            }
            for zone, groups in plan.records.changes.items()
            for group in groups
            for change in group
        ],
        "loadBalancers": [
            {"group": str(group.group), "changes": [change_as_json(each, locate) for each in group.changes]}
            for group in plan.seen.groups
        ],
        "unknownNames": sorted(plan.unknown_names),
        "requests": difference_as_json(plan.requests, lambda origin: None, locate),
        "findings": [each.diagnostic.as_json() for each in plan.findings],
        "problems": [asdict(each) for each in plan.problems],
        "misfits": list(plan.misfits),
        "unread": [asdict(each) for each in plan.seen.unread],
        "cost": {
            "dollarsAMonth": round(sum(each.dollars for each in plan.costs), 2),
            "items": [asdict(each) for each in plan.costs],
            "saved": [asdict(each) for each in plan.saved],
        },
        "quotas": [{**asdict(each), "near": each.near} for each in plan.quotas],
        "releases": [asdict(each) for each in plan.releases],
        "iam": {
            "plan": iam.policy(plan.needs, write=False),
            "apply": iam.policy(plan.needs),
            "destroy": iam.policy(plan.needs, destroy=True),
        },
        "rbac": role(plan),
    }


def role(plan: Plan) -> dict[str, Any]:
    """The ClusterRole for `apply`."""
    from lockgate.deploy.observing import READ, plural_of

    written = [
        (each.key.group, plural)
        for each in plan.objects
        if (plural := plural_of(each.key, plan.seen.served)) is not None
    ]
    binding = [("apps", "deployments"), ("", "serviceaccounts")] if plan.needs.identity else []
    return iam.cluster_role(
        plan.intent.name,
        [*written, *binding, ("", "namespaces")],
        [("", "events"), ("", "serviceaccounts"), *((kind.KIND.group, kind.KIND.plural) for kind in READ)],
    )


def _step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "title": step.title,
        "kind": type(step.action).__name__,
        "after": list(step.after),
        "state": step.state.value,
        "deferred": step.deferred,
        "minutes": list(step.minutes),
    }


def _object(change: ObjectChange, locate: Locate) -> dict[str, Any]:
    return {
        "object": str(change.key),
        "action": change.action.value,
        "position": str(locate(change.origin) or "") or None,
        "fields": [
            {"path": list(each.path), "before": each.before, "after": each.after}
            for each in change.fields
            if change.action is Action.UPDATE
        ],
        "madeBy": change.foreign or None,
        "refused": change.refused or None,
        "conflicts": [{"field": field, "manager": manager} for field, manager in change.conflicts],
        "awaits": str(change.awaits) if change.awaits else None,
        "dryRun": not change.local,
    }
