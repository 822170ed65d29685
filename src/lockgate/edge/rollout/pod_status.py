"""The status of a Pod, as kubelet writes it. No container runs: a condition says what stands behind the Pod.

A Pod that is to end (`restartPolicy` Never or OnFailure) counts as completed at once. All others run and are ready,
unless a readiness gate holds them back.

Source: kubernetes/kubernetes `pkg/kubelet/status/generate.go`, `pkg/apis/core/v1/helper/qos/qos.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lockgate.edge.rollout.changes import condition, conditions
from lockgate.resources import core
from lockgate.resources.model import JsonObject

STAND_IN: Final = "lockgate.dev/StandIn"
_OWN: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", STAND_IN)


def ends(pod: core.Pod) -> bool:
    return pod.spec.restart_policy in ("Never", "OnFailure")


def status(pod: core.Pod, *, address: str, host: str, stands_in: str, now: str) -> JsonObject:
    """`address` is the Pod's, `host` the node's; `stands_in` says in a sentence what answers for the Pod."""
    done = ends(pod)
    waits = [each.condition_type for each in pod.spec.readiness_gates if not _holds(pod, each.condition_type)]
    started = pod.status.start_time or now
    behind = "Completed" if done else "Running"
    made = [
        condition("PodReadyToStartContainers", not done, "", ""),
        condition("Initialized", True, "PodCompleted" if done else "", ""),
        _ready(done, waits),
        condition("ContainersReady", not done, "PodCompleted" if done else "", ""),
        condition("PodScheduled", True, "", ""),
        condition(STAND_IN, True, behind, stands_in),
    ]
    own = [{name: value for name, value in each.items() if value} for each in made]
    earlier = [each.manifest() for each in pod.status.conditions]
    others = [each for each in earlier if each["type"] not in _OWN]
    return {
        "phase": "Succeeded" if done else "Running",
        "conditions": [*conditions(earlier, own, now), *others],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "initContainerStatuses": [_ended(each, started) for each in pod.spec.init_containers] or None,
        "containerStatuses": [
            _ended(each, started) if done else _running(each, started) for each in pod.spec.containers
        ],
        "qosClass": _quality((*pod.spec.init_containers, *pod.spec.containers)),
    }


def _ready(done: bool, waits: Sequence[str]) -> JsonObject:
    if done:
        return condition("Ready", False, "PodCompleted", "")
    if waits:
        message = "; ".join(f'the status of pod readiness gate "{each}" is not "True"' for each in waits)
        return condition("Ready", False, "ReadinessGatesNotReady", message)
    return condition("Ready", True, "", "")


def _holds(pod: core.Pod, gate: str) -> bool:
    return any(each.type == gate and each.status == "True" for each in pod.status.conditions)


def _running(container: core.Container, started: str) -> JsonObject:
    state = {"running": {"startedAt": started}}
    return {**_container(container), "ready": True, "started": True, "state": state}


def _ended(container: core.Container, started: str) -> JsonObject:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": started}
    return {**_container(container), "ready": False, "started": False, "state": {"terminated": ended}}


def _container(container: core.Container) -> JsonObject:
    return {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0, "lastState": {}}


def _quality(containers: Sequence[core.Container]) -> str:
    """Guaranteed if every container's limits are set and equal to its requests; BestEffort if none has any."""
    limits = [each.resources.limits for each in containers]
    requests = [{**each.resources.limits, **each.resources.requests} for each in containers]
    if not any(requests):
        return "BestEffort"
    pairs = zip(limits, requests, strict=True)
    guaranteed = all(at_most == asked and at_most.keys() >= {"cpu", "memory"} for at_most, asked in pairs)
    return "Guaranteed" if guaranteed else "Burstable"
