"""A member's certificates: discovered in ACM by host, or requested from ACM.

Source: aws-load-balancer-controller `pkg/ingress/cert_discovery.go`, `model_build_certificates.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.group import Group, Member
from lockgate.ingress.load_balancer import ingress_tags
from lockgate.ingress.refusal import Refused
from lockgate.ingress.stack import CertificateRequest, tracked
from lockgate.ingress.world import Certificate, Settings
from lockgate.resources.faults import Origin


def matching_certificates(hosts: Iterable[str], certificates: Sequence[Certificate]) -> tuple[str, ...]:
    """ARNs of all certificates for the hosts, sorted: the smallest becomes the default."""
    arns: set[str] = set()
    for host in sorted(set(hosts)):
        matches = {item.arn for item in certificates if any(covers(domain, host) for domain in item.domains)}
        if not matches:
            raise Refused(f"no certificate found for host: {host}")
        arns |= matches
    return tuple(sorted(arns))


def covers(domain: str, host: str) -> bool:
    """Whether a certificate's domain covers the host; ``*`` matches one label. Comparison is case-sensitive."""
    if domain.startswith("*."):
        labels, desired = host.split("."), domain.split(".")
        return len(labels) == len(desired) and labels[1:] == desired[1:]
    return domain == host


def hosts_of(member: Member) -> set[str]:
    spec = member.ingress.spec
    return {rule.host for rule in spec.rules if rule.host} | {host for tls in spec.tls for host in tls.hosts}


def requested(member: Member, settings: Settings) -> str | None:
    """The reference of the certificate that the member requests, or None."""
    if "EnableCertificateManagement" not in settings.gates or a.CERTIFICATE_ARN.read(member.ingress):
        return None
    try:
        if not a.CREATE_ACM_CERT.read(member.ingress):
            return None
    except Refused:  # a value that does not parse counts as unset, as upstream
        return None
    hosts = sorted(hosts_of(member))
    if not hosts:
        raise Refused(
            f"ingress {member.key} has create-acm-cert enabled but no hostnames defined in spec.rules[].host or "
            "spec.tls[].hosts — cannot create a certificate without at least one hostname",
            Origin(member.ingress.key, a.CREATE_ACM_CERT.path()),
        )
    kind = "private" if _authority(member, settings) else "amazon_issued"
    return f"{kind}/{hosts[0]}-{sha256(member.key.encode()).hexdigest()[:8]}"


def requests(group: Group, settings: Settings) -> tuple[CertificateRequest, ...]:
    """The certificates that the group's members request from ACM."""
    found = []
    for member in group.members:
        if (reference := requested(member, settings)) is not None:
            tags = ingress_tags(member, settings)
            found.append(
                CertificateRequest(
                    reference,
                    tuple(sorted(hosts_of(member))),
                    _authority(member, settings),
                    tracked(tags, group.id, reference, settings.cluster_name),
                )
            )
    return tuple(found)


def _authority(member: Member, settings: Settings) -> str:
    return a.ACM_PCA_ARN.read(member.ingress) or settings.default_ca_arn
