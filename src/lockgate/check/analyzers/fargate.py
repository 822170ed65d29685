"""Instance targets for Pods that do not run on instances."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.resources import core, workloads
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault

CODES = (codes.NO_INSTANCES,)

_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"


def analyze(edge: Edge) -> Iterator[Fault]:
    fargate = [each for each in edge.objects.all(workloads.Deployment) if _on_fargate(each)]
    for balancer in edge.application_load_balancers if fargate else ():
        for group in balancer.target_groups.values():
            bound = edge.network.behind(group) if group.target_type == "instance" else None
            service = edge.objects.get(core.Service, bound.namespace, bound.service) if bound else None
            selector = service.spec.selector if service else {}
            for each in fargate if service is not None and selector else ():
                labels = each.spec.template.metadata.labels
                if bound is not None and each.namespace == bound.namespace and selector.items() <= labels.items():
                    yield codes.NO_INSTANCES.at(group.origin, workload=each.key, balancer=balancer.name)


def _on_fargate(deployment: workloads.Deployment) -> bool:
    selector = deployment.spec.template.spec.get("nodeSelector")
    return isinstance(selector, dict) and selector.get(_COMPUTE_TYPE) == "fargate"
