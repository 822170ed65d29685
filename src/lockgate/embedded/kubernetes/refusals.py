"""The API's errors, with the texts of apimachinery's `api/errors`, because clients match on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault of a field: `reason` is a `FieldValue…` name, `message` does not include the field's path."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


def qualified(kind: Kind) -> str:
    """``ingresses.networking.k8s.io``, or ``services`` in the core group."""
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{qualified(kind)} "{name}" not found', details=_details(kind, name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{qualified(kind)} "{name}" already exists', details=_details(kind, name))


def modified_meanwhile(kind: Kind, name: str) -> Conflict:
    return conflict(
        kind,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def conflict(kind: Kind, name: str, why: str) -> Conflict:
    return Conflict(f'Operation cannot be fulfilled on {qualified(kind)} "{name}": {why}', details=_details(kind, name))


def forbidden(kind: Kind, name: str, why: str) -> Forbidden:
    return Forbidden(f'{qualified(kind)} "{name}" is forbidden: {why}', details=_details(kind, name))


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Invalid:
    subject = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    named = {"name": name, "group": kind.group, "kind": kind.kind}
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return Invalid(
        f'{subject} "{name}" is invalid: {listed}',
        details={
            **{name: value for name, value in named.items() if value},
            "causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes],
        },
    )


class Denied(ApiError):
    """An admission webhook denied the request."""

    def __init__(self, message: str, reason: str, code: int) -> None:
        super().__init__(message)
        self.reason, self.code = reason, code


def denied(webhook: str, texts: Sequence[str]) -> ApiError:
    """Wraps a webhook's answer like the API server (`apiserver/pkg/admission/plugin/webhook/errors/statuserror.go`)."""
    start = f'admission webhook "{webhook}" denied the request: '
    if webhook.endswith("istio.io"):
        # A single text becomes a 400 without a reason. Several are joined like hashicorp's multierror.
        several = f"{len(texts)} errors occurred:\n" + "".join(f"\t* {text}\n" for text in texts) + "\n"
        return Denied(f"{start}configuration is invalid: {texts[0] if len(texts) == 1 else several}", "", 400)
    # controller-runtime's `Denied` is a 403.
    return Denied(start + (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"), "Forbidden", 403)


def undecodable(kind: Kind, version: str, why: str) -> BadRequest:
    return BadRequest(f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: {why}')


def too_old(revision: int, oldest: int) -> Expired:
    return Expired(f"too old resource version: {revision} ({oldest})")


def _details(kind: Kind, name: str) -> JsonObject:
    return (
        {"name": name, "group": kind.group, "kind": kind.plural}
        if kind.group
        else {
            "name": name,
            "kind": kind.plural,
        }
    )
