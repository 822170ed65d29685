"""JSON web tokens: verifies the RS256 JWTs that clients send, and signs the ES256 JWTs that describe users to targets.

Source: "Verify JWTs using an Application Load Balancer", "Authenticate users using an Application Load Balancer".
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lockgate.loadbalancer.model import JwtClaim, JwtValidation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

Json = Mapping[str, Any]


def refusal(token: str, keys: Sequence[Json], validation: JwtValidation, now: float) -> str | None:
    """Why a JWT is not accepted, or None if it is. `keys` are those of the JWKS; `now` is Unix time."""
    parts = token.split(".")
    header, claims = map(_object, parts[:2]) if len(parts) == 3 else (None, None)
    if header is None or claims is None:
        return "it is not a JWT"
    if header.get("alg") != "RS256":
        return f"its algorithm is {header.get('alg')!r}, not RS256"
    candidates = [key for key in keys if "kid" not in header or key.get("kid") == header["kid"]]
    signed = f"{parts[0]}.{parts[1]}".encode()
    if not any(_is_signed(key, signed, parts[2]) for key in candidates):
        return "no key of the JWKS has signed it"
    return _claims_refusal(claims, validation, now)


def _claims_refusal(claims: Json, validation: JwtValidation, now: float) -> str | None:
    """`iss` and `exp` are mandatory; `nbf` and `iat` are checked if present."""
    if claims.get("iss") != validation.issuer:
        return f"its issuer is {claims.get('iss')}, not {validation.issuer}"
    for name, mandatory, holds in (("exp", True, now.__lt__), ("nbf", False, now.__ge__), ("iat", False, now.__ge__)):
        value = claims.get(name)
        if value is None and not mandatory:
            continue
        if not isinstance(value, int | float) or not holds(value):
            return f"its {name} is {value}, and it is {int(now)} now"
    return next((why for claim in validation.additional_claims if (why := _claim_refusal(claim, claims))), None)


def _claim_refusal(desired: JwtClaim, claims: Json) -> str | None:
    found = claims.get(desired.name)
    match desired.format:
        case "single-string":
            held = {found} if isinstance(found, str) else set()
        case "string-array":
            held = {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
        case "space-separated-values":
            held = set(found.split()) if isinstance(found, str) else set()
    return None if held & set(desired.values) else f"its claim {desired.name} is {found}"


def _is_signed(key: Json, signed: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        numbers = rsa.RSAPublicNumbers(_integer(key["e"]), _integer(key["n"]))
        numbers.public_key().verify(_decoded(signature), signed, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


def id_token_refusal(token: object, issuer: str, client_id: str, now: float) -> str | None:
    """Why an ID token from the token endpoint is not accepted, or None if it is.

    The signature is not verified: no action names a JWKS, and TLS has authenticated the sender (OpenID Connect Core
    1.0, 3.1.3.7, 6).
    """
    if not isinstance(token, str):
        return "there is no ID token: does the scope include openid?"
    claims = _object(token.partition(".")[2].partition(".")[0])
    if claims is None:
        return "it is not a JWT"
    if claims.get("iss") != issuer:
        return f"its issuer is {claims.get('iss')}, not {issuer}"
    audience = claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        return f"it is for {audience}, not {client_id}"
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires < now:
        return f"its exp is {expires}, and it is {int(now)} now"
    return None


def signed_by_us(header: Json, claims: Json, key: EllipticCurvePrivateKey) -> str:
    """An ES256 JWT. Its parts keep their ``=`` padding, which libraries other than AWS's must be configured to
    accept."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    body = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (header, claims))
    r, s = decode_dss_signature(key.sign(body.encode(), ECDSA(SHA256())))
    return f"{body}.{urlsafe_b64encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big')).decode()}"


def _object(part: str) -> dict[str, Any] | None:
    """The JSON object of a JWT's part; None if it is not valid or nested too deeply."""
    try:
        found = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _integer(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")
