"""The Pods of a ReplicaSet, a StatefulSet, a DaemonSet or a Job: which come, which go, and the owner's status.

Source: kubernetes/kubernetes `pkg/controller/replicaset/replica_set.go`, `statefulset/stateful_set_control.go`,
`daemon/daemon_controller.go`, `job/job_controller.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockgate.edge.rollout.changes import Change, Create, Delete, condition, conditions, counts
from lockgate.edge.rollout.template import HASH, REVISION_HASH, pod_manifest, template_hash
from lockgate.resources import core, meta
from lockgate.resources.model import JsonObject
from lockgate.resources.workloads import DaemonSet, Job, ReplicaSet, RolloutSpec, StatefulSet, Workload

MOST_PODS: Final = 100  # of one workload: a node of EKS has at most 110
MOST_IN_ALL: Final = 1000
_JOB: Final = "batch.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many Pods a workload may have, and the sentence that says so."""

    pods: int
    why: str


def limit(others: int) -> Limit:
    """`others` are the Pods of all other workloads."""
    if MOST_IN_ALL - others < MOST_PODS:
        return Limit(max(MOST_IN_ALL - others, 0), f"Lockgate keeps at most {MOST_IN_ALL} Pods in all")
    return Limit(MOST_PODS, f"Lockgate keeps at most {MOST_PODS} Pods of one workload")


def lives(pod: core.Pod) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deletion_timestamp


def is_ready(pod: core.Pod) -> bool:
    found = meta.condition(pod.status.conditions, "Ready")
    return found is not None and found.status == "True"


def available(pods: Sequence[core.Pod], seconds: int, now: str) -> int:
    """How many Pods have been ready for some seconds."""
    return sum(is_ready(pod) and not _rest(pod, seconds, now) for pod in pods)


def until_available(workload: Workload, pods: Sequence[core.Pod], now: str) -> float | None:
    """In how many seconds the next Pod is available; None if no Pod waits."""
    waiting = [_rest(pod, _patience(workload), now) for pod in pods if lives(pod) and is_ready(pod)]
    return min((rest for rest in waiting if rest), default=None)


def _patience(workload: Workload) -> int:
    return workload.spec.min_ready_seconds if isinstance(workload.spec, RolloutSpec) else 0


def _rest(pod: core.Pod, seconds: int, now: str) -> float:
    """The seconds until a Pod that is ready is available."""
    ready = meta.condition(pod.status.conditions, "Ready")
    since = ready.last_transition_time if ready else ""
    if not seconds or not since:
        return 0.0
    passed = datetime.fromisoformat(now) - datetime.fromisoformat(since)
    return max(seconds - passed.total_seconds(), 0.0)


def desired_pods(workload: Workload, pods: Sequence[core.Pod], node: str, most: int) -> Iterator[Change]:
    """Pods to create and to delete. `pods` are those that the workload controls."""
    match workload:
        case ReplicaSet():
            yield from _interchangeable(workload, pods, node, min(_replicas(workload), most))
        case DaemonSet():
            yield from _of_daemon_set(workload, pods, node)
        case StatefulSet():
            yield from _of_stateful_set(workload, pods, node, min(_replicas(workload), most))
        case Job():
            yield from _of_job(workload, pods, node, min(completions(workload), most))


def _interchangeable(workload: ReplicaSet, pods: Sequence[core.Pod], node: str, desired: int) -> Iterator[Change]:
    living = [pod for pod in pods if lives(pod)]
    for _ in range(desired - len(living)):
        yield Create(pod_manifest(workload, workload.spec.template, node))
    # As in a cluster, those that are not ready go first, and then the newest.
    for pod in sorted(living, key=is_ready)[: max(len(living) - desired, 0)]:
        yield Delete(pod)


def _of_daemon_set(workload: DaemonSet, pods: Sequence[core.Pod], node: str) -> Iterator[Change]:
    label = {REVISION_HASH: template_hash(workload.spec.template)}
    keeps = workload.spec.update_strategy.type == "OnDelete"
    fitting = [pod for pod in pods if lives(pod) and (keeps or label.items() <= pod.metadata.labels.items())]
    for pod in pods:
        if pod not in fitting[:1]:
            yield Delete(pod)
    if not fitting:
        labels = {**label, "pod-template-generation": str(workload.metadata.generation)}
        yield Create(pod_manifest(workload, workload.spec.template, node, labels=labels))


def _of_stateful_set(workload: StatefulSet, pods: Sequence[core.Pod], node: str, desired: int) -> Iterator[Change]:
    revision = f"{workload.name}-{template_hash(workload.spec.template)}"
    first = workload.spec.ordinals.start
    names = {f"{workload.name}-{first + index}": first + index for index in range(desired)}
    strategy = workload.spec.update_strategy
    partition = first + desired if strategy.type == "OnDelete" else strategy.rolling_update.partition
    there: set[str] = set()
    for pod in pods:
        old = pod.metadata.labels.get(REVISION_HASH) != revision
        if pod.name not in names or not lives(pod) or (old and names[pod.name] >= partition):
            yield Delete(pod)
        else:
            there.add(pod.name)
    for name, index in names.items():
        if name not in there:
            labels = {
                "statefulset.kubernetes.io/pod-name": name,
                "apps.kubernetes.io/pod-index": str(index),
                REVISION_HASH: revision,
            }
            manifest = pod_manifest(workload, workload.spec.template, node, labels=labels, name=name)
            spec = {"hostname": name, "subdomain": workload.spec.service_name, **manifest["spec"]}
            yield Create({**manifest, "spec": {field: value for field, value in spec.items() if value != ""}})


