"""One request and one answer, as handlers see them. The signature is verified and the nonce is spent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lockgate.embedded.acme.jws import Envelope, Jwk
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Account


@dataclass(frozen=True, slots=True)
class Request:
    """`key` made the signature. `account` is that of the `kid`; None if the request contains its own `jwk`."""

    url: str
    path: tuple[str, ...]  # the segments after the resource's name
    envelope: Envelope
    key: Jwk
    account: Account | None

    @property
    def caller(self) -> Account:
        if self.account is None:
            raise Problem("malformed", "No Key ID in JWS header")
        return self.account

    @property
    def is_read(self) -> bool:
        """POST-as-GET: RFC 8555 section 6.3."""
        return not self.envelope.payload

    def must_be_read(self) -> None:
        if not self.is_read:
            raise Problem("malformed", "POST-as-GET requests must have an empty payload")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = field(default=())


def answer(document: dict[str, Any], *, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    return Answer(status, json.dumps(document).encode(), "application/json", tuple(headers))


def link(url: str, relation: str) -> tuple[str, str]:
    return ("Link", f'<{url}>;rel="{relation}"')
