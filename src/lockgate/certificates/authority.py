"""A certificate authority as a value: its certificate, its key, and the certificates above it.

Keys, times and serial numbers are arguments, so that equal arguments give equal certificates. Profiles follow RFC 5280
section 4.2 and the CA/Browser Forum's baseline requirements 7.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from lockgate.certificates.keys import PrivateKey, PublicKey, digest, same_key
from lockgate.certificates.usages import SERVER_AUTH, extended_key_usage, key_usage

NOBODY = x509.Name([])


class NotAnAuthority(ValueError):
    """A certificate and key that cannot sign other certificates. The message gives the reason, and never key
    material."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a leaf certificate. `usages` have cert-manager's names; `extensions` are additional ones, each
    with its critical flag."""

    names: tuple[x509.GeneralName, ...]
    subject: x509.Name = NOBODY
    usages: tuple[str, ...] = SERVER_AUTH
    is_ca: bool = False
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def dns_content(names: Sequence[str], common_name: str | None = None) -> Content:
    """The content of a TLS server's certificate for DNS names. Unless one is given, the common name is the first name
    of at most 64 characters, as with Let's Encrypt and ACM; there may be none."""
    if common_name is None:
        common_name = next((name for name in names if len(name) <= 64), "")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    return Content(tuple(x509.DNSName(name) for name in names), subject)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that signs. `above` are the certificates above it, nearest first, the root last; it is empty for a root."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(cls, name: str, key: PrivateKey, *, not_before: datetime, not_after: datetime, serial: int) -> Authority:
        """A self-signed root. `name` is its common name."""
        subject = _authority_name(name)
        builder = _authority_builder(subject, key, not_before, not_after, serial, path_length=None)
        certificate = builder.issuer_name(subject).sign(key, digest(key))
        return cls(certificate, key)

    @classmethod
    def load(cls, chain_pem: bytes, key_pem: bytes) -> Authority:
        """Reads PEM: the CA's certificate first, then those above it. Raises `NotAnAuthority`."""
        try:
            certificate, *above = x509.load_pem_x509_certificates(chain_pem)
        except ValueError as error:
            raise NotAnAuthority(f"no readable certificate: {error}") from None
        try:
            key = load_pem_private_key(key_pem, password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError):
            raise NotAnAuthority("no readable private key") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise NotAnAuthority("the private key is not of type RSA, ECDSA or Ed25519")
        if not same_key(key.public_key(), certificate.public_key()):
            raise NotAnAuthority("the private key does not match the certificate")
        if not is_authority(certificate):
            raise NotAnAuthority("certificate is not a CA")
        return cls(certificate, key, tuple(above))

    @property
    def root_pem(self) -> str:
        """The trust anchor, for clients' trust stores."""
        return pem((self.above or (self.certificate,))[-1])

    @property
    def chain_pem(self) -> str:
        """What a server sends after its certificate: this CA and those above it, without a self-signed root."""
        line = (self.certificate, *self.above)
        return "".join(pem(each) for each in line if each.subject != each.issuer)

    def intermediate(
        self,
        name: str,
        key: PrivateKey,
        *,
        not_before: datetime,
        not_after: datetime,
        serial: int,
        path_length: int = 0,
    ) -> Authority:
        """A CA below this one. It may sign leaves and, with `path_length` > 0, further CAs."""
        builder = _authority_builder(_authority_name(name), key, not_before, not_after, serial, path_length)
        certificate = (
            builder.issuer_name(self.certificate.subject)
            .add_extension(self._key_identifier(), critical=False)
            .sign(self.key, digest(self.key))
        )
        return Authority(certificate, key, (self.certificate, *self.above))

    def issue(
        self,
        public_key: PublicKey,
        content: Content,
        *,
        not_before: datetime,
        not_after: datetime,
        serial: int,
    ) -> str:
        """The certificate and its chain without the root, as PEM: what a server sends."""
        return self.sign(public_key, content, not_before=not_before, not_after=not_after, serial=serial) + (
            self.chain_pem
        )

    def sign(
        self,
        public_key: PublicKey,
        content: Content,
        *,
        not_before: datetime,
        not_after: datetime,
        serial: int,
    ) -> str:
        """Only the certificate, as PEM."""
        builder = (
            leaf_builder(public_key, content, not_before, not_after, serial)
            .issuer_name(self.certificate.subject)
            .add_extension(self._key_identifier(), critical=False)
        )
        return pem(builder.sign(self.key, digest(self.key)))

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        identifier = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def self_signed(key: PrivateKey, content: Content, *, not_before: datetime, not_after: datetime, serial: int) -> str:
    """A certificate signed with its own key, as PEM."""
    builder = leaf_builder(key.public_key(), content, not_before, not_after, serial)
    return pem(builder.issuer_name(content.subject).sign(key, digest(key)))


def leaf_builder(
    public_key: PublicKey, content: Content, not_before: datetime, not_after: datetime, serial: int
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(content.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=content.is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(key_usage(content.usages, is_ca=content.is_ca), critical=True)
    )
    if extended := extended_key_usage(content.usages):
        builder = builder.add_extension(extended, critical=False)
    if content.names:
        # RFC 5280 4.2.1.6: critical exactly when the subject is empty.
        critical = not list(content.subject)
        builder = builder.add_extension(x509.SubjectAlternativeName(content.names), critical=critical)
    for extension, is_critical in content.extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder


def revocation_pointers(
    crls: Sequence[str] = (), ocsp: Sequence[str] = (), issuers: Sequence[str] = ()
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """Addresses of revocation status and of the issuer's certificate: RFC 5280 4.2.1.13 and 4.2.2.1."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if crls:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in crls]
        found.append((x509.CRLDistributionPoints(points), False))
    access = [(AuthorityInformationAccessOID.OCSP, url) for url in ocsp]
    access += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in issuers]
    if access:
        descriptions = [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for oid, url in access]
        found.append((x509.AuthorityInformationAccess(descriptions), False))
    return tuple(found)


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _authority_name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lockgate"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _authority_builder(
    subject: x509.Name,
    key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    serial: int,
    path_length: int | None,
) -> x509.CertificateBuilder:
    public_key = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(("cert sign", "crl sign", "digital signature")), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
