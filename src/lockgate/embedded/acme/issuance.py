"""Issues a certificate for an order and its CSR (RFC 8555 section 7.4), and defines the profiles."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from lockgate.certificates.authority import Authority, dns_content, pem
from lockgate.embedded.acme.jws import Jwk, encode
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Issued, Order

BACKDATED = timedelta(hours=1)  # as Let's Encrypt does, for clients whose clocks are slow


@dataclass(frozen=True, slots=True)
class Profile:
    """draft-ietf-acme-profiles. `common_name` is whether the certificate may have one."""

    description: str
    lifetime: timedelta
    common_name: bool = True


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "classic": Profile("90 days, with a common name", timedelta(days=90)),
        "tlsserver": Profile("90 days, without a common name", timedelta(days=90), common_name=False),
        "shortlived": Profile("160 hours, without a common name", timedelta(hours=160), common_name=False),
    }
)


def read_request(der: bytes, order: Order, account_key: Jwk) -> x509.CertificateSigningRequest:
    """A CSR that matches its order. Raises `Problem` badCSR."""
    try:
        request = x509.load_der_x509_csr(der)
        signed = request.is_signature_valid
        names = _names(request)
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise Problem("badCSR", f"Error parsing certificate request: {error}") from None
    if not signed:
        raise Problem("badCSR", "Error finalizing order: signature on CSR is not valid")
    if isinstance(request.signature_hash_algorithm, hashes.MD5 | hashes.SHA1):
        raise Problem("badCSR", "Error finalizing order: signature algorithm not supported")
    match key:
        case rsa.RSAPublicKey():
            if not 2048 <= key.key_size <= 4096 or key.key_size % 8:
                raise Problem("badCSR", "Error finalizing order: RSA key must be of 2048 to 4096 bits")
            if key.public_numbers().e != 65537:
                raise Problem("badCSR", "Error finalizing order: RSA key exponent must be 65537")
        case ec.EllipticCurvePublicKey():
            if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
                raise Problem("badCSR", "Error finalizing order: ECDSA curve must be P-256 or P-384")
        case _:
            raise Problem("badCSR", "Error finalizing order: key must be RSA or ECDSA")
    account = account_key.key
    if _spki(key) == account.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise Problem("malformed", "certificate public key must be different than account key")
    common_name = _common_name(request)
    if common_name is not None and len(common_name) > 64:
        raise Problem("badCSR", "CN was longer than 64 bytes")
    if names != frozenset(order.names):
        raise Problem(
            "badCSR",
            "Error finalizing order: CSR does not specify same identifiers as Order:"
            f" CSR has {sorted(names)}, Order has {list(order.names)}",
        )
    return request


def issue(
    order: Order,
    request: x509.CertificateSigningRequest,
    authorities: Sequence[Authority],
    profile: Profile,
    now: datetime,
) -> Issued:
    """Signs with the first authority. The others sign the same content, as alternates for `preferredChain`."""
    requested = _common_name(request)
    common_name = requested.lower() if requested else None
    content = dns_content(order.names, common_name if profile.common_name else "")
    not_before = order.not_before or now - BACKDATED
    not_after = order.not_after or not_before + profile.lifetime - timedelta(seconds=1)
    serial = x509.random_serial_number()
    key = request.public_key()
    chains = (
        authority.issue(key, content, not_before=not_before, not_after=not_after, serial=serial)  # type: ignore[arg-type]
        for authority in authorities
    )
    leaves = [x509.load_pem_x509_certificate(chain.encode()) for chain in chains]
    return Issued(
        id=secrets.token_hex(10),
        account=order.account,
        names=order.names,
        leaves=tuple(leaf.public_bytes(Encoding.DER) for leaf in leaves),
        renewal_id=renewal_id(leaves[0]),
    )


def chain(issued: Issued, authorities: Sequence[Authority], chosen: int) -> str:
    """The downloaded chain as PEM: the certificate that the `chosen` authority signed, and its intermediates."""
    leaf = x509.load_der_x509_certificate(issued.leaves[chosen])
    return pem(leaf) + authorities[chosen].chain_pem


def renewal_id(certificate: x509.Certificate) -> str:
    """RFC 9773 section 4.1: the issuer's key identifier and the serial number, each as base64url."""
    identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # as DER: a leading zero if the top bit is set
    return f"{encode(identifier.key_identifier or b'')}.{encode(octets)}"


def suggested_window(issued: Issued, now: datetime) -> tuple[datetime, datetime]:
    """RFC 9773 section 4.2: two days around two thirds of the lifetime. In the past if the certificate is revoked."""
    if issued.revoked is not None:
        return now - timedelta(hours=2), now - timedelta(hours=1)
    start, end = issued.certificate.not_valid_before_utc, issued.certificate.not_valid_after_utc
    middle = start + (end - start) * 2 / 3
    half = min(timedelta(days=1), (end - start) / 50)
    return middle - half, middle + half


def _names(request: x509.CertificateSigningRequest) -> frozenset[str]:
    names: set[str] = set()
    try:
        alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        for name in alternatives:
            if not isinstance(name, x509.DNSName):
                raise Problem("badCSR", "Error finalizing order: CSR contains names that are not DNS names")
            names.add(name.value.lower())
    if common_name := _common_name(request):
        names.add(common_name.lower())
    if not names:
        raise Problem("badCSR", "Error finalizing order: at least one DNS name is required")
    return frozenset(names)


def _common_name(request: x509.CertificateSigningRequest) -> str | None:
    attributes = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(attributes) > 1:
        raise Problem("badCSR", "Error finalizing order: CSR has more than one common name")
    return str(attributes[0].value) if attributes else None


def _spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
