"""The keys that identify list items when patches are merged: the API's list types, for built-in kinds.

Upstream it is in the struct tags of `k8s.io/api` (patchMergeKey, listType, listMapKey), shown in the OpenAPI document.
Custom resources of Istio, cert-manager and the load balancer controller have atomic lists unless noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lockgate.resources.model import Resource

# Only field names, without list indexes and map keys.
FieldPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRule:
    """`patch_key` is for strategic merge patches ("" for a set of scalars, None replaces the list); `keys` is for
    server-side apply (() for a set, None for an atomic list). They differ if upstream's do."""

    patch_key: str | None
    keys: tuple[str, ...] | None


def list_rule(model: type[Resource], path: FieldPath) -> ListRule:
    """The rule of the list at `path`, such as ``("spec", "ports")`` of a Service."""
    rule = _EVERY_KIND.get(path)
    if rule is None:
        kind = model.KIND
        rule = _OF_KIND.get((kind.group, kind.kind), {}).get(path)
        if rule is None:
            rule = _in_pod_template(kind.group, kind.kind, path)
    return rule or ATOMIC


def merge_key(model: type[Resource], path: FieldPath) -> str | None:
    return list_rule(model, path).patch_key


def list_keys(model: type[Resource], path: FieldPath) -> tuple[str, ...] | None:
    return list_rule(model, path).keys


ATOMIC = ListRule(None, None)
_SET = ListRule("", ())


def _by(*keys: str) -> ListRule:
    return ListRule(keys[0], keys)


_EVERY_KIND: dict[FieldPath, ListRule] = {
    ("metadata", "finalizers"): _SET,
    ("metadata", "ownerReferences"): _by("uid"),
    ("status", "conditions"): _by("type"),
}

_OF_KIND: dict[tuple[str, str], dict[FieldPath, ListRule]] = {
    ("", "Service"): {("spec", "ports"): _by("port", "protocol")},
    ("", "ServiceAccount"): {("secrets",): _by("name"), ("imagePullSecrets",): ListRule("name", None)},
    ("", "Node"): {
        ("status", "addresses"): _by("type"),
        ("spec", "podCIDRs"): _SET,
    },
    ("", "Pod"): {
        ("status", "podIPs"): _by("ip"),
        ("status", "hostIPs"): ListRule("ip", None),
    },
}

_POD: dict[FieldPath, ListRule] = {
    ("containers",): _by("name"),
    ("initContainers",): _by("name"),
    ("ephemeralContainers",): _by("name"),
    ("volumes",): _by("name"),
    ("imagePullSecrets",): _by("name"),
    ("hostAliases",): _by("ip"),
    ("topologySpreadConstraints",): _by("topologyKey", "whenUnsatisfiable"),
    ("resourceClaims",): _by("name"),
    ("schedulingGates",): _by("name"),
}
_CONTAINER: dict[FieldPath, ListRule] = {
    ("env",): _by("name"),
    ("ports",): _by("containerPort", "protocol"),
    ("volumeMounts",): _by("mountPath"),
    ("volumeDevices",): _by("devicePath"),
    ("resources", "claims"): _by("name"),
}

# The path of the Pod spec in each kind that has one.
_POD_SPEC: dict[tuple[str, str], FieldPath] = {
    ("", "Pod"): ("spec",),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
}


def _in_pod_template(group: str, kind: str, path: FieldPath) -> ListRule | None:
    prefix = _POD_SPEC.get((group, kind))
    if prefix is None or path[: len(prefix)] != prefix:
        return None
    within = path[len(prefix) :]
    if within in _POD:
        return _POD[within]
    if within and within[0] in ("containers", "initContainers", "ephemeralContainers"):
        return _CONTAINER.get(within[1:])
    return None
