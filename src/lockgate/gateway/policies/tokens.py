"""JSON web tokens as Envoy reads them, with the sentences that it answers with.

Source: Envoy's `source/common/jwt` (jwt.cc, jwks.cc, verify.cc, status.cc).
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

Json = Mapping[str, Any]

CLOCK_SKEW = 60  # seconds
MISSING: Final = "Jwt is missing"
UNKNOWN_ISSUER: Final = "Jwt issuer is not configured"
WRONG_AUDIENCE: Final = "Audiences in Jwt are not allowed"
_NO_MATCH: Final = "Jwks doesn't have key to match kid or alg from Jwt"
_UNVERIFIED: Final = "Jwt verification fails"
_SIZED = tuple(f"{kind}{size}" for kind in ("ES", "HS", "RS", "PS") for size in (256, 384, 512))
_ALGORITHMS: Final = frozenset(("EdDSA", *_SIZED))


class Refused(Exception):
    """A token that Envoy refuses; the message is its answer."""


@dataclass(frozen=True, slots=True)
class Token:
    """`payload` is the claims, `encoded` how they are written in the token."""

    algorithm: str
    key_id: str
    payload: Json
    encoded: str
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        return str(self.payload.get("iss", ""))

    @property
    def audiences(self) -> tuple[str, ...]:
        found = self.payload.get("aud", ())
        return (found,) if isinstance(found, str) else tuple(found)


# --- tokens ------------------------------------------------------------------------------------------------------


def parse(text: str) -> Token:
    """Raises `Refused`."""
    parts = [part for part in text.split(".") if part]
    if len(parts) != 3:
        raise Refused("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
    header = _object(parts[0], "header")
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str):
        raise Refused("Jwt header [alg] field is required and must be a string")
    if algorithm not in _ALGORITHMS:
        raise Refused("Jwt header [alg] is not supported")
    if not isinstance(key_id, str):
        raise Refused("Jwt header [kid] field is not a string")
    payload = _object(parts[1], "payload")
    _check(payload)
    signature = _decoded(parts[2])
    if signature is None:
        raise Refused("Jwt signature is an invalid Base64url encoded")
    return Token(algorithm, key_id, payload, parts[1], f"{parts[0]}.{parts[1]}".encode(), signature)


def _object(part: str, what: str) -> Json:
    raw = _decoded(part)
    if raw is None:
        raise Refused(f"Jwt {what} is an invalid Base64url encoded")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(f"Jwt {what} is an invalid JSON")
    return found


def _check(payload: Json) -> None:
    for name in ("iss", "sub"):
        if not isinstance(payload.get(name, ""), str):
            raise Refused(f"Jwt payload [{name}] field is not a string")
    for name in ("iat", "nbf", "exp"):
        value = payload.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"Jwt payload [{name}] field is not an integer")
        if not 0 <= value < 1 << 64:
            raise Refused(f"Jwt payload [{name}] field is not a positive 64 bit integer")
    if not isinstance(payload.get("jti", ""), str):
        raise Refused("Jwt payload [jti] field is not a string")
    audiences = payload.get("aud", "")
    if not isinstance(audiences, str) and not (
        isinstance(audiences, list) and all(isinstance(each, str) for each in audiences)
    ):
        raise Refused("Jwt payload [aud] field is not a string or string list")


def check_time(token: Token, now: float) -> None:
    """Raises `Refused`. `now` is Unix time."""
    if int(token.payload.get("nbf", 0)) > int(now) + CLOCK_SKEW:
        raise Refused("Jwt not yet valid")
    expires = int(token.payload.get("exp", 0))
    if expires and int(now) > expires + CLOCK_SKEW:
        raise Refused("Jwt is expired")


def check_audience(token: Token, allowed: tuple[str, ...]) -> None:
    """Raises `Refused`. A scheme and a slash at the end make no difference."""
    if allowed and not {_plain(each) for each in token.audiences} & {_plain(each) for each in allowed}:
        raise Refused(WRONG_AUDIENCE)


def _plain(audience: str) -> str:
    return audience.removeprefix("http://").removeprefix("https://").removesuffix("/")


def _decoded(text: str) -> bytes | None:
    """White space counts for nothing, and padding may be left out (Abseil's WebSafeBase64Unescape)."""
    plain = re.sub(r"[ \t\n\v\f\r]", "", text)
    if not re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", plain):
        return None
    unpadded = plain.rstrip("=")
    if len(unpadded) % 4 == 1 or (len(plain) != len(unpadded) and len(plain) % 4):
        return None
    return urlsafe_b64decode(unpadded + "=" * (-len(unpadded) % 4))


# --- keys --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    kind: str
    key_id: str
    algorithm: str
    public: Any  # of `cryptography`, or the bytes of a secret


def check_signature(token: Token, jwks: str) -> None:
    """Raises `Refused`."""
    candidates = [
        key
        for key in keys(jwks)
        if (not token.key_id or not key.key_id or key.key_id == token.key_id)
        and (not key.algorithm or key.algorithm == token.algorithm)
    ]
    if not candidates:
        raise Refused(_NO_MATCH)
    for key in candidates:
        if _is_signed(token, key):
            return
        if key.kind == "OKP" and len(token.signature) != 64:
            raise Refused("Jwt ED25519 signature is wrong length")
    raise Refused(_UNVERIFIED)


def is_readable(jwks: str) -> bool:
    """Whether Envoy finds a key in it."""
    return bool(keys(jwks))


@lru_cache(maxsize=64)
def keys(jwks: str) -> tuple[Key, ...]:
    """The keys of a set that can be read."""
    try:
        listed = json.loads(jwks).get("keys")
    except (ValueError, AttributeError):
        return ()
    found = [_key(each) for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict)]
    return tuple(key for key in found if key is not None)


