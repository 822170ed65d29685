"""The mesh and the gateways that IstioOperators install, as istioctl reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lockgate.gateway.install import Installation, InstalledGateway, install
from lockgate.gateway.mesh import Mesh
from lockgate.resources import core, istio

Install = Callable[[istio.IstioOperator], Installation]


def mesh_of(operators: Iterable[istio.IstioOperator], install: Install = install) -> Mesh:
    """The oldest operator's settings, because a cluster has one mesh; Istio's defaults without operators."""
    ordered = sorted(operators, key=lambda each: (each.metadata.creation_timestamp, each.name))
    return install(ordered[0]).mesh if ordered else Mesh()


def installed_gateway(
    pod: core.Pod, operators: Iterable[istio.IstioOperator], install: Install = install
) -> InstalledGateway | None:
    """The gateway that a Pod runs, if an operator installs it."""
    for operator in operators:
        for gateway in install(operator).gateways:
            metadata, selector = gateway.service["metadata"], gateway.service["spec"]["selector"]
            if metadata["namespace"] == pod.namespace and selector.items() <= pod.metadata.labels.items():
                return gateway
    return None
