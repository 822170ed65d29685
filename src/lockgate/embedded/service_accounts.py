"""Tokens of Kubernetes service accounts: JWTs that this edge signs, for its own Kubernetes API and its own STS.

The key is created when the edge starts and never leaves the process. So tokens of other edges and of earlier starts
are not accepted. In EKS, the API server signs, and STS gets the public key from the cluster's OIDC provider.

Sources: kubernetes.io "Managing Service Accounts"; EKS User Guide, "IAM roles for service accounts"; RFC 7519.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

KUBERNETES = "https://kubernetes.default.svc"  # EKS's audience of tokens for the API itself
STS = "sts.amazonaws.com"
PODS = "pods.eks.amazonaws.com"  # of the tokens that EKS Pod Identity puts into Pods

_ALGORITHM = "ES256"


class InvalidToken(Exception):
    """A token that is not accepted; the message says why."""


class Malformed(InvalidToken):
    """Not a JWT."""


class UnknownIssuer(InvalidToken):
    """A JWT of another issuer. `issuer` is its `iss` claim."""

    def __init__(self, issuer: str) -> None:
        super().__init__(f"the token's issuer is {issuer!r}, which is not this edge's")
        self.issuer = issuer


class WrongSignature(InvalidToken):
    """A JWT that names this edge as its issuer but is not signed with this edge's key."""


class WrongAudience(InvalidToken):
    """A JWT of this edge for another audience."""


class ExpiredToken(InvalidToken):
    """A JWT of this edge that has expired, or is not valid yet."""

    def __init__(self, expired: datetime, now: datetime) -> None:
        super().__init__(f"the token expired at {expired:%Y-%m-%dT%H:%M:%SZ}")
        self.expired = expired
        self.now = now


@dataclass(frozen=True, slots=True)
class ServiceAccountIdentity:
    """The identity of a token's bearer. The token is valid only while `bound_to` exists: (kind, name, uid), if any."""

    namespace: str
    name: str
    uid: str
    bound_to: tuple[str, str, str] | None = None

    @property
    def username(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclass(frozen=True)
class ServiceAccountTokens:
    """Signs and verifies one edge's tokens. `issuer` has the form of an EKS cluster's OIDC issuer."""

    issuer: str = field(default_factory=lambda: issuer_of("us-east-1"))

    def issue(
        self, identity: ServiceAccountIdentity, audiences: Sequence[str], lifetime: timedelta, now: datetime
    ) -> str:
        from joserfc import jwt

        issued = int(now.timestamp())
        about: dict[str, Any] = {
            "namespace": identity.namespace,
            "serviceaccount": {"name": identity.name, "uid": identity.uid},
        }
        if identity.bound_to is not None:
            kind, name, uid = identity.bound_to
            about[kind.lower()] = {"name": name, "uid": uid}
        claims = {
            "aud": list(audiences),
            "exp": issued + int(lifetime.total_seconds()),
            "iat": issued,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": about,
            "nbf": issued,
            "sub": identity.username,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key_id}, claims, self._key)

    def verify(self, token: str, audiences: Sequence[str], now: datetime) -> ServiceAccountIdentity:
        """The identity of the token's bearer, if it is for one of `audiences`. Raises `InvalidToken`."""
        claims = self._claims(token)
        if not set(audiences) & set(claims["aud"]):
            raise WrongAudience(f"the token's audience is {', '.join(claims['aud'])}, not {' or '.join(audiences)}")
        for end, over in (
            (claims["exp"], now.timestamp() >= claims["exp"]),
            (claims["nbf"], now.timestamp() < claims["nbf"]),
        ):
            if over:
                raise ExpiredToken(datetime.fromtimestamp(end, now.tzinfo), now)
        about = claims["kubernetes.io"]
        bound = next(
            (
                (kind, about[kind.lower()]["name"], about[kind.lower()]["uid"])
                for kind in BOUND
                if kind.lower() in about
            ),
            None,
        )
        account = about["serviceaccount"]
        return ServiceAccountIdentity(about["namespace"], account["name"], account["uid"], bound)

    def discovery(self, keys: str) -> Mapping[str, Any]:
        """The OpenID Connect provider's metadata; `keys` is the URL of its key set."""
        return {
            "issuer": self.issuer,
            "jwks_uri": keys,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def public_keys(self) -> Mapping[str, Any]:
        """The JSON Web Key Set for clients that verify tokens."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM, "kid": self._key_id}]}

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that this edge has signed. The shape of its own claims needs no check."""
        from joserfc import jws, jwt
        from joserfc.errors import JoseError

        try:
            unverified = jws.extract_compact(token.encode())
            claims = _object(unverified.payload)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Malformed("the token is not a JWT") from error
        if claims.get("iss") != self.issuer:
            raise UnknownIssuer(str(claims.get("iss", "")))
        try:
            return dict(jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims)
        except (JoseError, ValueError, TypeError) as error:
            raise WrongSignature("the token is not signed with this edge's key") from error

    @cached_property
    def _key(self) -> Any:
        from joserfc.jwk import ECKey

        return ECKey.generate_key("P-256")

    @cached_property
    def _key_id(self) -> str:
        return str(self._key.thumbprint())


BOUND = ("Pod", "Secret", "Node")  # kinds to which a token can be bound


def issuer_of(region: str) -> str:
    """A new cluster's issuer URL, in EKS's form."""
    return f"https://oidc.eks.{region}.amazonaws.com/id/{secrets.token_hex(16).upper()}"


def _object(payload: bytes) -> dict[str, Any]:
    import json

    found = json.loads(payload)
    if not isinstance(found, dict):
        raise ValueError("the claims are not an object")
    return found
