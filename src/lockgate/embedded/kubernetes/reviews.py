"""Reviews of identity and access: they are created and answered, but not stored.

There are no roles here, so whoever has a token may do everything, and every access is allowed.

Source: the API reference, authentication.k8s.io/v1 and authorization.k8s.io/v1; kube-apiserver,
`pkg/apis/authorization/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lockgate.embedded.kubernetes.exchange import MethodNotAllowed
from lockgate.embedded.kubernetes.refusals import Cause, invalid
from lockgate.embedded.kubernetes.targets import Target
from lockgate.embedded.kubernetes.token_requests import TokenRequests
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest, NotFound

_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
REVIEWS: Final = (
    Kind(_AUTHENTICATION, ("v1",), "SelfSubjectReview", "selfsubjectreviews", namespaced=False),
    Kind(_AUTHENTICATION, ("v1",), "TokenReview", "tokenreviews", namespaced=False),
    Kind(_AUTHORIZATION, ("v1",), "LocalSubjectAccessReview", "localsubjectaccessreviews"),
    Kind(_AUTHORIZATION, ("v1",), "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False),
    Kind(_AUTHORIZATION, ("v1",), "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False),
    Kind(_AUTHORIZATION, ("v1",), "SubjectAccessReview", "subjectaccessreviews", namespaced=False),
)
_ALLOWED: JsonObject = {"allowed": True, "reason": "there are no roles here: whoever has a token may do everything"}


def review_of(found: Target, method: str) -> Kind:
    """The kind of review at a path. Raises `NotFound`, `MethodNotAllowed`."""
    kind = next((kind for kind in REVIEWS if (kind.group, kind.plural) == (found.group, found.plural)), None)
    if kind is None or found.version not in kind.versions or found.name or kind.namespaced is not bool(found.namespace):
        raise NotFound("the server could not find the requested resource")
    if method != "POST":
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    return kind


def reviewed(kind: Kind, body: JsonObject, user: JsonObject, tokens: TokenRequests, namespace: str = "") -> JsonObject:
    """A review with its status. `user` asks. Raises `ApiError` for an invalid one."""
    spec = body.get("spec") or {}
    head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": body.get("metadata") or {}}
    match kind.kind:
        case "SelfSubjectReview":
            return {**head, "status": {"userInfo": user}}
        case "TokenReview":
            return {**head, "spec": spec, "status": tokens.review(body)}
        case "SelfSubjectRulesReview" if not spec.get("namespace"):
            raise BadRequest("no namespace on request")
        case "SelfSubjectRulesReview":
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            urls = {"verbs": ["*"], "nonResourceURLs": ["*"]}
            rules = {"resourceRules": [everything], "nonResourceRules": [urls], "incomplete": False}
            return {**head, "spec": {}, "status": rules}
        case _:
            if found := list(_faults(kind, spec, namespace)):
                raise invalid(replace(kind, kind=""), "", found)
            return {**head, "spec": spec, "status": _ALLOWED}


def _faults(kind: Kind, spec: JsonObject, namespace: str) -> Iterator[Cause]:
    if kind.kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        yield Cause("spec.user", 'Invalid value: "": at least one of user or group must be specified')
    within = (spec.get("resourceAttributes") or {}).get("namespace")
    if kind.namespaced and within != namespace:
        why = "must match metadata.namespace"
        yield Cause("spec.resourceAttributes.namespace", f'Invalid value: "{within or ""}": {why}')
    if bool(spec.get("resourceAttributes")) is bool(spec.get("nonResourceAttributes")):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield Cause("spec", f"Invalid value: null: {why}")
