"""Makes a `State` from what a table says: manifests, what the Kubernetes API has, and which hosts resolve."""

from __future__ import annotations

from typing import Any

import yaml

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.resources.kinds import Event
from lockgate.resources.model import ObjectKey, Resource, kinds
from lockgate.resources.positions import Positions
from lockgate.resources.reader import read
from lockgate.runtime.observed import Cluster, State

ABOUT = {
    "name": "demo",
    "addresses": {"kubernetes": "https://127.0.0.1:1", "aws": "http://127.0.0.1:2", "dns": "127.0.0.1:3"},
    "files": {},
    "aws": {"account": "123456789012", "region": "us-east-1", "access_key_id": "AKIA"},
}


def state(case: dict[str, Any]) -> State:
    """`manifests` are YAML. `api` are objects of the Kubernetes API that differ from them or come beside them; None in
    place of an object, by its key, removes it. `resolved` are the hosts that have a record; all, unless said."""
    reading = read(case["manifests"], "edge.yaml")
    manifests = Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {})
    planned = plan(manifests, Options(("edge.yaml",)))
    stacks = load_balancers(planned)
    objects = {resource.key: resource for resource in planned.resources}
    objects |= {resource.key: resource for resource in map(_typed, yaml.safe_load_all(case.get("api", "")))}
    for gone in case.get("gone", ()):
        del objects[next(key for key in objects if str(key) == gone)]
    documents = planned.documents
    resolved = case.get("resolved", planned.supply.hosts)
    return State(
        about=ABOUT,
        files=manifests.files,
        documents=documents,
        applied=frozenset(documents) - _refused(case, documents),
        supply=planned.supply,
        stacks=stacks,
        cluster=Cluster.of(objects.values()),
        resolved=frozenset(resolved),
        issued=frozenset(each.arn for each in planned.supply.certificates),
        faults=(*manifests.faults, *stacks.faults),
        locate=Positions(manifests.documents),
    )


def warning(about: Resource, message: str, at: str = "2030-01-01T00:00:00Z") -> Event:
    return Event.model_validate(
        {
            "metadata": {"name": f"{about.name}.{at}", "namespace": about.namespace or "default"},
            "involvedObject": {"kind": about.KIND.kind, "name": about.name, "uid": about.metadata.uid},
            "type": "Warning",
            "message": message,
            "lastTimestamp": at,
        }
    )


def _typed(manifest: dict[str, Any]) -> Resource:
    group = manifest["apiVersion"].rpartition("/")[0]
    return kinds()[group, manifest["kind"]].model_validate(manifest)


def _refused(case: dict[str, Any], documents: dict[ObjectKey, Any]) -> set[ObjectKey]:
    return {key for key in documents if str(key) in case.get("refused", ())}
