"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, for `kubectl rollout history` and `undo`.

Source: kubernetes/kubernetes `pkg/controller/history/controller_history.go`, `statefulset/stateful_set_utils.go`,
`daemon/update.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lockgate.edge.rollout.changes import Change, Create, Delete, Patch
from lockgate.edge.rollout.template import REVISION_HASH, controlled_by, template_hash
from lockgate.resources import core
from lockgate.resources.model import JsonObject
from lockgate.resources.workloads import ControllerRevision, DaemonSet, StatefulSet

_HISTORY: Final = 10
_HASH_OF_STATEFUL_SETS: Final = "controller.kubernetes.io/hash"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def kept(
    workload: StatefulSet | DaemonSet, revisions: Sequence[ControllerRevision], pods: Sequence[core.Pod]
) -> Iterator[Change]:
    """The changes that make the template of today the latest revision. Old ones that no Pod has go."""
    hash_ = template_hash(workload.spec.template)
    in_order = sorted(revisions, key=lambda each: (each.revision, each.name))
    latest = in_order[-1].revision if in_order else 0
    own = next((each for each in in_order if each.name == f"{workload.name}-{hash_}"), None)
    if own is None:
        yield Create(_revision(workload, hash_, latest + 1))
    elif own.revision < latest:  # an earlier template again: `kubectl rollout undo`
        yield Patch(own, {"revision": latest + 1})
    used = {f"{workload.name}-{pod.metadata.labels.get(REVISION_HASH, '').rpartition('-')[2]}" for pod in pods}
    old = [each for each in in_order if each is not own and each.name not in used]
    limit = workload.spec.revision_history_limit
    for each in old[: max(len(old) - (_HISTORY if limit is None else limit), 0)]:
        yield Delete(each)


def _revision(workload: StatefulSet | DaemonSet, hash_: str, number: int) -> JsonObject:
    label = _HASH_OF_STATEFUL_SETS if isinstance(workload, StatefulSet) else REVISION_HASH
    annotations = {name: value for name, value in workload.metadata.annotations.items() if name != _LAST_APPLIED}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{workload.name}-{hash_}",
            "namespace": workload.namespace,
            "labels": {**workload.spec.template.metadata.labels, label: hash_},
            "annotations": annotations,
            "ownerReferences": [controlled_by(workload)],
        },
        "data": {"spec": {"template": {**workload.spec.template.manifest(), "$patch": "replace"}}},
        "revision": number,
    }
