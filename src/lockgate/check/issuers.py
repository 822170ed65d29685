"""Issuers and ClusterIssuers: looked up as a Certificate names them, and their Route 53 solvers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from lockgate.edge.edge import Edge
from lockgate.resources import cert_manager as cm
from lockgate.resources.faults import Origin

AnyIssuer: TypeAlias = cm.Issuer | cm.ClusterIssuer


def issuers(edge: Edge) -> Iterator[AnyIssuer]:
    yield from edge.objects.all(cm.Issuer)
    yield from edge.objects.all(cm.ClusterIssuer)


def issuer_of(edge: Edge, certificate: cm.Certificate) -> AnyIssuer | None:
    reference = certificate.spec.issuer_ref
    if reference.kind == "ClusterIssuer":
        return edge.objects.get(cm.ClusterIssuer, "", reference.name)
    return edge.objects.get(cm.Issuer, certificate.namespace, reference.name)


def route53_solvers(edge: Edge) -> Iterator[tuple[Origin, cm.Route53]]:
    for issuer in issuers(edge):
        for index, solver in enumerate(issuer.spec.acme.solvers if issuer.spec.acme else ()):
            if solver.dns01 is not None and solver.dns01.route53 is not None:
                path = ("spec", "acme", "solvers", index, "dns01", "route53")
                yield Origin(issuer.key, path), solver.dns01.route53