def _of_job(workload: Job, pods: Sequence[core.Pod], node: str, desired: int) -> Iterator[Change]:
    if workload.spec.suspend or _complete(workload):
        return
    uid = workload.metadata.uid
    labels = {f"{_JOB}job-name": workload.name, "job-name": workload.name, f"{_JOB}controller-uid": uid}
    for _ in range(desired - len(pods)):
        yield Create(pod_manifest(workload, workload.spec.template, node, labels={**labels, "controller-uid": uid}))


def status(workload: Workload, pods: Sequence[core.Pod], failure: str, now: str) -> JsonObject:
    """The status of a workload that controls `pods`. `failure` is why a Pod could not be created."""
    living = [pod for pod in pods if lives(pod)]
    ready = sum(map(is_ready, living))
    usable = available(living, _patience(workload), now)
    observed = {"observedGeneration": workload.metadata.generation}
    earlier = workload.status.get("conditions")
    failed = _failed(failure, earlier or ()) if failure else []
    match workload:
        case ReplicaSet():
            fitting = sum(HASH in pod.metadata.labels for pod in living) or len(living)
            numbers = counts(fullyLabeledReplicas=fitting, readyReplicas=ready, availableReplicas=usable)
            found: JsonObject = {"replicas": len(living), **numbers}
            return {**observed, **found, "conditions": conditions(earlier, failed, now) or None}
        case StatefulSet():
            return {**observed, **_of_replicas(workload, living, ready, usable)}
        case DaemonSet():
            hash_ = template_hash(workload.spec.template)
            updated = sum(pod.metadata.labels.get(REVISION_HASH) == hash_ for pod in living)
            numbers = counts(
                numberAvailable=usable, updatedNumberScheduled=updated, numberUnavailable=1 - min(usable, 1)
            )
            found = {"currentNumberScheduled": min(len(living), 1), "desiredNumberScheduled": 1, "numberReady": ready}
            return {**observed, **found, "numberMisscheduled": 0, **numbers}
        case Job():
            return _of_completions(workload, pods, failure, now)
    return {}


def _failed(failure: str, earlier: Iterable[JsonObject]) -> list[JsonObject]:
    """The first failure stays until Pods can be created, as upstream's `SetCondition` keeps it: the next ones differ
    only in the generated name."""
    there = next((each for each in earlier if each.get("type") == "ReplicaFailure"), None)
    return [condition("ReplicaFailure", True, "FailedCreate", there["message"] if there else failure)]


def _of_replicas(workload: StatefulSet, living: Sequence[core.Pod], ready: int, usable: int) -> JsonObject:
    revision = f"{workload.name}-{template_hash(workload.spec.template)}"
    updated = sum(pod.metadata.labels.get(REVISION_HASH) == revision for pod in living)
    complete = updated == len(living)
    former = str(workload.status.get("currentRevision") or revision)
    current = revision if complete else former
    return {
        "replicas": len(living),
        **counts(
            readyReplicas=ready,
            currentReplicas=sum(pod.metadata.labels.get(REVISION_HASH) == current for pod in living),
            updatedReplicas=updated,
        ),
        "availableReplicas": usable,
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    }


def _of_completions(workload: Job, pods: Sequence[core.Pod], failure: str, now: str) -> JsonObject:
    succeeded = sum(pod.status.phase == "Succeeded" for pod in pods)
    active = sum(map(lives, pods))
    earlier = workload.status
    if workload.spec.suspend and not _complete(workload):
        made = [condition("Suspended", True, "JobSuspended", "Job suspended")]
        return {"conditions": conditions(earlier.get("conditions"), made, now), **counts(active=active)}
    done = succeeded >= min(completions(workload), MOST_PODS) and not failure
    reached = "Reached expected number of succeeded pods"
    made = [condition(each, True, "CompletionsReached", reached) for each in ("SuccessCriteriaMet", "Complete")]
    found = conditions(earlier.get("conditions"), made if done else [], now)
    return {
        "startTime": earlier.get("startTime") or now,
        **counts(active=active, succeeded=succeeded),
        "ready": sum(lives(pod) and is_ready(pod) for pod in pods),
        "terminating": 0,
        "uncountedTerminatedPods": {},
        **({"conditions": found, "completionTime": earlier.get("completionTime") or now} if done else {}),
    }


def completions(job: Job) -> int:
    """A Job without `completions` has a queue of work: its Pods are done when one of them is."""
    return job.spec.completions if job.spec.completions is not None else job.spec.parallelism


def _complete(job: Job) -> bool:
    return any(each.get("type") == "Complete" for each in job.status.get("conditions") or ())


def _replicas(workload: Workload) -> int:
    return 1 if workload.spec.replicas is None else workload.spec.replicas
