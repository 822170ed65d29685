"""Rules of built-in kinds for the requests of clients, which nothing else here depends on.

Manifests in files are not held to them: what they describe has no effect here.

Source: kubernetes/kubernetes, `pkg/apis/*/validation`; apimachinery's `pkg/api/validation/objectmeta.go`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.meta import LabelSelector
from lockgate.resources.model import JsonObject, Kind

_FINALIZERS = frozenset({"foregroundDeletion", "orphan", "kubernetes"})
_SCHEDULE = re.compile(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every .+")


def refusals(kind: Kind, body: JsonObject) -> list[FieldError]:
    """The faults of an object with its defaults."""
    rule = _RULES.get(kind.group_kind)
    return [*_metadata(kind, body["metadata"]), *(rule(body) if rule else ())]


def _metadata(kind: Kind, metadata: JsonObject) -> Iterator[FieldError]:
    for index, name in enumerate(metadata.get("finalizers") or () if is_built_in(kind.group) else ()):
        if "/" not in name and name not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield field_errors.invalid(("metadata", "finalizers", index), name, why)
    owners = metadata.get("ownerReferences") or ()
    for index, owner in enumerate(owners):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                yield field_errors.required(("metadata", "ownerReferences", index, name), "must not be empty")
    controllers = [f"{owner.get('kind')}/{owner.get('name')}" for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        shown = json.dumps(list(owners), separators=(",", ":"))
        why = f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        text = f"Invalid value: {shown}: Only one reference can have Controller set to true. {why}"
        yield FieldError(("metadata", "ownerReferences"), field_errors.Reason.INVALID, text)


def _workload(body: JsonObject) -> Iterator[FieldError]:
    spec = body.get("spec") or {}
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    yield from _not_negative(spec, "replicas")
    if not spec.get("selector"):
        yield field_errors.required(("spec", "selector"))
    if not labels or not LabelSelector.model_validate(spec.get("selector") or {}).matches(labels):
        at: Path = ("spec", "template", "metadata", "labels")
        shown = json.dumps(labels, separators=(",", ":"))
        why = "`selector` does not match template `labels`"
        yield FieldError(at, field_errors.Reason.INVALID, f"Invalid value: {shown}: {why}")
    yield from _pod(template.get("spec") or {}, ("spec", "template", "spec"))
    policy = (template.get("spec") or {}).get("restartPolicy") or "Always"
    if policy != "Always":
        yield field_errors.unsupported(("spec", "template", "spec", "restartPolicy"), policy, ["Always"])


def _pod(spec: JsonObject, path: Path) -> Iterator[FieldError]:
    if not spec.get("containers"):
        yield field_errors.required((*path, "containers"))
    seen: set[str] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        name = container.get("name") or ""
        if not name:
            yield field_errors.required((*path, "containers", index, "name"))
        elif name in seen:
            yield field_errors.duplicate((*path, "containers", index, "name"), name)
        seen.add(name)


def _job(body: JsonObject, path: Path = ("spec",)) -> Iterator[FieldError]:
    spec = ((body.get("spec") or {}).get("template") or {}).get("spec") or {}
    at = (*path, "template", "spec")
    yield from _pod(spec, at)
    policy = spec.get("restartPolicy")
    if policy in (None, "", "Always"):
        why = 'valid values: "OnFailure", "Never"'
        if policy == "Always":
            yield field_errors.unsupported((*at, "restartPolicy"), policy, ["OnFailure", "Never"])
        else:
            yield field_errors.required((*at, "restartPolicy"), why)


_LARGEST_DATA = 1024 * 1024  # bytes of a ConfigMap or Secret
_LONGEST_CRON_JOB = 52  # a Job's name is that of its CronJob, and ten characters
_POLICIES = ("Allow", "Forbid", "Replace")


def _cron_job(body: JsonObject) -> Iterator[FieldError]:
    name = body["metadata"].get("name") or ""
    if len(name) > _LONGEST_CRON_JOB:
        why = f"must be no more than {_LONGEST_CRON_JOB} characters"
        yield field_errors.invalid(("metadata", "name"), name, why)
    own = body.get("spec") or {}
    if (policy := own.get("concurrencyPolicy") or "Allow") not in _POLICIES:
        yield field_errors.unsupported(("spec", "concurrencyPolicy"), policy, _POLICIES)
    if (zone := own.get("timeZone")) is not None and not _is_time_zone(zone):
        yield field_errors.invalid(("spec", "timeZone"), zone, f"unknown time zone {zone}")
    for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"):
        yield from _not_negative(own, limit)
    spec = body.get("spec") or {}
    schedule = spec.get("schedule") or ""
    parts = schedule.split()
    if not schedule:
        yield field_errors.required(("spec", "schedule"))
    elif not _SCHEDULE.fullmatch(schedule) and len(parts) != 5:
        why = f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
        yield field_errors.invalid(("spec", "schedule"), schedule, why)
    yield from _job(spec.get("jobTemplate") or {}, ("spec", "jobTemplate", "spec"))


def _is_time_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False


def _lease(body: JsonObject) -> Iterator[FieldError]:
    seconds = (body.get("spec") or {}).get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield field_errors.invalid(("spec", "leaseDurationSeconds"), seconds, "must be greater than 0")


def _autoscaler(body: JsonObject) -> Iterator[FieldError]:
    spec = body.get("spec") or {}
    target, most, least = spec.get("scaleTargetRef") or {}, spec.get("maxReplicas") or 0, spec.get("minReplicas", 1)
    if most < 1:
        yield field_errors.invalid(("spec", "maxReplicas"), most, "must be greater than 0")
    elif most < least:
        why = "must be greater than or equal to `minReplicas`"
        yield field_errors.invalid(("spec", "maxReplicas"), most, why)
    for name in ("kind", "name"):
        if not target.get(name):
            yield field_errors.required(("spec", "scaleTargetRef", name))


def _disruption_budget(body: JsonObject) -> Iterator[FieldError]:
    spec = body.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield field_errors.invalid(("spec",), spec, "minAvailable and maxUnavailable cannot be both set")


def _role(body: JsonObject) -> Iterator[FieldError]:
    for index, rule in enumerate(body.get("rules") or ()):
        if not rule.get("verbs"):
            yield field_errors.required(("rules", index, "verbs"))


def _binding(body: JsonObject) -> Iterator[FieldError]:
    if not (body.get("roleRef") or {}).get("name"):
        yield field_errors.required(("roleRef", "name"))


def _event(body: JsonObject) -> Iterator[FieldError]:
    involved = (body.get("involvedObject") or {}).get("namespace") or ""
    if involved != body["metadata"].get("namespace") and (involved or body["metadata"].get("namespace") != "default"):
        yield field_errors.invalid(("involvedObject", "namespace"), involved, "does not match event.namespace")


def _config_map(body: JsonObject) -> Iterator[FieldError]:
    size = sum(len(value.encode()) for value in (body.get("data") or {}).values())
    if size + sum(map(_decoded, (body.get("binaryData") or {}).values())) > _LARGEST_DATA:
        yield field_errors.too_long((field_errors.Key(""),), _LARGEST_DATA)


def _decoded(text: str) -> int:
    return len(text) * 3 // 4


def _secret(body: JsonObject) -> Iterator[FieldError]:
    data = body.get("data") or {}
    if sum(map(_decoded, data.values())) > _LARGEST_DATA:
        yield field_errors.too_long(("data",), _LARGEST_DATA)
    if body.get("type") == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield field_errors.required(("data", field_errors.Key("username")))
        yield field_errors.required(("data", field_errors.Key("password")))


def _not_negative(spec: JsonObject, name: str) -> Iterator[FieldError]:
    value: Any = spec.get(name)
    if isinstance(value, int) and value < 0:
        yield field_errors.invalid(("spec", name), value, "must be greater than or equal to 0")


_RULES: dict[tuple[str, str], Callable[[JsonObject], Iterator[FieldError]]] = {
    ("", "ConfigMap"): _config_map,
    ("", "Event"): _event,
    ("", "Secret"): _secret,
    ("apps", "DaemonSet"): _workload,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("coordination.k8s.io", "Lease"): _lease,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("rbac.authorization.k8s.io", "ClusterRole"): _role,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "Role"): _role,
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
}
