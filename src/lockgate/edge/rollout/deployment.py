"""A Deployment: one ReplicaSet per template, and the numbers of all of them.

Pods are ready at once, so a new ReplicaSet gets all its Pods, and the old ones lose theirs as soon as the new ones are
available. Surge and `maxUnavailable` would change nothing.

Source: kubernetes/kubernetes `pkg/controller/deployment/sync.go`, `progress.go`, `util/deployment_util.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lockgate.edge.rollout.changes import Change, Create, Delete, Patch, SetStatus, condition, conditions, counts
from lockgate.edge.rollout.template import HASH, controlled_by, template_hash
from lockgate.resources.model import JsonObject
from lockgate.resources.workloads import Deployment, PodTemplate, ReplicaSet

REVISION: Final = "deployment.kubernetes.io/revision"
_DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
_HISTORY: Final = 10
_NOT_COPIED: Final = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, _DESIRED)


def rolled_out(deployment: Deployment, sets: Sequence[ReplicaSet], now: str) -> Iterator[Change]:
    """The next changes. Each ReplicaSet's change leads here again, until nothing is left to do."""
    newest_first = sorted(sets, key=lambda each: (-_revision(each), each.name))
    template = _comparable(deployment.spec.template)
    current = next((each for each in newest_first if _comparable(each.spec.template) == template), None)
    highest = _revision(newest_first[0]) if newest_first else 0
    if current is None and not deployment.spec.paused:
        if any(_runs(each) for each in sets) and deployment.spec.strategy.type == "Recreate":
            yield from _scaled(newest_first, None, 0)
        else:
            yield Create(_replica_set(deployment, highest + 1))
        return
    serving = current or next(iter(newest_first), None)
    if current is not None and current is not newest_first[0]:  # an earlier template again: `kubectl rollout undo`
        yield Patch(current, {"metadata": {"annotations": {REVISION: str(highest + 1)}}})
        return
    yield from _replicas(deployment, newest_first, serving)
    yield from _status(deployment, newest_first, current, serving, now)


def _replicas(deployment: Deployment, sets: Sequence[ReplicaSet], serving: ReplicaSet | None) -> Iterator[Change]:
    desired = desired_replicas(deployment)
    others = [each for each in sets if each is not serving]
    if serving is not None:
        recreates = deployment.spec.strategy.type == "Recreate" and any(map(_runs, others))
        if not recreates and serving.spec.replicas != desired:
            annotations = {"metadata": {"annotations": {_DESIRED: str(desired)}}}
            yield Patch(serving, {**annotations, "spec": {"replicas": desired}})
        if serving.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
            yield Patch(serving, {"spec": {"minReadySeconds": deployment.spec.min_ready_seconds}})
        if recreates or _number(serving, "availableReplicas") >= desired:
            yield from _scaled(others, serving, 0)
    limit = deployment.spec.revision_history_limit
    kept = [each for each in others if each.spec.replicas == 0 and not _number(each, "replicas")]
    for each in kept[_HISTORY if limit is None else limit :]:
        yield Delete(each)


def _scaled(sets: Sequence[ReplicaSet], serving: ReplicaSet | None, replicas: int) -> Iterator[Change]:
    for each in sets:
        if each is not serving and each.spec.replicas != replicas:
            yield Patch(each, {"spec": {"replicas": replicas}})


def _status(
    deployment: Deployment,
    sets: Sequence[ReplicaSet],
    current: ReplicaSet | None,
    serving: ReplicaSet | None,
    now: str,
) -> Iterator[Change]:
    if serving is not None and _number(serving, "observedGeneration") < serving.metadata.generation:
        return  # its Pods are about to come, and it leads here again
    revision = str(_revision(serving)) if serving else ""
    if revision and deployment.metadata.annotations.get(REVISION) != revision:
        yield Patch(deployment, {"metadata": {"annotations": {REVISION: revision}}})
    desired = desired_replicas(deployment)
    total, available = (sum(_number(each, name) for each in sets) for name in ("replicas", "availableReplicas"))
    updated = _number(current, "replicas") if current else 0
    complete = current is not None and updated == desired == available == total
    enough = available >= desired
    reason, has = ("MinimumReplicasAvailable", "has") if enough else ("MinimumReplicasUnavailable", "does not have")
    made = [
        condition("Available", enough, reason, f"Deployment {has} minimum availability."),
        _progress(deployment, serving, complete),
    ]
    for each in sets:
        failed = next((one for one in each.status.get("conditions") or () if one.get("type") == "ReplicaFailure"), None)
        if failed:
            made.append(condition("ReplicaFailure", True, failed["reason"], failed["message"]))
            break
    yield SetStatus(
        deployment,
        {
            "observedGeneration": deployment.metadata.generation,
            **counts(
                replicas=total,
                updatedReplicas=updated,
                readyReplicas=sum(_number(each, "readyReplicas") for each in sets),
                availableReplicas=available,
                unavailableReplicas=max(max(total, desired) - available, 0),
            ),
            "conditions": conditions(deployment.status.get("conditions"), made, now, updates=True),
        },
    )


def _progress(deployment: Deployment, serving: ReplicaSet | None, complete: bool) -> JsonObject:
    if deployment.spec.paused:
        return condition("Progressing", None, "DeploymentPaused", "Deployment is paused")
    name = serving.name if serving else ""
    if complete:
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return condition("Progressing", True, "NewReplicaSetAvailable", message)
    return condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _replica_set(deployment: Deployment, revision: int) -> JsonObject:
    template = deployment.spec.template.manifest()
    hashed = {HASH: template_hash(deployment.spec.template)}
    metadata = template.get("metadata", {})
    labels = {**metadata.get("labels", {}), **hashed}
    desired = desired_replicas(deployment)
    annotations = {
        name: value for name, value in deployment.metadata.annotations.items() if name not in _NOT_COPIED
    } | {REVISION: str(revision), _DESIRED: str(desired), "deployment.kubernetes.io/max-replicas": str(desired)}
    selector, seconds = deployment.spec.selector.manifest(), deployment.spec.min_ready_seconds
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.name}-{hashed[HASH]}",
            "namespace": deployment.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [controlled_by(deployment)],
        },
        "spec": {
            "replicas": desired,
            **({"minReadySeconds": seconds} if seconds else {}),
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), **hashed}},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }


def desired_replicas(workload: Deployment) -> int:
    return 1 if workload.spec.replicas is None else workload.spec.replicas


def _comparable(template: PodTemplate) -> JsonObject:
    made = template.manifest()
    labels = {name: value for name, value in template.metadata.labels.items() if name != HASH}
    return {**made, "metadata": {**made.get("metadata", {}), "labels": labels}}


def _revision(each: ReplicaSet) -> int:
    text = each.metadata.annotations.get(REVISION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _runs(each: ReplicaSet) -> bool:
    return bool(each.spec.replicas) or _number(each, "replicas") > 0


def _number(each: ReplicaSet, name: str) -> int:
    return int(each.status.get(name) or 0)
