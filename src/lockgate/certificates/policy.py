"""Whether a Certificate's Secret is up to date, and if not, why: the first violation of a chain of policies.

The same chain triggers an issuance and explains why a Certificate is not ready; only the last policy differs.
Source: cert-manager, `pkg/controller/certificates/trigger/policies`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509

from lockgate.certificates.keys import PrivateKey, UnreadableKey, load_key, same_key
from lockgate.certificates.request import (
    certificate_mismatches,
    key_spec,
    load_chain,
    load_request,
    request_mismatches,
)
from lockgate.certificates.secret import CERTIFICATE_NAME, ISSUER_GROUP, ISSUER_KIND, ISSUER_NAME
from lockgate.certificates.times import go_time, parse_duration, rfc1123
from lockgate.resources import cert_manager as cm
from lockgate.resources import core


@dataclass(frozen=True, slots=True)
class Violation:
    """A condition's reason and message."""

    reason: str
    message: str


@dataclass(frozen=True)
class Input:
    """`request` is the CertificateRequest of the Certificate's current revision, if it still exists."""

    certificate: cm.Certificate
    secret: core.Secret | None
    request: cm.CertificateRequest | None
    now: datetime

    @cached_property
    def data(self) -> dict[str, bytes]:
        return self.secret.decoded if self.secret else {}

    @cached_property
    def key(self) -> PrivateKey:
        return load_key(self.data.get("tls.key", b""))

    @cached_property
    def leaf(self) -> x509.Certificate:
        return load_chain(self.data.get("tls.crt", b""))[0]


def trigger(given: Input) -> Violation | None:
    """Why a new certificate must be issued; None if the one in the Secret is up to date."""
    return _first(given, (*_SHARED, _nearing_expiry))


def readiness(given: Input) -> Violation | None:
    """Why a Certificate is not ready."""
    return _first(given, (*_SHARED, _expired))


def renewal_time(spec: cm.CertificateSpec, leaf: x509.Certificate) -> datetime:
    """A third of the lifetime before expiry, unless the spec sets another time and the lifetime allows it."""
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    lifetime = end - start
    before = lifetime / 3
    if spec.renew_before:
        desired = parse_duration(spec.renew_before)
        if timedelta(0) < desired < lifetime:
            before = desired
    elif spec.renew_before_percentage is not None and 0 < spec.renew_before_percentage < 100:
        before = lifetime * spec.renew_before_percentage / 100
    return (end - before).replace(microsecond=0)


def _first(given: Input, policies: Iterable[Callable[[Input], Violation | None]]) -> Violation | None:
    return next((violation for policy in policies if (violation := policy(given))), None)


def _missing(given: Input) -> Violation | None:
    if given.secret is None:
        return Violation("DoesNotExist", "Issuing certificate as Secret does not exist")
    if not given.data:
        return Violation("MissingData", "Issuing certificate as Secret does not contain any data")
    if not given.data.get("tls.key"):
        return Violation("MissingData", "Issuing certificate as Secret does not contain a private key")
    if not given.data.get("tls.crt"):
        return Violation("MissingData", "Issuing certificate as Secret does not contain a certificate")
    return None


def _broken_pair(given: Input) -> Violation | None:
    try:
        key = given.key
    except UnreadableKey as error:
        message = f"Issuing certificate as Secret contains invalid private key data: {error}"
        return Violation("InvalidKeyPair", message)
    try:
        leaf = given.leaf
    except ValueError:
        message = "Issuing certificate as Secret contains an invalid certificate: error decoding certificate PEM block"
        return Violation("InvalidCertificate", message)
    if not same_key(key.public_key(), leaf.public_key()):
        message = "Issuing certificate as Secret contains a private key that does not match the certificate"
        return Violation("InvalidKeyPair", message)
    return None


def _other_issuer(given: Input) -> Violation | None:
    assert given.secret is not None
    found = given.secret.metadata.annotations
    name, kind, group = (found.get(key, "") for key in (ISSUER_NAME, ISSUER_KIND, ISSUER_GROUP))
    desired = given.certificate.spec.issuer_ref
    if (
        (not name or name == desired.name)
        and (kind or "Issuer") == desired.kind
        and (group or "cert-manager.io") == desired.group
    ):
        return None
    was = f"{kind or 'Issuer'}.{group or 'cert-manager.io'}/{name}"
    return Violation("IncorrectIssuer", f'Issuing certificate as Secret was previously issued by "{was}"')


def _other_certificate(given: Input) -> Violation | None:
    assert given.secret is not None
    name = given.secret.metadata.annotations.get(CERTIFICATE_NAME)
    if name is None or name == given.certificate.name:
        return None
    return Violation(
        "IncorrectCertificate",
        f'Secret was issued for "{name}". If this message is not transient, you might have two conflicting '
        "Certificates pointing to the same secret.",
    )


def _other_key_spec(given: Input) -> Violation | None:
    fields = key_spec(given.certificate.spec).mismatches(given.key)
    if not fields:
        return None
    return Violation("SecretMismatch", f"Existing private key is not up to date for spec: {go_list(fields)}")


def _key_of_another_request(given: Input) -> Violation | None:
    if given.request is None:
        return None
    try:
        request = load_request(given.request)
    except ValueError:
        return Violation(
            "InvalidCertificateRequest", "Failed to decode CSR: error decoding certificate request PEM block"
        )
    if same_key(request.public_key(), given.key.public_key()):
        return None
    message = "Secret contains a private key that does not match the current CertificateRequest"
    return Violation("SecretMismatch", message)


def _changed_spec(given: Input) -> Violation | None:
    spec = given.certificate.spec
    if given.request is not None:
        if fields := request_mismatches(spec, given.request):
            message = f"Fields on existing CertificateRequest resource not up to date: {go_list(fields)}"
            return Violation("RequestChanged", message)
        return None
    if fields := certificate_mismatches(spec, given.leaf):
        message = f"Issuing certificate as Existing issued Secret is not up to date for spec: {go_list(fields)}"
        return Violation("SecretMismatch", message)
    return None


def _nearing_expiry(given: Input) -> Violation | None:
    spec = given.certificate.spec
    if spec.renewal and spec.renewal.policy == "Disabled":
        return None
    due = renewal_time(spec, given.leaf)
    if given.now < due:
        return None
    return Violation("Renewing", f"Renewing certificate as renewal was scheduled at {go_time(due)}")


def _expired(given: Input) -> Violation | None:
    end = given.leaf.not_valid_after_utc
    return Violation("Expired", f"Certificate expired on {rfc1123(end)}") if given.now >= end else None


_SHARED: tuple[Callable[[Input], Violation | None], ...] = (
    _missing,
    _broken_pair,
    _other_issuer,
    _other_certificate,
    _other_key_spec,
    _key_of_another_request,
    _changed_spec,
)


def go_list(items: Iterable[str]) -> str:
    """A slice of strings as Go prints it."""
    return f"[{' '.join(items)}]"
