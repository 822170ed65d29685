"""The signed envelope of every ACME request: a strict parser for RFC 8555 section 6.2.

Requests are JWS in flattened JSON serialization, with only a protected header. This module verifies the signature. The
server checks the key's account, the nonce and the URL.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.errors import Error as JoseError
from josepy.jwa import ES256, ES384, ES512, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA

from lockgate.embedded.acme.problems import Problem

Jwk: TypeAlias = JWKRSA | JWKEC

ALGORITHMS: Mapping[str, JWASignature] = {
    "RS256": RS256,
    "ES256": ES256,
    "ES384": ES384,
    "ES512": ES512,
}

_EC_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed request whose signature is not verified yet. Exactly one of `jwk` and `kid` is set."""

    algorithm: str
    url: str
    nonce: str | None
    jwk: Jwk | None
    kid: str | None
    payload: bytes
    signed: bytes
    signature: bytes

    def verify(self, key: Jwk) -> None:
        """Raises `Problem` unless `key` made the signature."""
        _fitting(self.algorithm, key)
        if not ALGORITHMS[self.algorithm].verify(key.key, self.signed, self.signature):
            raise Problem("malformed", "JWS verification error")

    def json(self) -> dict[str, Any]:
        """The payload as a JSON object."""
        return json_object(self.payload, "Request payload did not parse as JSON")


def parse(body: bytes, *, needs_nonce: bool = True) -> Envelope:
    """Parses an envelope. The inner JWS of a key change has no nonce: RFC 8555 section 7.3.5."""
    outer = json_object(body, "Parse error reading JWS")
    if "header" in outer:
        raise Problem("malformed", 'JWS "header" field not allowed. All headers must be in "protected" field')
    if "signatures" in outer:
        raise Problem("malformed", 'JWS "signatures" field not allowed. Only the "signature" field should exist')
    protected, payload, signature = (_member(outer, name) for name in ("protected", "payload", "signature"))
    header = json_object(decode(protected, "protected"), "Parse error reading JWS protected header")

    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Problem(
            "badSignatureAlgorithm",
            f"JWS signature header contains unsupported algorithm {algorithm!r}, expected one of {sorted(ALGORITHMS)}",
            extra={"algorithms": list(ALGORITHMS)},
        )
    if "crit" in header:
        raise Problem("malformed", 'JWS header parameter "crit" is not supported')
    url = header.get("url")
    if not isinstance(url, str):
        raise Problem("malformed", "JWS header parameter 'url' required")
    nonce = header.get("nonce")
    if not needs_nonce:
        if nonce is not None:
            raise Problem("malformed", "Inner JWS must not carry a nonce")
    elif not isinstance(nonce, str):
        raise Problem("badNonce", "JWS has no anti-replay nonce")
    elif not _BASE64URL.fullmatch(nonce):
        raise Problem("malformed", "JWS anti-replay nonce is not base64url")
    if ("jwk" in header) == ("kid" in header):
        raise Problem("malformed", "jwk and kid header fields are mutually exclusive, and one must be there")
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise Problem("malformed", "JWS header parameter 'kid' must be a string")

    return Envelope(
        algorithm=algorithm,
        url=url,
        nonce=nonce,
        jwk=public_key(header["jwk"]) if "jwk" in header else None,
        kid=kid,
        payload=decode(payload, "payload"),
        signed=f"{protected}.{payload}".encode(),
        signature=decode(signature, "signature"),
    )


def public_key(jwk: object) -> Jwk:
    """An account key: RSA of 2048 to 4096 bits with exponent 65537, or one of three curves. Raises `Problem`."""
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC"):
        raise Problem("badPublicKey", "JWK must be of type RSA or EC")
    if _PRIVATE_MEMBERS & jwk.keys():
        raise Problem("malformed", "JWK must hold the public key alone")
    try:
        key = JWK.from_json(jwk)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise Problem("malformed", "Parse error reading JWK") from None
    if not isinstance(key, JWKRSA | JWKEC):
        raise Problem("badPublicKey", "JWK must be of type RSA or EC")
    # josepy wraps cryptography's key, so that equal keys compare equal.
    match getattr(key.key, "_wrapped", None):
        case rsa.RSAPublicKey() as number:
            if not 2048 <= number.key_size <= 4096:
                raise Problem("badPublicKey", f"key size not supported: {number.key_size}, must be 2048 to 4096")
            if number.public_numbers().e != 65537:
                raise Problem("badPublicKey", "key exponent must be 65537")
        case ec.EllipticCurvePublicKey():
            pass
        case _:
            raise Problem("badPublicKey", "unsupported key type")
    return key


def thumbprint(key: Jwk) -> str:
    """The JWK thumbprint (RFC 7638) in base64url: it identifies an account, and ends every key authorization."""
    return encode(key.thumbprint())


def same(one: Jwk, other: Jwk) -> bool:
    return thumbprint(one) == thumbprint(other)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str, what: str) -> bytes:
    """Decodes base64url without padding. Only the canonical text of the bytes is accepted (RFC 7515 section 2)."""
    if not _BASE64URL.fullmatch(text):
        raise Problem("malformed", f"{what} is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise Problem("malformed", f"{what} is not base64url without padding") from None
    if encode(data) != text:
        raise Problem("malformed", f"{what} is not canonical base64url")
    return data


def json_object(data: bytes, complaint: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Problem("malformed", complaint) from None
    if not isinstance(value, dict):
        raise Problem("malformed", complaint)
    return value


def _member(outer: Mapping[str, Any], name: str) -> str:
    value = outer.get(name)
    if not isinstance(value, str):
        raise Problem("malformed", f'JWS has no "{name}" field')
    return value


def _fitting(algorithm: str, key: Jwk) -> None:
    """RFC 8725 section 3.1: the key determines the algorithm, never the message."""
    match getattr(key.key, "_wrapped", None):
        case rsa.RSAPublicKey():
            fits = algorithm == "RS256"
        case ec.EllipticCurvePublicKey():
            fits = key.to_partial_json().get("crv") == _EC_CURVES.get(algorithm)
        case _:
            fits = False
    if not fits:
        raise Problem(
            "badSignatureAlgorithm",
            f"JWS algorithm {algorithm} does not fit the key",
            extra={"algorithms": list(ALGORITHMS)},
        )
