"""Makes a `State` from what a table says: manifests, what the Kubernetes API has, and which hosts resolve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.edge.workloads import gateway_workloads
from lockgate.gateway.model import Gateway
from lockgate.resources import core, istio
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Origin
from lockgate.resources.model import Resource, kinds
from lockgate.resources.reader import read
from lockgate.runtime.loader import Loaded
from lockgate.runtime.observed import Cluster, Proxy, State
from lockgate.runtime.reports.gateways import services
from lockgate.runtime.reports.refused import of_stacks, refused

ABOUT = {
    "name": "demo",
    "addresses": {"kubernetes": "https://127.0.0.1:1", "aws": "http://127.0.0.1:2", "dns": "127.0.0.1:3"},
    "files": {},
    "aws": {"account": "123456789012", "region": "us-east-1", "access_key_id": "AKIA"},
}


def state(case: Mapping[str, Any], standing: str = "") -> State:
    """`case` has what `tests/cases/runtime/report.yaml` says. `gone` are objects that somebody deleted."""
    reading = read(standing + case.get("manifests", ""), "edge.yaml")
    manifests = Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {})
    planned = plan(manifests, Options(("edge.yaml",), supply=case.get("supply", True)))
    manifests, documents = planned.manifests, planned.documents
    keys = {str(key): key for key in documents}
    loaded = Loaded()
    for name, refusal in case.get("refused", {}).items():
        loaded.refused[keys[name]] = None
        loaded.faults.append(codes.REFUSED.at(Origin(keys[name]), object=name, refusal=refusal))
    stacks = load_balancers(planned, instead=loaded.refused)
    objects = {resource.key: resource for resource in planned.resources if resource.key not in loaded.refused}
    objects |= {resource.key: resource for resource in map(_typed, yaml.safe_load_all(case.get("api", ""))) if resource}
    for name in case.get("gone", ()):
        del objects[next(key for key in objects if str(key) == name)]
    named = {str(key): _with_uid(resource) for key, resource in objects.items()}
    events = [_warning(named[name], message) for name, message in case.get("warned", {}).items()]
    retried = {named[name].key: error for name, error in case.get("retried", {}).items()}
    cluster = Cluster.of([*named.values(), *events])
    workloads = gateway_workloads(services(cluster), cluster.all(istio.Gateway))
    return State(
        about=ABOUT,
        files=manifests.files,
        documents=documents,
        applied=documents.keys() - loaded.refused.keys(),
        refused=refused(manifests.faults, loaded, stacks),
        retried=retried,
        supply=planned.supply,
        notes=planned.supply.notes,
        stacks=stacks,
        cluster=cluster,
        envoys={each.node_id: Proxy(settled=True, gateway=Gateway(each.name, each.namespace)) for each in workloads},
        zones=tuple(case.get("zones", (zone.name for zone in planned.supply.zones))),
        resolved=dict.fromkeys(_resolved(case, planned.supply.hosts), ("127.0.0.2",)),
        issued=frozenset(each.arn for each in planned.supply.certificates),
        faults=(*manifests.faults, *of_stacks(stacks, loaded), *loaded.faults),
        locate=manifests.positions(),
    )


def _resolved(case: Mapping[str, Any], hosts: Iterable[str]) -> Iterable[str]:
    found: Iterable[str] = case.get("resolved", () if "dns" in case.get("parts", "dns") else hosts)
    return found


def _with_uid(resource: Resource) -> Resource:
    """As the API gives each object one."""
    metadata = resource.metadata.model_copy(update={"uid": resource.metadata.uid or str(resource.key)})
    return resource.model_copy(update={"metadata": metadata})


def _warning(about: Resource, message: str) -> core.Event:
    return core.Event.model_validate(
        {
            "metadata": {"name": f"{about.name}.1", "namespace": about.namespace or "default"},
            "involvedObject": {"kind": about.KIND.kind, "name": about.name, "uid": about.metadata.uid},
            "type": "Warning",
            "message": message,
            "lastTimestamp": "2030-01-01T00:00:00Z",
        }
    )


def _typed(manifest: dict[str, Any] | None) -> Resource | None:
    if manifest is None:
        return None
    group = manifest["apiVersion"].rpartition("/")[0]
    return kinds()[group, manifest["kind"]].model_validate(manifest)
