"""What a Certificate or an issuer asks for and does not get here: told, so that nobody misses it without knowing."""

from __future__ import annotations

from lockgate.resources.kinds import Certificate, ClusterIssuer, Issuer

TEMPORARY = "cert-manager.io/issue-temporary-certificate"


def of_certificate(certificate: Certificate) -> tuple[str, ...]:
    spec = certificate.spec
    found = []
    if spec.keystores is not None:
        found.append("spec.keystores is not served here: the Secret gets no keystores")
    if spec.renewal is not None and spec.renewal.windows:
        found.append("spec.renewal.windows is not served here: the certificate is renewed when its time comes")
    if spec.signature_algorithm:
        found.append("spec.signatureAlgorithm is not served here: the key decides which digest is signed")
    if certificate.metadata.annotations.get(TEMPORARY) == "true":
        found.append(f"{TEMPORARY} is not served here: the Secret appears when the certificate is issued")
    return tuple(found)


def of_issuer(issuer: Issuer | ClusterIssuer) -> tuple[str, ...]:
    spec = issuer.spec
    found = []
    if spec.acme is None:
        return ()
    for index, solver in enumerate(spec.acme.solvers):
        path = f"spec.acme.solvers[{index}]"
        if solver.http01 is not None:
            found.append(
                f"{path}.http01 is not served here: no pod answers for it, and the embedded CA does not offer it"
            )
        elif solver.dns01 is not None and solver.dns01.route53 is None:
            found.append(f"{path}.dns01 is not served here but for route53")
        if solver.dns01 is not None and solver.dns01.nameservers:
            found.append(f"{path}.dns01.nameservers is not asked here: the edge's DNS server is")
    return tuple(found)
