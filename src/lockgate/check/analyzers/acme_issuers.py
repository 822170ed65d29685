"""ACME issuers: their environment, their account key, and their credentials for Route 53."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.issuers import issuers, route53_solvers
from lockgate.edge.edge import Edge
from lockgate.resources.codes import certificates as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.STAGING, codes.KEY_OF_OTHER_CA, codes.NO_AMBIENT_CREDENTIALS)


def analyze(edge: Edge) -> Iterator[Fault]:
    for issuer in issuers(edge):
        acme = issuer.spec.acme
        if acme is None or ".letsencrypt.org/" not in acme.server:
            continue
        origin, staging = Origin(issuer.key, ("spec", "acme")), "staging" in acme.server
        if staging:
            yield codes.STAGING.at(origin.under("server"))
        key = acme.private_key_secret_ref.name
        named = next((word for word in ("staging", "prod") if word in key.lower()), None)
        if named is not None and (named == "staging") != staging:
            yield codes.KEY_OF_OTHER_CA.at(
                origin.under("privateKeySecretRef", "name"),
                key=key,
                named="staging" if named == "staging" else "production",
                server="staging" if staging else "production",
            )
    for origin, solver in route53_solvers(edge):
        keyed = solver.access_key_id or solver.access_key_id_secret_ref or solver.auth
        if origin.key.kind == "Issuer" and not keyed:
            yield codes.NO_AMBIENT_CREDENTIALS.at(origin)