def _key(given: Json) -> Key | None:
    kind, algorithm, key_id = given.get("kty"), given.get("alg", ""), given.get("kid", "")
    if not (isinstance(algorithm, str) and isinstance(key_id, str)):
        return None
    try:
        match kind:
            case "RSA" if not algorithm or algorithm[:2] in ("RS", "PS"):
                public = _rsa(given)
            case "EC" if not algorithm or algorithm[:2] == "ES":
                public = _curve(given, algorithm)
            case "oct" if not algorithm or algorithm[:2] == "HS":
                public = _required(given, "k")
            case "OKP" if algorithm in ("", "EdDSA") and given.get("crv") == "Ed25519":
                public = _edwards(given)
            case _:
                return None
    except (KeyError, ValueError):
        return None
    return Key(kind, key_id, algorithm, public)


def _required(given: Json, name: str) -> bytes:
    value = given[name]
    raw = _decoded(value) if isinstance(value, str) else None
    if raw is None:
        raise ValueError(name)
    return raw


def _rsa(given: Json) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    numbers = (int.from_bytes(_required(given, name), "big") for name in ("e", "n"))
    return rsa.RSAPublicNumbers(*numbers).public_key()


def _curve(given: Json, algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, tuple[str, ec.EllipticCurve]] = {
        "P-256": ("ES256", ec.SECP256R1()),
        "P-384": ("ES384", ec.SECP384R1()),
        "P-521": ("ES512", ec.SECP521R1()),
    }
    by_algorithm = {name: curve for curve, (name, _) in curves.items()}
    name = given.get("crv") or by_algorithm.get(algorithm, "P-256")
    expected, curve = curves[name]
    if algorithm not in ("", expected):
        raise ValueError(name)
    x, y = (int.from_bytes(_required(given, part), "big") for part in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def _edwards(given: Json) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(_required(given, "x"))


def _is_signed(token: Token, key: Key) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, hmac
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    digest = {"384": hashes.SHA384(), "512": hashes.SHA512()}.get(token.algorithm[2:], hashes.SHA256())
    signature = token.signature
    try:
        match key.kind:
            case "RSA" if token.algorithm[:2] == "RS":
                key.public.verify(signature, token.signed, padding.PKCS1v15(), digest)
            case "RSA" if token.algorithm[:2] == "PS":
                salt = padding.PSS(padding.MGF1(digest), digest.digest_size)
                key.public.verify(signature, token.signed, salt, digest)
            case "EC":
                half = len(signature) // 2
                pair = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
                key.public.verify(encode_dss_signature(*pair), token.signed, ec.ECDSA(digest))
            case "oct":
                code = hmac.HMAC(key.public, digest)
                code.update(token.signed)
                code.verify(signature)
            case "OKP":
                key.public.verify(signature, token.signed)
            case _:
                return False
    except (InvalidSignature, ValueError):
        return False
    return True
