"""Service account tokens in the API: TokenRequest creates them. TokenReview and request headers contain them.

Source: the API reference, authentication.k8s.io/v1 TokenRequest and TokenReview; kube-apiserver,
`pkg/apis/authentication/validation/validation.go`, `pkg/registry/core/serviceaccount/storage/token.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate.embedded.kubernetes.refusals import Cause, conflict, invalid, not_found
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.embedded.service_accounts import (
    BOUND,
    KUBERNETES,
    InvalidToken,
    ServiceAccountIdentity,
    ServiceAccountTokens,
)
from lockgate.resources import core
from lockgate.resources.model import JsonObject, Kind, ObjectKey
from lockgate.resources.status import BadRequest

TOKEN_REQUEST = Kind("authentication.k8s.io", ("v1",), "TokenRequest", "serviceaccounts")
_SHORTEST, _LONGEST, _USUAL = 600, 1 << 32, 3600  # s
_BOUND = {kind.kind: kind for kind in (core.Pod.KIND, core.Secret.KIND, core.Node.KIND) if kind.kind in BOUND}


@dataclass(frozen=True, slots=True)
class TokenRequests:
    """The service accounts in `storage`, and their tokens."""

    storage: Storage
    tokens: ServiceAccountTokens
    clock: Callable[[], datetime]

    def create(self, namespace: str, name: str, request: JsonObject) -> JsonObject:
        """The request with its status: the token and its expiry. Raises `ApiError`."""
        account = self.storage.get(ObjectKey("", "ServiceAccount", namespace, name))
        if account is None:
            raise not_found(core.ServiceAccount.KIND, name)
        if (named := (request.get("metadata") or {}).get("name")) not in (None, "", name):
            why = f'Invalid value: "{named}": must match the service account name if specified'
            raise invalid(TOKEN_REQUEST, name, [Cause("metadata.name", why)])
        spec = request.get("spec") or {}
        if not isinstance(spec, dict):
            raise BadRequest("TokenRequest: spec is not an object")
        audiences = spec.get("audiences") or [KUBERNETES]
        if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
            raise BadRequest("TokenRequest: spec.audiences is not a list of strings")
        seconds = _lifetime(spec.get("expirationSeconds"))
        bound = self._bound(namespace, name, spec.get("boundObjectRef"))
        identity = ServiceAccountIdentity(namespace, name, account.json["metadata"]["uid"], bound)
        now = self.clock()
        return {
            "kind": TOKEN_REQUEST.kind,
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": _time(now)},
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {
                "token": self.tokens.issue(identity, audiences, timedelta(seconds=seconds), now),
                "expirationTimestamp": _time(now + timedelta(seconds=seconds)),
            },
        }

    def authenticate(self, token: str, audiences: tuple[str, ...] = (KUBERNETES,)) -> ServiceAccountIdentity:
        """The identity of a token's bearer. A token is valid only while its service account and bound object exist.

        Raises `InvalidToken`.
        """
        identity = self.tokens.verify(token, audiences, self.clock())
        needed = [("ServiceAccount", identity.name, identity.uid)]
        if identity.bound_to is not None:
            needed.append(identity.bound_to)
        for kind, name, uid in needed:
            stored = self.storage.get(ObjectKey("", kind, "" if kind == "Node" else identity.namespace, name))
            if stored is None or stored.json["metadata"]["uid"] != uid:
                raise InvalidToken(f"the {kind} {name} that the token was issued for is gone")
        return identity

    def review(self, request: JsonObject) -> JsonObject:
        """The status of a TokenReview."""
        spec = request.get("spec") or {}
        token = spec.get("token") if isinstance(spec, dict) else None
        if not isinstance(token, str) or not token:
            raise BadRequest("TokenReview: spec.token is required")
        asked = spec.get("audiences") or [KUBERNETES]
        audiences = tuple(each for each in asked if isinstance(each, str)) if isinstance(asked, list) else ()
        try:
            identity = self.authenticate(token, audiences)
        except InvalidToken as error:
            return {"user": {}, "error": str(error)}
        return {"authenticated": True, "user": user(identity), "audiences": list(audiences)}

    def _bound(self, namespace: str, account: str, reference: object) -> tuple[str, str, str] | None:
        if not reference:
            return None
        if not isinstance(reference, dict):
            raise BadRequest("TokenRequest: spec.boundObjectRef is not an object")
        kind, name = _BOUND.get(str(reference.get("kind"))), reference.get("name")
        if kind is None or not isinstance(name, str):
            raise BadRequest(f"cannot bind token to object of type {reference.get('kind')}")
        stored = self.storage.get(ObjectKey("", kind.kind, namespace if kind.namespaced else "", name))
        if stored is None:
            raise not_found(kind, name)
        uid = stored.json["metadata"]["uid"]
        if reference.get("uid") not in (None, "", uid):
            why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record"
            raise conflict(kind, name, why)
        if kind is core.Pod.KIND and (stored.json.get("spec") or {}).get("serviceAccountName", "default") != account:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            )
        return kind.kind, name, uid


def user(identity: ServiceAccountIdentity) -> JsonObject:
    """The user, in the form of TokenReview and SelfSubjectReview."""
    return {
        "username": identity.username,
        "uid": identity.uid,
        "groups": [
            "system:serviceaccounts",
            f"system:serviceaccounts:{identity.namespace}",
            "system:authenticated",
        ],
    }


def _lifetime(seconds: object) -> int:
    at = "spec.expirationSeconds"
    if seconds is None:
        return _USUAL
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise BadRequest(f"TokenRequest: {at} is not a number")
    if seconds < _SHORTEST:
        cause = Cause(at, f"Invalid value: {seconds}: may not specify a duration less than 10 minutes")
        raise invalid(TOKEN_REQUEST, "", [cause])
    if seconds > _LONGEST:
        cause = Cause(at, f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds")
        raise invalid(TOKEN_REQUEST, "", [cause])
    return seconds


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
