"""cert-manager's webhook: `internal/apis/certmanager/validation`, in its own words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from lockgate.resources import cert_manager as cm
from lockgate.resources import durations, field_errors
from lockgate.resources.cert_manager import DNS01_PROVIDERS
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules import metadata

WEBHOOK = "webhook.cert-manager.io"

_HOUR, _MINUTE = 3600 * 10**9, 60 * 10**9
_DEFAULT_DURATION = 2160 * _HOUR
KEY_USAGES = frozenset(
    (
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    )
)


def certificate(certificate: cm.Certificate) -> Iterator[FieldError]:
    yield from _said_by_webhook(_certificate(certificate.spec))


def certificate_request(request: cm.CertificateRequest) -> Iterator[FieldError]:
    yield from _said_by_webhook(_issuer_reference(request.spec.issuer_ref))


def issuer(issuer: cm.Issuer | cm.ClusterIssuer) -> Iterator[FieldError]:
    yield from _said_by_webhook(_issuer(issuer.spec))


def _said_by_webhook(found: Iterator[FieldError]) -> Iterator[FieldError]:
    for fault in found:
        yield replace(fault, webhook=WEBHOOK)


def _certificate(spec: cm.CertificateSpec) -> Iterator[FieldError]:
    path = ("spec",)
    if not spec.secret_name:
        yield field_errors.required((*path, "secretName"), "must be specified")
    else:
        yield from metadata.dns_subdomain((*path, "secretName"), spec.secret_name)
    yield from _issuer_reference(spec.issuer_ref)
    names = (
        spec.common_name or spec.literal_subject,
        spec.dns_names,
        spec.email_addresses,
        spec.ip_addresses,
        spec.other_names,
        spec.uris,
    )
    if not any(names):
        problem = (
            "at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, "
            "ipAddresses, otherNames, or uriSANs must be set"
        )
        yield field_errors.invalid(path, "", problem)
    if len(spec.common_name.encode()) > 64:
        yield field_errors.too_long((*path, "commonName"), 64)
    for index, address in enumerate(spec.ip_addresses):
        if not _is_address(address):
            yield field_errors.invalid((*path, "ipAddresses", index), address, "invalid IP address")
    if spec.private_key is not None:
        yield from _private_key((*path, "privateKey"), spec.private_key)
    yield from _times(spec)
    for index, usage in enumerate(spec.usages):
        if usage not in KEY_USAGES:
            yield field_errors.invalid((*path, "usages", index), usage, "unknown keyusage")
    if spec.revision_history_limit is not None and spec.revision_history_limit < 1:
        yield field_errors.invalid(
            (*path, "revisionHistoryLimit"), spec.revision_history_limit, "must not be less than 1"
        )
    if spec.secret_template is not None:
        at = (*path, "secretTemplate", "annotations")
        for key, value in spec.secret_template.annotations.items():
            if key.startswith("cert-manager.io/") and key != "cert-manager.io/allow-direct-injection":
                yield field_errors.invalid((*at, key), value, "cert-manager.io/* annotations are not allowed")


def _times(spec: cm.CertificateSpec) -> Iterator[FieldError]:
    duration = _DEFAULT_DURATION
    if spec.duration is not None:
        parsed = durations.nanoseconds(spec.duration)
        if parsed is None:
            yield field_errors.invalid(("spec", "duration"), spec.duration, "not a duration such as 2160h")
            return
        duration = parsed
        if duration < _HOUR:
            # cert-manager's message says "greater", but its check accepts exactly one hour.
            at = ("spec", "duration")
            yield field_errors.invalid(at, spec.duration, f"certificate duration must be greater than {_text(_HOUR)}")
    if spec.renew_before is None:
        return
    before = durations.nanoseconds(spec.renew_before)
    path = ("spec", "renewBefore")
    if before is None:
        yield field_errors.invalid(path, spec.renew_before, "not a duration such as 360h")
        return
    if spec.renew_before_percentage is not None:
        problem = "renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set"
        yield field_errors.invalid(path, spec.renew_before, problem)
    if before < 5 * _MINUTE:
        problem = f"certificate renewBefore must be greater than {_text(5 * _MINUTE)}"
        yield field_errors.invalid(path, spec.renew_before, problem)
    if duration <= before:
        problem = f"certificate duration {_text(duration)} must be greater than renewBefore {_text(before)}"
        yield field_errors.invalid(path, spec.renew_before, problem)


_text = durations.go_text


def _private_key(path: Path, key: cm.CertificatePrivateKey) -> Iterator[FieldError]:
    at = (*path, "size")
    match key.algorithm:
        case None | "RSA":
            if key.size and not 2048 <= key.size <= 8192:
                yield field_errors.invalid(at, key.size, "must be between 2048 and 8192 for rsa keyAlgorithm")
        case "ECDSA":
            if key.size and key.size not in (256, 384, 521):
                yield field_errors.unsupported(at, key.size, ("256", "384", "521"))
        case "Ed25519":
            pass  # its size is fixed, and the field is ignored


def _issuer_reference(reference: cm.IssuerReference) -> Iterator[FieldError]:
    path = ("spec", "issuerRef")
    if not reference.name:
        yield field_errors.required((*path, "name"), "must be specified")
    # Issuers of other groups are validated by their controllers.
    if reference.group == "cert-manager.io" and reference.kind not in ("Issuer", "ClusterIssuer"):
        yield field_errors.invalid((*path, "kind"), reference.kind, "must be one of Issuer or ClusterIssuer")


def _issuer(spec: cm.IssuerSpec) -> Iterator[FieldError]:
    set_types = [
        name
        for name, value in (
            ("acme", spec.acme),
            ("ca", spec.ca),
            ("selfSigned", spec.self_signed),
            ("vault", spec.vault),
            ("venafi", spec.venafi),
        )
        if value is not None
    ]
    if not set_types:
        yield field_errors.required(("spec",), "at least one issuer must be configured")
    for name in set_types[1:]:
        yield field_errors.forbidden(("spec", name), "may not specify more than one issuer type")
    if spec.acme is not None:
        yield from _acme(("spec", "acme"), spec.acme)
    if spec.ca is not None and not spec.ca.secret_name:
        yield field_errors.required(("spec", "ca", "secretName"))


def _acme(path: Path, acme: cm.ACMEIssuer) -> Iterator[FieldError]:
    if not acme.private_key_secret_ref.name:
        at = (*path, "privateKeySecretRef", "name")
        yield field_errors.required(at, "private key secret name is a required field")
    if not acme.server:
        yield field_errors.required((*path, "server"), "acme server URL is a required field")
    if acme.ca_bundle and acme.skip_tls_verify:
        problem = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set"
        yield field_errors.invalid((*path, "caBundle"), "<snip>", problem)
    if len(acme.preferred_chain) > 64:
        yield field_errors.too_long((*path, "preferredChain"), 64)
    binding = acme.external_account_binding
    if binding is not None:
        at = (*path, "externalAccountBinding")
        if not binding.key_id:
            problem = "the keyID field is required when using externalAccountBinding"
            yield field_errors.required((*at, "keyID"), problem)
        yield from _secret_key((*at, "keySecretRef"), binding.key_secret_ref)
    for index, solver in enumerate(acme.solvers):
        yield from _solver((*path, "solvers", index), solver)


def _solver(path: Path, solver: cm.Solver) -> Iterator[FieldError]:
    if solver.http01 is None and solver.dns01 is None:
        yield field_errors.required(path, "no solver type configured")
    if solver.http01 is not None and solver.dns01 is not None:
        problem = "may not specify more than one solver type in a single solver"
        yield field_errors.forbidden((*path, "dns01"), problem)
    if solver.http01 is not None and solver.http01.ingress is None and solver.http01.gateway_http_route is None:
        yield field_errors.required((*path, "http01"), "no HTTP01 solver type configured")
    if solver.dns01 is not None:
        yield from _dns01((*path, "dns01"), solver.dns01)
    wait = solver.wait_instead_of_self_check
    if wait is not None and (durations.nanoseconds(wait) is None or wait.startswith("-")):
        at = (*path, "waitInsteadOfSelfCheck")
        yield field_errors.invalid(at, wait, "must be greater than or equal to 0")


def _dns01(path: Path, solver: cm.DNS01Solver) -> Iterator[FieldError]:
    said = solver.manifest()
    providers = [name for name in DNS01_PROVIDERS if name in said]
    if not providers:
        yield field_errors.required(path, "no DNS01 provider configured")
    for name in providers[1:]:
        yield field_errors.forbidden((*path, name), "may not specify more than one provider type")
    route53 = solver.route53
    if route53 is None:
        return
    at = (*path, "route53")
    if route53.access_key_id and route53.access_key_id_secret_ref is not None:
        yield field_errors.required(at, "accessKeyID and accessKeyIDSecretRef cannot both be specified")
    if route53.access_key_id_secret_ref is not None:
        yield from _secret_key((*at, "accessKeyIDSecretRef"), route53.access_key_id_secret_ref)
    secret = route53.secret_access_key_secret_ref
    if secret is not None and (secret.name or secret.key):
        yield from _secret_key((*at, "secretAccessKeySecretRef"), secret)


def _secret_key(path: Path, reference: cm.SecretKeyReference) -> Iterator[FieldError]:
    if not reference.name:
        yield field_errors.required((*path, "name"), "secret name is required")
    if not reference.key:
        yield field_errors.required((*path, "key"), "secret key is required")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
