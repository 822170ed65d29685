"""Private keys: the key that a Certificate requests, encodings, and comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Algorithm: TypeAlias = Literal["RSA", "ECDSA", "Ed25519"]
KeyEncoding: TypeAlias = Literal["PKCS1", "PKCS8"]

CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}


class UnreadableKey(ValueError):
    """A private key that cannot be used. The message never contains key material."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A Certificate's `privateKey` with defaults. `size` is 0 for Ed25519, which has only one size."""

    algorithm: Algorithm = "RSA"
    size: int = 2048

    def mismatches(self, key: PrivateKey) -> tuple[str, ...]:
        """The fields of the spec that `key` does not match, with cert-manager's names."""
        match self.algorithm, key:
            case "RSA", rsa.RSAPrivateKey():
                return () if key.key_size == self.size else ("spec.privateKey.size",)
            case "ECDSA", ec.EllipticCurvePrivateKey():
                return () if key.curve.key_size == self.size else ("spec.privateKey.size",)
            case "Ed25519", ed25519.Ed25519PrivateKey():
                return ()
            case _:
                return ("spec.privateKey.algorithm",)


def load_key(text: bytes) -> PrivateKey:
    """Reads a PEM private key: PKCS#1, SEC1 or PKCS#8. Raises `UnreadableKey`."""
    try:
        # Without OpenSSL's primality tests, which take 30 ms. Whoever can write the Secret can break the key anyway.
        key = load_pem_private_key(text, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        # The library's message may quote its input, which may be a key.
        raise UnreadableKey("error decoding private key PEM block") from None
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise UnreadableKey("unknown private key type")


def encode_key(key: PrivateKey, encoding: KeyEncoding = "PKCS1") -> bytes:
    """PEM. For an ECDSA key, ``PKCS1`` means SEC1 ("EC PRIVATE KEY"); Ed25519 keys are always PKCS#8."""
    if encoding == "PKCS8" or isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def same_key(one: object, other: object) -> bool:
    """Whether two public keys are equal. Keys of unsupported types are never equal."""
    kinds = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
    if not isinstance(one, kinds) or not isinstance(other, kinds):
        return False
    return public_der(one) == public_der(other)


def public_der(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash to sign with, as strong as the key; None for Ed25519, which includes one."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return None
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return hashes.SHA384()
        case ec.EllipticCurvePrivateKey(curve=ec.SECP521R1()):
            return hashes.SHA512()
        case _:
            return hashes.SHA256()
