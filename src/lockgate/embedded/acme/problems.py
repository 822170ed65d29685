"""The CA's refusals: problem documents (RFC 8555 section 6.7), raised as exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

NAMESPACE = "urn:ietf:params:acme:error:"

_STATUS: Mapping[str, int] = MappingProxyType(
    {
        "accountDoesNotExist": 400,
        "alreadyReplaced": 409,
        "alreadyRevoked": 400,
        "badCSR": 400,
        "badNonce": 400,
        "badPublicKey": 400,
        "badRevocationReason": 400,
        "badSignatureAlgorithm": 400,
        "caa": 403,
        "compound": 400,
        "conflict": 409,
        "connection": 400,
        "dns": 400,
        "externalAccountRequired": 403,
        "incorrectResponse": 403,
        "invalidContact": 400,
        "invalidProfile": 400,
        "malformed": 400,
        "orderNotReady": 403,
        "rateLimited": 429,
        "rejectedIdentifier": 400,
        "serverInternal": 500,
        "unauthorized": 403,
        "unsupportedContact": 400,
        "unsupportedIdentifier": 400,
        "userActionRequired": 403,
    }
)


class Problem(Exception):
    """A refusal. `type` is the last part of its URN; `extra` are additional members, such as `algorithms`."""

    def __init__(
        self,
        type_: str,
        detail: str,
        *,
        status: int | None = None,
        subproblems: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, Any] = MappingProxyType({}),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(f"{type_}: {detail}")
        self.type = type_
        self.detail = detail
        self.status = status or _STATUS[type_]
        self.subproblems = tuple(subproblems)
        self.extra = extra
        self.headers = tuple(headers)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": NAMESPACE + self.type,
            "detail": self.detail,
            "status": self.status,
            **self.extra,
        }
        if self.subproblems:
            document["subproblems"] = list(self.subproblems)
        return document


def about_identifiers(type_: str, faults: Sequence[tuple[str, str]]) -> Problem:
    """One refusal for several names. `faults` are (name, reason). RFC 8555 section 6.7.1."""
    if len(faults) == 1:
        return Problem(type_, f"Cannot issue for {faults[0][0]!r}: {faults[0][1]}")
    name, reason = faults[0]
    return Problem(
        type_,
        f"Cannot issue for {name!r}: {reason} (and {len(faults) - 1} more problems. Refer to sub-problems for more"
        " information.)",
        subproblems=[
            {
                "type": NAMESPACE + type_,
                "detail": reason,
                "identifier": {"type": "dns", "value": name},
            }
            for name, reason in faults
        ],
    )
