"""Credentials in manifests: Secrets with their contents, and access keys in issuers."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.issuers import route53_solvers
from lockgate.edge.edge import Edge
from lockgate.resources import core
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.SECRET_IN_FILE, codes.ACCESS_KEY_IN_ISSUER)

_HARMLESS = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")  # written by the cluster

_PUBLIC = ("ca.crt", "cacert", "ca.crl", "crl", "tls.crt", "cert")  # certificates and revocation lists


def analyze(edge: Edge) -> Iterator[Fault]:
    for secret in edge.objects.all(core.Secret):
        if secret.type in _HARMLESS:
            continue
        for field, entries in (("data", secret.data), ("stringData", secret.string_data)):
            if any(value and name not in _PUBLIC for name, value in entries.items()):
                yield codes.SECRET_IN_FILE.at(Origin(secret.key, (field,), at_key=True))
    for origin, solver in route53_solvers(edge):
        if solver.access_key_id:
            key = solver.access_key_id
            yield codes.ACCESS_KEY_IN_ISSUER.at(origin.under("accessKeyID"), key=f"{key[:4]}…{key[-4:]}")
