"""Load balancers that send requests straight to Pods whose sidecars take the mesh's mutual TLS alone."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.edge.mutual_tls import refusing
from lockgate.resources import istio
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault

CODES = (codes.STRICT_TARGETS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers if edge.objects.all(istio.PeerAuthentication) else ():
        for group in balancer.target_groups.values():
            service = edge.network.behind(group, group.targets[0] if group.targets else None)
            if service and (policy := refusing(edge, service)):
                named = f"{policy.namespace}/{policy.name}"
                yield codes.STRICT_TARGETS.at(group.origin, balancer=balancer.name, service=service, policy=named)
