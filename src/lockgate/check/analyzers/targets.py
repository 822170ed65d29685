"""Targets that are unhealthy by design, or that take requests before they are ready."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.ingress.readiness_gates import injected
from lockgate.resources import core
from lockgate.resources.codes import operations as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.LOCAL_TRAFFIC, codes.NO_READINESS_GATE)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for group in balancer.target_groups.values():
            bound = edge.network.behind(group)
            service = edge.objects.get(core.Service, bound.namespace, bound.service) if bound else None
            if bound is None or service is None:
                continue
            names = {"service": f"{bound.namespace}/{bound.service}", "balancer": balancer.name}
            if group.target_type == "instance" and service.spec.external_traffic_policy == "Local":
                yield codes.LOCAL_TRAFFIC.at(Origin(service.key, ("spec", "externalTrafficPolicy")), **names)
            if group.target_type == "ip" and service.spec.selector:
                namespace = edge.objects.get(core.Namespace, "", bound.namespace)
                if namespace is None or not injected(namespace.metadata.labels):
                    yield codes.NO_READINESS_GATE.at(group.origin, **names)
