"""Certificates that cert-manager cannot issue, or not as they say."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.certificates.solvers import pick, solver_type
from lockgate.check.issuers import AnyIssuer, issuer_of
from lockgate.edge.edge import Edge
from lockgate.resources import cert_manager as cm
from lockgate.resources.codes import certificates as codes
from lockgate.resources.faults import Fault, Origin

CODES = (
    codes.SHARED_SECRET,
    codes.WILDCARD_BY_HTTP,
    codes.ISSUER_NOT_FOUND,
    codes.NO_SOLVER,
    codes.DURATION_IGNORED,
)


def analyze(edge: Edge) -> Iterator[Fault]:
    owners: dict[tuple[str, str], cm.Certificate] = {}
    for certificate in edge.objects.all(cm.Certificate):
        spec, origin = certificate.spec, Origin(certificate.key)
        first = owners.setdefault((certificate.namespace, spec.secret_name), certificate)
        if first is not certificate:
            place = origin.under("spec", "secretName")
            yield codes.SHARED_SECRET.at(place, other=first.key, secret=spec.secret_name)
        if spec.issuer_ref.group not in ("", "cert-manager.io"):
            continue  # an external issuer
        issuer = issuer_of(edge, certificate)
        if issuer is None:
            reference = spec.issuer_ref
            named = f"{reference.kind or 'Issuer'} {reference.name}"
            yield codes.ISSUER_NOT_FOUND.at(origin.under("spec", "issuerRef", "name"), issuer=named)
        elif issuer.spec.acme is not None:
            yield from _by_acme(certificate, issuer, issuer.spec.acme)


def _by_acme(certificate: cm.Certificate, issuer: AnyIssuer, acme: cm.ACMEIssuer) -> Iterator[Fault]:
    origin = Origin(certificate.key, ("spec",))
    if certificate.spec.duration and not acme.enable_duration_feature:
        yield codes.DURATION_IGNORED.at(origin.under("duration"), duration=certificate.spec.duration)
    types = {solver_type(solver) for solver in acme.solvers}
    for index, name in enumerate(certificate.spec.dns_names):
        wildcard, domain = name.startswith("*."), name.removeprefix("*.")
        offered = ("dns-01",) if wildcard else ("dns-01", "http-01")
        labels = certificate.metadata.labels
        if pick(acme.solvers, domain, wildcard=wildcard, labels=labels, offered=offered) is not None:
            continue
        code = codes.WILDCARD_BY_HTTP if wildcard and types == {"http-01"} else codes.NO_SOLVER
        yield code.at(origin.under("dnsNames", index), name=name, issuer=issuer.key)
