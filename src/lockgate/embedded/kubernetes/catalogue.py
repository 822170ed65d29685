"""The kinds that the API serves: typed ones, ones that are only stored, and ones that are added at runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import ConfigDict

from lockgate.embedded.kubernetes.conversions import EVENTS
from lockgate.resources.model import Kind, Resource


class Unstructured(Resource):
    """An object of a kind without a typed model. All its fields are stored unchanged."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")


def unstructured(kind: Kind) -> type[Resource]:
    return type(kind.kind, (Unstructured,), {"KIND": kind, "__module__": __name__})


def guess(api_version: str, kind: str, *, namespaced: bool | None = None) -> Kind:
    """An undefined kind: its plural is guessed, and it is cluster-scoped if its name starts with ``Cluster``."""
    group, _, version = api_version.rpartition("/")
    if namespaced is None:
        namespaced = not kind.startswith("Cluster")
    return Kind(group=group, versions=(version,), kind=kind, plural=_plural(kind.lower()), namespaced=namespaced)


def is_built_in(group: str) -> bool:
    """Whether a group is built in: its kinds support strategic merge, and no CRD may define them."""
    return "." not in group or group in _BUILT_IN


class Catalogue:
    """Kinds by name and by path."""

    def __init__(self, models: Iterable[type[Resource]]) -> None:
        self._models: dict[tuple[str, str], type[Resource]] = {}
        self._paths: dict[tuple[str, str, str], type[Resource]] = {}
        self.revision = 0  # increases with each change; caches of documents use it as a key
        for model in models:
            self.add(model)

    def __iter__(self) -> Iterator[type[Resource]]:
        return iter(self._models.values())

    def add(self, model: type[Resource]) -> None:
        """Serves a kind, in place of an existing one of the same name."""
        self.remove(*model.KIND.group_kind)
        self._models[model.KIND.group_kind] = model
        for version in model.KIND.versions:
            self._paths[model.KIND.group, version, model.KIND.plural] = model
        self.revision += 1

    def remove(self, group: str, kind: str) -> None:
        model = self._models.pop((group, kind), None)
        if model is not None:
            for version in model.KIND.versions:
                self._paths.pop((group, version, model.KIND.plural), None)
            self.revision += 1

    def touch(self) -> None:
        """Call this after a change of a kind that affects documents."""
        self.revision += 1

    def by_kind(self, group: str, kind: str) -> type[Resource] | None:
        return self._models.get((group, kind))

    def by_path(self, group: str, version: str, plural: str) -> type[Resource] | None:
        if (group, plural) == (EVENTS.group, EVENTS.plural):  # the same objects as in the core group
            group = ""
        return self._paths.get((group, version, plural))


def _plural(name: str) -> str:
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    return f"{name}es" if re.search(r"(s|x|z|ch|sh)$", name) else f"{name}s"


_BUILT_IN = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization",
        "certificates", "coordination", "discovery", "events", "networking", "node", "rbac.authorization",
        "scheduling", "storage",
    )
)  # fmt: skip
_ADMISSION = "admissionregistration.k8s.io"


def _kept(
    group: str, version: str, kind: str, plural: str, *short_names: str, namespaced: bool = True, status: bool = True
) -> Kind:
    return Kind(
        group=group,
        versions=(version,),
        kind=kind,
        plural=plural,
        namespaced=namespaced,
        short_names=short_names,
        has_status=status,
    )


# Kinds in manifests of real clusters that have no typed model, and no effect here.
# Source: `kubectl api-resources` of 1.32.
KEPT: tuple[Kind, ...] = (
    _kept("", "v1", "LimitRange", "limitranges", "limits", status=False),
    _kept("", "v1", "PersistentVolume", "persistentvolumes", "pv", namespaced=False),
    _kept("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
    _kept("", "v1", "PodTemplate", "podtemplates", status=False),
    _kept("", "v1", "ReplicationController", "replicationcontrollers", "rc"),
    _kept("", "v1", "ResourceQuota", "resourcequotas", "quota"),
    _kept(
        "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", "csr", namespaced=False
    ),
    _kept("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False, status=False),
    _kept("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", namespaced=False, status=False),
    _kept("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", namespaced=False, status=False),
    _kept("storage.k8s.io", "v1", "CSIDriver", "csidrivers", namespaced=False, status=False),
    _kept("storage.k8s.io", "v1", "CSINode", "csinodes", namespaced=False, status=False),
    _kept("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", namespaced=False),
    _kept(
        _ADMISSION,
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        namespaced=False,
        status=False,
    ),
    _kept(
        _ADMISSION,
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
        status=False,
    ),
    _kept(_ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False),
    _kept(
        _ADMISSION,
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
        status=False,
    ),
    _kept("apiregistration.k8s.io", "v1", "APIService", "apiservices", namespaced=False),
)
