"""Parses and checks the PEM that ACM gets: a leaf, its key, its chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from lockgate.embedded.aws.protocol import Refusal

if TYPE_CHECKING:
    from cryptography import x509

_KEY_USAGES = {
    "digital_signature": "DIGITAL_SIGNATURE",
    "content_commitment": "NON_REPUDIATION",
    "key_encipherment": "KEY_ENCIPHERMENT",
    "data_encipherment": "DATA_ENCIPHERMENT",
    "key_agreement": "KEY_AGREEMENT",
    "key_cert_sign": "CERTIFICATE_SIGNING",
    "crl_sign": "CRL_SIGNING",
}
_EXTENDED_KEY_USAGES = {
    "1.3.6.1.5.5.7.3.1": "TLS_WEB_SERVER_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.2": "TLS_WEB_CLIENT_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.3": "CODE_SIGNING",
    "1.3.6.1.5.5.7.3.4": "EMAIL_PROTECTION",
    "1.3.6.1.5.5.7.3.8": "TIME_STAMPING",
    "1.3.6.1.5.5.7.3.9": "OCSP_SIGNING",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """The fields of a certificate that ACM returns."""

    names: tuple[str, ...]
    serial: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key_algorithm: str
    signature_algorithm: str
    key_usages: tuple[str, ...]
    extended_key_usages: tuple[tuple[str, str], ...]


def read_leaf(chain: str) -> Leaf:
    """The first certificate of a PEM chain. Raises `ValueError`."""
    from cryptography import x509

    return _leaf(x509.load_pem_x509_certificate(chain.encode()))


def read_import(certificate: bytes, key: bytes, chain: bytes) -> tuple[str, str, Leaf]:
    """The chain (leaf first), the key and the leaf of an import. Raises `Refusal` with ACM's errors."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    certificates = _certificates(certificate, "The certificate")
    if len(certificates) != 1:
        raise Refusal(
            "ValidationException",
            "The certificate field contains more than one certificate. You can specify only one certificate in this "
            "field.",
        )
    above = _certificates(chain, "The certificate chain") if chain.strip() else []
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
        raise Refusal("ValidationException", "The private key is not supported.") from error
    except Exception as error:
        raise Refusal("ValidationException", "The private key is not supported.") from error
    leaf = certificates[0]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise Refusal("ValidationException", "The private key does not match the certificate.")
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        raise Refusal("ValidationException", "The certificate has expired.")
    if now < leaf.not_valid_before_utc:
        raise Refusal("ValidationException", "The certificate is not valid yet.")
    _chained([leaf, *above])
    pem = "".join(cert.public_bytes(Encoding.PEM).decode() for cert in (leaf, *above))
    described = _leaf(leaf)
    if not described.names:
        raise Refusal("ValidationException", "The certificate names no domain.")
    assert isinstance(leaf, x509.Certificate)
    return pem, key.decode(), described


def _chained(chain: Sequence[x509.Certificate]) -> None:
    for child, issuer in pairwise(chain):
        try:
            child.verify_directly_issued_by(issuer)
        except Exception as error:
            raise Refusal(
                "ValidationException", "Could not validate the certificate with the certificate chain."
            ) from error


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Refusal("ValidationException", f"{what} is not a valid PEM.") from error


def _leaf(certificate: x509.Certificate) -> Leaf:
    from cryptography import x509

    names: list[str] = []
    usages: tuple[str, ...] = ()
    extended: tuple[tuple[str, str], ...] = ()
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    names.extend(str(attribute.value) for attribute in common if "." in str(attribute.value))
    for extension in certificate.extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as alternative:
                names.extend(alternative.get_values_for_type(x509.DNSName))
            case x509.KeyUsage() as usage:
                usages = tuple(name for attribute, name in _KEY_USAGES.items() if getattr(usage, attribute))
            case x509.ExtendedKeyUsage() as purposes:
                extended = tuple(
                    (_EXTENDED_KEY_USAGES.get(oid.dotted_string, "CUSTOM"), oid.dotted_string) for oid in purposes
                )
    serial = f"{certificate.serial_number:x}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    digest = certificate.signature_hash_algorithm
    algorithm = _key_algorithm(certificate)
    return Leaf(
        names=tuple(dict.fromkeys(name.lower() for name in names)),
        serial=":".join(serial[at : at + 2] for at in range(0, len(serial), 2)),
        subject=certificate.subject.rfc4514_string(),
        issuer=_organization(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_algorithm=algorithm,
        signature_algorithm=(
            f"{digest.name.upper() if digest else ''}WITH{'ECDSA' if algorithm.startswith('EC') else 'RSA'}"
        ),
        key_usages=usages,
        extended_key_usages=extended,
    )


def _organization(certificate: x509.Certificate) -> str:
    from cryptography.x509 import NameOID

    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := certificate.issuer.get_attributes_for_oid(oid):
            return str(found[0].value)
    return certificate.issuer.rfc4514_string()


def _key_algorithm(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            return f"RSA_{key.key_size}"
        case ec.EllipticCurvePublicKey() as key:
            curve = key.curve.name
            return "EC_prime256v1" if curve == "secp256r1" else f"EC_{curve}"
        case _:
            raise Refusal("ValidationException", "The certificate's public key algorithm is not supported.")
