"""JWTs that tests sign: with a secret by default, or with keys of other kinds."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

NOW = 1_800_000_000  # Unix time of the tables


@cache
def _made(kind: str) -> Key:
    match kind:
        case "secret":
            return OctKey.import_key({"kty": "oct", "k": "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy0u", "kid": "secret"})
        case "rsa":
            return RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256"}, private=True)
        case "ec":
            return ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
        case "okp":
            return OKPKey.generate_key("Ed25519", {"kid": "okp"}, private=True)
        case "other":
            return OctKey.import_key(
                {"kty": "oct", "k": "b3RoZXItc2VjcmV0LW9mLTMyLWJ5dGVzLS0tLS0tLS0", "kid": "secret"}
            )
        case _:
            raise ValueError(kind)


_ALGORITHMS = {"secret": "HS256", "other": "HS256", "rsa": "RS256", "ec": "ES256", "okp": "EdDSA"}


def jwks(*kinds: str) -> str:
    """A JWKS; a secret is in it as it is, other keys with their public half."""
    return json.dumps(KeySet([_made(kind) for kind in kinds]).as_dict(private="secret" in kinds))


def token(claims: dict[str, Any], key: str = "secret", **header: Any) -> str:
    made = _made(key)
    protected = {"alg": _ALGORITHMS[key], "kid": made.kid, **header}
    protected = {name: value for name, value in protected.items() if value is not None}
    return jws.serialize_compact(protected, json.dumps(claims).encode(), made, algorithms=list(_ALGORITHMS.values()))
