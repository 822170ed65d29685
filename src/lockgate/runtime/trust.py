"""The edge's certificate authorities: one root that its clients trust, and the CAs below it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from lockgate.certificates.authority import Authority, Content, dns_content
from lockgate.certificates.keys import encode_key
from lockgate.runtime.state import write_private

_VALID = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Trust:
    """`acm` signs ACM's certificates, `acme` those of Let's Encrypt's replacement; the root signs those of local
    APIs."""

    root: Authority
    acm: Authority
    acme: Authority

    @staticmethod
    def make(edge: str) -> Trust:
        now = datetime.now(UTC) - timedelta(minutes=5)  # clients' clocks may be behind
        until = now + _VALID

        def key() -> ec.EllipticCurvePrivateKey:
            return ec.generate_private_key(ec.SECP256R1())

        def serial() -> int:
            return x509.random_serial_number()

        root = Authority.root(f"Lockgate root ({edge})", key(), not_before=now, not_after=until, serial=serial())
        acm, acme = (
            root.intermediate(f"Lockgate {name} ({edge})", key(), not_before=now, not_after=until, serial=serial())
            for name in ("ACM CA", "ACME CA")
        )
        return Trust(root, acm, acme)

    def server_certificate(self, folder: Path, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """Files with a chain and its key, for a local API on loopback or for a replacement of `host`."""
        now = datetime.now(UTC) - timedelta(minutes=5)
        key = ec.generate_private_key(ec.SECP256R1())
        content = Content((x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.1"))))
        chain = self.root.issue(
            key.public_key(),
            content,
            not_before=now,
            not_after=now + _VALID,
            serial=x509.random_serial_number(),
        )
        files = folder / f"{name}.crt", folder / f"{name}.key"
        write_private(files[0], chain)
        write_private(files[1], encode_key(key).decode())
        return files

    def key_pair(self, names: Sequence[str]) -> tuple[str, str]:
        """A chain for a TLS server of these names, and its key, as PEM."""
        now = datetime.now(UTC) - timedelta(minutes=5)
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self.root.issue(
            key.public_key(),
            dns_content(names),
            not_before=now,
            not_after=now + _VALID,
            serial=x509.random_serial_number(),
        )
        return chain, encode_key(key).decode()

    def authority(self, name: str) -> tuple[str, str]:
        """A CA under the root: its certificate and key, as PEM."""
        now = datetime.now(UTC) - timedelta(minutes=5)
        key = ec.generate_private_key(ec.SECP256R1())
        made = self.root.intermediate(
            name, key, not_before=now, not_after=now + _VALID, serial=x509.random_serial_number()
        )
        return made.certificate.public_bytes(Encoding.PEM).decode(), encode_key(key).decode()

    def write_bundle(self, file: Path) -> None:
        """The clients' trust bundle: the root and the machine's CAs, for hosts beyond an open proxy."""
        write_private(file, self.root.root_pem + _system_bundle())


def _system_bundle() -> str:
    import ssl

    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    try:
        return Path(named).read_text() if named else ""
    except (OSError, UnicodeDecodeError):
        return ""
