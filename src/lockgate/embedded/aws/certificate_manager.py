"""ACM: requested certificates, which are validated over DNS and issued, and imported ones.

This module does not sign certificates. A request is pending until a controller has seen its validation records in DNS,
has had the certificate signed, and calls `issue`. AWS has no public API for this.

Source: ACM API Reference, and ACM User Guide, "DNS validation".
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.embedded.aws import constraints
from lockgate.embedded.aws.certificate_material import Leaf, read_import, read_leaf
from lockgate.embedded.aws.paging import page
from lockgate.embedded.aws.protocol import Call, Refusal, Result

NAMES = 10  # ACM's default quota of names per certificate
DEFAULT_KEY_TYPES = ("RSA_1024", "RSA_2048")  # what ListCertificates returns without a filter
PATIENCE = timedelta(hours=72)  # until a request without validation records times out
REQUESTABLE = ("RSA_2048", "EC_prime256v1", "EC_secp384r1")


@dataclass(frozen=True, slots=True)
class PendingCertificate:
    """A request that is pending validation. `records` are (name in the certificate, CNAME's name, CNAME's value)."""

    arn: str
    names: tuple[str, ...]
    records: tuple[tuple[str, str, str], ...]
    key_algorithm: str = "RSA_2048"


@dataclass(slots=True)
class _Certificate:
    arn: str
    names: tuple[str, ...]
    created_at: datetime
    type: str = "AMAZON_ISSUED"
    key_algorithm: str = "RSA_2048"
    validation_method: str = "DNS"
    options: dict[str, str] = field(default_factory=dict)
    chain: str = field(default="", repr=False)  # leaf first
    key: str = field(default="", repr=False)
    leaf: Leaf | None = None
    issued_at: datetime | None = None
    imported_at: datetime | None = None
    exported: bool = False
    idempotency: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        now = datetime.now(UTC)
        if self.leaf is None:
            return "PENDING_VALIDATION" if now - self.created_at < PATIENCE else "VALIDATION_TIMED_OUT"
        return "ISSUED" if now <= self.leaf.not_after else "EXPIRED"


class CertificateManager:
    """One region's certificates. `in_use_by` returns the ARNs of the load balancers that use a certificate."""

    def __init__(self, account: str, region: str, in_use_by: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self._account = account
        self._region = region
        self._in_use_by = in_use_by
        self._certificates: dict[str, _Certificate] = {}
        self._days_before_expiry = 45
        self._operations: Mapping[str, Callable[[dict[str, Any]], Result]] = {
            "RequestCertificate": self._request,
            "DescribeCertificate": self._describe,
            "ListCertificates": self._list,
            "GetCertificate": self._get,
            "ImportCertificate": self._import,
            "DeleteCertificate": self._delete,
            "ExportCertificate": self._export,
            "RenewCertificate": self._renew,
            "UpdateCertificateOptions": self._update_options,
            "ResendValidationEmail": self._resend,
            "AddTagsToCertificate": self._add_tags,
            "RemoveTagsFromCertificate": self._remove_tags,
            "ListTagsForCertificate": self._list_tags,
            "GetAccountConfiguration": self._account_configuration,
            "PutAccountConfiguration": self._put_account_configuration,
        }

    # --- the API

    def answer(self, call: Call) -> Result:
        operation = self._operations.get(call.operation)
        if operation is None:
            raise Refusal("NotImplemented", f"{call.operation} of ACM is not served here")
        if call.parameters.get("CertificateArn") not in self._certificates:  # supplied ones may have any string as ARN
            constraints.check(call)
        return operation(call.parameters)

    def _request(self, given: dict[str, Any]) -> Result:
        domain = str(given["DomainName"]).lower()
        others = [str(name).lower() for name in given.get("SubjectAlternativeNames", ())]
        names = tuple(dict.fromkeys((domain, *others)))
        if len(names) > NAMES:
            raise Refusal("LimitExceededException", f"A certificate can have {NAMES} names; {len(names)} were given.")
        if len(domain) > 64:
            raise Refusal(
                "ValidationException",
                "The first domain name can be no longer than 64 octets: it becomes the certificate's common name. "
                "Longer names may follow as subject alternative names.",
            )
        algorithm = given.get("KeyAlgorithm", "RSA_2048")
        if algorithm not in REQUESTABLE:
            raise Refusal("ValidationException", f"The key algorithm {algorithm} can only be imported.")
        idempotency = f"{given.get('IdempotencyToken', '')}{names}" if given.get("IdempotencyToken") else ""
        now = datetime.now(UTC)
        for known in self._certificates.values():
            if idempotency and known.idempotency == idempotency and (now - known.created_at).total_seconds() < 3600:
                return {"CertificateArn": known.arn}
        arn = f"arn:aws:acm:{self._region}:{self._account}:certificate/{uuid.uuid4()}"
        self._certificates[arn] = _Certificate(
            arn,
            names,
            now,
            key_algorithm=algorithm,
            validation_method=given.get("ValidationMethod", "EMAIL"),
            options={"CertificateTransparencyLoggingPreference": "ENABLED", **given.get("Options", {})},
            idempotency=idempotency,
            tags={tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", ())},
        )
        return {"CertificateArn": arn}

    def _describe(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        users = list(self._in_use_by(certificate.arn))
        detail: dict[str, Any] = {
            "CertificateArn": certificate.arn,
            "DomainName": certificate.names[0],
            "SubjectAlternativeNames": list(certificate.names),
            "CreatedAt": certificate.created_at,
            "Status": certificate.status,
            "Type": certificate.type,
            "KeyAlgorithm": certificate.key_algorithm,
            "InUseBy": users,
            "RenewalEligibility": "ELIGIBLE" if users and certificate.type == "AMAZON_ISSUED" else "INELIGIBLE",
            "Options": certificate.options or {"CertificateTransparencyLoggingPreference": "DISABLED"},
        }
        if certificate.type == "AMAZON_ISSUED":
            detail["DomainValidationOptions"] = [self._validation(certificate, n) for n in certificate.names]
        if certificate.issued_at:
            detail["IssuedAt"] = certificate.issued_at
        if certificate.imported_at:
            detail["ImportedAt"] = certificate.imported_at
        if leaf := certificate.leaf:
            detail |= {
                "Serial": leaf.serial,
                "Subject": leaf.subject,
                "Issuer": leaf.issuer,
                "NotBefore": leaf.not_before,
                "NotAfter": leaf.not_after,
                "SignatureAlgorithm": leaf.signature_algorithm,
                "KeyUsages": [{"Name": usage} for usage in leaf.key_usages],
                "ExtendedKeyUsages": [{"Name": name, "OID": oid} for name, oid in leaf.extended_key_usages],
            }
        return {"Certificate": detail}

    def _validation(self, certificate: _Certificate, name: str) -> dict[str, Any]:
        domain = name.removeprefix("*.")
        option: dict[str, Any] = {
            "DomainName": name,
            "ValidationDomain": domain,
            "ValidationStatus": {"PENDING_VALIDATION": "PENDING_VALIDATION", "VALIDATION_TIMED_OUT": "FAILED"}.get(
                certificate.status, "SUCCESS"
            ),
            "ValidationMethod": certificate.validation_method,
        }
        if certificate.validation_method == "DNS":
            record, value = validation_record(self._account, name)
            option["ResourceRecord"] = {"Name": record, "Type": "CNAME", "Value": value}
        else:
            option["ValidationEmails"] = [
                f"{mailbox}@{domain}" for mailbox in ("administrator", "hostmaster", "postmaster", "webmaster", "admin")
            ]
        return option

    def _list(self, given: dict[str, Any]) -> Result:
        statuses = given.get("CertificateStatuses")
        includes = given.get("Includes", {})
        key_types = includes.get("keyTypes") or DEFAULT_KEY_TYPES
        shown = [
            self._summary(certificate)
            for certificate in self._certificates.values()
            if (not statuses or certificate.status in statuses) and certificate.key_algorithm in key_types
        ]
        if given.get("SortOrder") == "DESCENDING":
            shown.reverse()
        summaries, token = page(shown, given.get("NextToken"), given.get("MaxItems", 1000))
        return {"CertificateSummaryList": summaries, **({"NextToken": token} if token else {})}

    def _summary(self, certificate: _Certificate) -> dict[str, Any]:
        users = self._in_use_by(certificate.arn)
        summary: dict[str, Any] = {
            "CertificateArn": certificate.arn,
            "DomainName": certificate.names[0],
            "SubjectAlternativeNameSummaries": list(certificate.names[:100]),
            "HasAdditionalSubjectAlternativeNames": len(certificate.names) > 100,
            "Status": certificate.status,
            "Type": certificate.type,
            "KeyAlgorithm": certificate.key_algorithm,
            "InUse": bool(users),
            "Exported": certificate.exported,
            "RenewalEligibility": "ELIGIBLE" if users and certificate.type == "AMAZON_ISSUED" else "INELIGIBLE",
            "CreatedAt": certificate.created_at,
        }
        if certificate.issued_at:
            summary["IssuedAt"] = certificate.issued_at
        if certificate.imported_at:
            summary["ImportedAt"] = certificate.imported_at
        if certificate.leaf:
            summary |= {"NotBefore": certificate.leaf.not_before, "NotAfter": certificate.leaf.not_after}
            summary["KeyUsages"] = list(certificate.leaf.key_usages)
            summary["ExtendedKeyUsages"] = [name for name, _ in certificate.leaf.extended_key_usages]
        return summary

    def _get(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        if not certificate.chain:
            raise Refusal(
                "RequestInProgressException",
                f"The certificate request {certificate.arn} is in process and the certificate has not been issued yet.",
            )
        leaf, _, rest = certificate.chain.partition("-----END CERTIFICATE-----\n")
        answer = {"Certificate": f"{leaf}-----END CERTIFICATE-----\n"}
        return answer | ({"CertificateChain": rest} if rest.strip() else {})

    def _import(self, given: dict[str, Any]) -> Result:
        chain, key, leaf = read_import(given["Certificate"], given["PrivateKey"], given.get("CertificateChain", b""))
        now = datetime.now(UTC)
        arn = given.get("CertificateArn")
        if arn is not None:
            certificate = self._find(given)
            if certificate.type != "IMPORTED":
                raise Refusal("ValidationException", f"Certificate {arn} was not imported and cannot be replaced.")
            if given.get("Tags"):
                raise Refusal("ValidationException", "Tagging is not permitted on re-import.")
        else:
            arn = f"arn:aws:acm:{self._region}:{self._account}:certificate/{uuid.uuid4()}"
            certificate = _Certificate(arn, leaf.names, now, type="IMPORTED", validation_method="")
            certificate.tags = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", ())}
            self._certificates[arn] = certificate
        certificate.names, certificate.chain, certificate.key, certificate.leaf = leaf.names, chain, key, leaf
        certificate.key_algorithm, certificate.imported_at = leaf.key_algorithm, now
        return {"CertificateArn": arn}

    def _delete(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        if self._in_use_by(certificate.arn):
            raise Refusal(
                "ResourceInUseException",
                f"Certificate {certificate.arn} in account {self._account} is in use.",
            )
        del self._certificates[certificate.arn]
        return {}

    def _export(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        raise Refusal("ValidationException", f"Certificate {certificate.arn} is not an exportable certificate.")

    def _renew(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        if not self._in_use_by(certificate.arn) or certificate.type != "AMAZON_ISSUED":
            raise Refusal("ValidationException", f"Certificate {certificate.arn} is not eligible for renewal.")
        return {}

    def _update_options(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        if certificate.type == "IMPORTED":
            raise Refusal("InvalidStateException", "Options of an imported certificate cannot be changed.")
        certificate.options |= given["Options"]
        return {}

    def _resend(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        if certificate.validation_method != "EMAIL" or certificate.status != "PENDING_VALIDATION":
            raise Refusal("InvalidStateException", f"Certificate {certificate.arn} does not wait for an email.")
        return {}

    def _add_tags(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        tags = certificate.tags | {tag["Key"]: tag.get("Value", "") for tag in given["Tags"]}
        if any(key.lower().startswith("aws:") for key in tags):
            raise Refusal("InvalidTagException", "Tag keys cannot start with aws:")
        if len(tags) > 50:
            raise Refusal("TooManyTagsException", "the certificate would have more than 50 tags")
        certificate.tags = tags
        return {}

    def _remove_tags(self, given: dict[str, Any]) -> Result:
        certificate = self._find(given)
        for tag in given["Tags"]:
            if tag.get("Value") in (None, certificate.tags.get(tag["Key"])):
                certificate.tags.pop(tag["Key"], None)
        return {}

    def _list_tags(self, given: dict[str, Any]) -> Result:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._find(given).tags.items()]}

    def _account_configuration(self, given: dict[str, Any]) -> Result:
        return {"ExpiryEvents": {"DaysBeforeExpiry": self._days_before_expiry}}

    def _put_account_configuration(self, given: dict[str, Any]) -> Result:
        self._days_before_expiry = given.get("ExpiryEvents", {}).get("DaysBeforeExpiry", self._days_before_expiry)
        return {}

    def _find(self, given: dict[str, Any]) -> _Certificate:
        arn = given["CertificateArn"]
        if arn not in self._certificates:
            raise Refusal("ResourceNotFoundException", f"Could not find certificate {arn}.")
        return self._certificates[arn]

    # --- what AWS does internally

    def create(self, arn: str, names: tuple[str, ...]) -> None:
        """Creates a certificate that is pending validation, with exactly this ARN.

        An existing one for other names is issued again for these, and is served unchanged until then.
        """
        now = datetime.now(UTC)
        existing = self._certificates.get(arn)
        if existing is None:
            options = {"CertificateTransparencyLoggingPreference": "ENABLED"}
            self._certificates[arn] = _Certificate(arn, names, now, options=options)
        elif existing.names != names:
            existing.names, existing.leaf, existing.created_at = names, None, now

    def pending(self) -> tuple[PendingCertificate, ...]:
        return tuple(
            PendingCertificate(
                certificate.arn,
                certificate.names,
                tuple((name, *validation_record(self._account, name)) for name in certificate.names),
                certificate.key_algorithm,
            )
            for certificate in self._certificates.values()
            if certificate.status == "PENDING_VALIDATION" and certificate.validation_method == "DNS"
        )

    def issue(self, arn: str, chain: str, key: str) -> None:
        """Raises `LookupError` for a deleted certificate, `ValueError` for a chain that does not parse."""
        certificate = self._certificates[arn]
        certificate.leaf = read_leaf(chain)
        certificate.chain, certificate.key = chain, key
        certificate.issued_at = datetime.now(UTC)

    def holds(self, arn: str) -> bool:
        return arn in self._certificates

    def material(self, arn: str) -> tuple[str, str] | None:
        certificate = self._certificates.get(arn)
        return (certificate.chain, certificate.key) if certificate and certificate.chain else None

    def key_algorithm(self, arn: str) -> str | None:
        """None for a certificate that does not exist or is not issued, which a listener cannot use."""
        certificate = self._certificates.get(arn)
        return certificate.key_algorithm if certificate and certificate.status == "ISSUED" else None


def validation_record(account: str, name: str) -> tuple[str, str]:
    """The CNAME that validates `name`. A domain and its wildcard share one, and an account always gets the same one."""
    domain = name.removeprefix("*.")
    digest = hashlib.sha256(f"{account}/{domain}".encode()).hexdigest()
    zone = "".join(chr(ord("a") + byte % 26) for byte in hashlib.sha256(digest.encode()).digest()[:10])
    return f"_{digest[:32]}.{domain}.", f"_{digest[32:]}.{zone}.acm-validations.aws."
