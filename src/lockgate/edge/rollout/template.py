"""A Pod from its workload's template, and the hash that names a template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.workloads import PodTemplate

HASH: Final = "pod-template-hash"
REVISION_HASH: Final = "controller-revision-hash"
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's `SafeEncodeString`
_LONGEST_PREFIX: Final = 58  # of a generated name: it has five more letters, and 63 are a DNS label


def template_hash(template: PodTemplate) -> str:
    """Equal templates have equal hashes. They are not those of a cluster, which depend on Go's types."""
    number = int.from_bytes(sha256(json.dumps(template.manifest(), sort_keys=True).encode()).digest()[:8])
    letters = ""
    for _ in range(10):
        number, digit = divmod(number, len(_LETTERS))
        letters += _LETTERS[digit]
    return letters


def pod_manifest(
    owner: Resource, template: PodTemplate, node: str, *, labels: Mapping[str, str] | None = None, name: str = ""
) -> JsonObject:
    """Without a `name`, the API generates one."""
    metadata: JsonObject = {
        "namespace": owner.namespace,
        "labels": {**template.metadata.labels, **(labels or {})},
        "annotations": dict(template.metadata.annotations),
        "finalizers": list(template.metadata.finalizers),
        "ownerReferences": [controlled_by(owner)],
    }
    metadata |= {"name": name} if name else {"generateName": f"{owner.name[: _LONGEST_PREFIX - 1]}-"}
    kept = {field: value for field, value in metadata.items() if value}
    spec = {**template.manifest().get("spec", {}), "nodeName": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec}


def controlled_by(owner: Resource) -> JsonObject:
    return {
        "apiVersion": owner.KIND.api_version,
        "kind": owner.KIND.kind,
        "name": owner.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
