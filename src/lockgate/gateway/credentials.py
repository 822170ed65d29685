"""Reads a gateway's credentials from Secrets.

Source: istio/istio `pilot/pkg/credentials/kube/secrets.go` for the keys and their order. Unlike istiod, Lockgate also
checks the PEM: Envoy rejects material that does not parse or match, and its error names no Secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography import x509

SCHEME = "kubernetes://"
CA_SUFFIX = "-cacert"
FILE_PAIR, FILE_CA = "file-cert:", "file-root:"
SYSTEM = "system"  # in place of a path: the CAs of the system


@dataclass(frozen=True, slots=True)
class KeyPair:
    chain: bytes
    key: bytes = field(repr=False)
    ocsp_staple: bytes = b""


@dataclass(frozen=True, slots=True)
class Authority:
    """CA certificates that client or server certificates are verified with. Without `ca`, the list alone is added."""

    ca: bytes
    crl: bytes = b""


Credential: TypeAlias = KeyPair | Authority


def secret_names(credential: str, volumes: Mapping[str, str]) -> tuple[str, ...]:
    """The Secrets that an SDS name is looked up in, in order: the first one that exists counts.

    ``kubernetes://x`` is Secret ``x`` of the gateway's namespace; a CA is ``x-cacert``, or ``x`` itself. Files are in
    the Secret that is mounted at their path: `volumes` maps mount paths of the gateway's Pod to Secrets.
    """
    if not credential.startswith(SCHEME):
        secrets = {volumes.get(path.rpartition("/")[0]) for path in files(credential)}
        secret = secrets.pop()
        return (secret,) if secret and not secrets else ()
    name = credential.removeprefix(SCHEME).rpartition("/")[2]
    return (name, name.removesuffix(CA_SUFFIX)) if name.endswith(CA_SUFFIX) else (name,)


def is_authority(credential: str) -> bool:
    """Whether it is a CA. As in istiod, a Secret's name says so: of a ``caCertCredentialName`` with another name the
    certificate is read."""
    return credential.endswith(CA_SUFFIX) or credential.startswith(FILE_CA)


def files(credential: str) -> list[str]:
    """The paths in a file-based SDS name: of the certificate and its key, or of the CA and its revocation list."""
    paths = credential.removeprefix(FILE_CA).removeprefix(FILE_PAIR).split("~")
    return [path for path in paths if path != SYSTEM]


def credential(data: Mapping[str, bytes], name: str) -> Credential:
    """The material of an SDS name, from a Secret's data. Raises `ValueError` with the reason if it is not valid."""
    if not name.startswith(SCHEME):
        return _of_files(data, name)
    return _authority(data) if is_authority(name) else _key_pair(data)


def _of_files(data: Mapping[str, bytes], name: str) -> Credential:
    keys = [path.rpartition("/")[2] for path in files(name)]
    missing = [key for key in keys if not data.get(key)]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    if is_authority(name):
        if name.startswith(FILE_CA + SYSTEM):
            return Authority(b"", data[keys[0]])
        return _authority({"cacert": data[keys[0]], "crl": data[keys[1]] if keys[1:] else b""})
    return _key_pair({"cert": data[keys[0]], "key": data[keys[1]]})


def _key_pair(data: Mapping[str, bytes]) -> KeyPair:
    for certificate, key in (("cert", "key"), ("tls.crt", "tls.key")):
        if certificate in data and key in data:
            chain, private = data[certificate], data[key]
            if not chain or not private:
                raise ValueError(f'found keys "{certificate}" and "{key}", but they were empty')
            _check_pair(chain, private)
            return KeyPair(chain, private, data.get("tls.ocsp-staple", b""))
    found = ", ".join(sorted(data)) or "nothing"
    raise ValueError(
        f"found secret, but didn't have expected keys (cert and key) or (tls.crt and tls.key); found: {found}"
    )


def _authority(data: Mapping[str, bytes]) -> Authority:
    for key, crl in (("cacert", "crl"), ("ca.crt", "ca.crl")):
        if ca := data.get(key):
            _check_certificates(ca)
            return Authority(ca, data.get(crl, b""))
    found = ", ".join(sorted(data)) or "nothing"
    raise ValueError(f"found secret, but didn't have expected keys cacert or ca.crt; found: {found}")


def _check_pair(chain: bytes, private: bytes) -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    leaf = _check_certificates(chain)
    try:
        key = load_pem_private_key(private, password=None)
    except Exception as error:  # several types, some of OpenSSL; their messages may quote the key
        raise ValueError("the private key is not a readable PEM key") from error
    mine, theirs = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (key.public_key(), leaf.public_key())
    )
    if mine != theirs:
        raise ValueError("the private key does not belong to the certificate")


def _check_certificates(chain: bytes) -> x509.Certificate:
    """The first certificate of a chain."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except Exception as error:
        raise ValueError("the certificate is not readable PEM") from error
