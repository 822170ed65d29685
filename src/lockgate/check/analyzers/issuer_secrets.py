"""Secrets of issuers that are in another namespace than cert-manager looks in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lockgate.check.issuers import issuers, route53_solvers
from lockgate.edge.edge import Edge
from lockgate.edge.supply.namespaces import cluster_resource_namespace
from lockgate.resources import core
from lockgate.resources.codes import certificates as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.SECRET_OF_ISSUER_ELSEWHERE,)


def analyze(edge: Edge) -> Iterator[Fault]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for secret in edge.objects.all(core.Secret):
        if secret.key not in edge.supplied:
            found[secret.name].add(secret.namespace)
    central = cluster_resource_namespace(edge.objects)
    for origin, name in _references(edge):
        expected = origin.key.namespace or central
        if found[name] and expected not in found[name]:
            elsewhere = ", ".join(sorted(found[name]))
            yield codes.SECRET_OF_ISSUER_ELSEWHERE.at(origin, secret=name, expected=expected, found=elsewhere)


def _references(edge: Edge) -> Iterator[tuple[Origin, str]]:
    for origin, solver in route53_solvers(edge):
        for field, reference in (
            ("accessKeyIDSecretRef", solver.access_key_id_secret_ref),
            ("secretAccessKeySecretRef", solver.secret_access_key_secret_ref),
        ):
            if reference is not None:
                yield origin.under(field, "name"), reference.name
    for issuer in issuers(edge):
        if issuer.spec.ca is not None:
            yield Origin(issuer.key, ("spec", "ca", "secretName")), issuer.spec.ca.secret_name
