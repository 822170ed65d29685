"""Certificates that a stack requests from ACM: requested, validated by records in Route 53, deleted if unused.

Source: aws-load-balancer-controller `pkg/deploy/acm/certificate_synthesizer.go`, `certificate_manager.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Creation, Json, Resolve, named
from lockgate.ingress.existing import Existing, ExistingCertificate
from lockgate.ingress.stack import CertificateRequest, Stack
from lockgate.ingress.world import Settings

RECORD_TTL: Final = 300  # seconds


@dataclass(frozen=True, slots=True)
class RequestCertificate(Creation):
    service: ClassVar[str] = "acm"
    operation: ClassVar[str] = "request_certificate"

    request: CertificateRequest

    def parameters(self, resolved: Resolve) -> Json:
        authority = self.request.authority_arn
        return {
            "DomainName": self.request.names[0],
            "SubjectAlternativeNames": list(self.request.names),
            "ValidationMethod": "DNS",
            "Tags": shapes.tags(self.request.tags),
            **({"CertificateAuthorityArn": authority} if authority else {}),
        }

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["CertificateArn"])

    def __str__(self) -> str:
        return f"request a certificate for {', '.join(self.request.names)}"


@dataclass(frozen=True, slots=True)
class ValidateCertificate(Change):
    """Writes ACM's validation records into the hosted zones, and waits until the certificate is issued.

    Its call is that for one hosted zone. Records and zone are pending: ACM tells the records after the request.
    """

    service: ClassVar[str] = "route53"
    operation: ClassVar[str] = "change_resource_record_sets"

    certificate: str
    names: tuple[str, ...]

    def parameters(self, resolved: Resolve) -> Json:
        changes = [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": resolved(f"ValidationRecord/{name}/Name"),
                    "Type": "CNAME",
                    "TTL": RECORD_TTL,
                    "ResourceRecords": [{"Value": resolved(f"ValidationRecord/{name}/Value")}],
                },
            }
            for name in self.names
        ]
        return {"HostedZoneId": resolved(f"HostedZone/{self.names[0]}"), "ChangeBatch": {"Changes": changes}}

    def __str__(self) -> str:
        return f"write validation records for {', '.join(self.names)}, and wait for {named(self.certificate)}"


@dataclass(frozen=True, slots=True)
class DeleteCertificate(Change):
    """Its validation records are deleted, too."""

    service: ClassVar[str] = "acm"
    operation: ClassVar[str] = "delete_certificate"

    arn: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"CertificateArn": self.arn}

    def __str__(self) -> str:
        return f"delete {named(self.arn)} and its validation records"


def manages_certificates(settings: Settings) -> bool:
    return "EnableCertificateManagement" in settings.gates


def kept_certificates(stack: Stack, existing: Existing) -> dict[str, ExistingCertificate]:
    """By reference, the existing certificates for the stack's names. The last one wins."""
    requested = {request.reference: frozenset(request.names) for request in stack.certificates}
    return {
        reference: certificate
        for reference, certificate in existing.certificates
        if requested.get(reference) == certificate.names
    }


def certificate_changes(both: Comparison) -> Changes:
    kept = kept_certificates(both.stack, both.existing)
    for request in both.stack.certificates if manages_certificates(both.settings) else ():
        current = kept.get(request.reference)
        if current is None:
            yield RequestCertificate(request.reference, request)
        if current is None or not current.issued:
            yield ValidateCertificate(both.id(request.reference), request.names)


def certificate_deletions(both: Comparison) -> Changes:
    """Deletes them after no listener uses them."""
    requested = {request.reference: frozenset(request.names) for request in both.stack.certificates}
    for reference, certificate in both.existing.certificates:
        if requested.get(reference) != certificate.names:
            yield DeleteCertificate(certificate.arn)
