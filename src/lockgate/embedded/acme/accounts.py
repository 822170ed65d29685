"""Accounts: creates, finds, updates and deactivates them. RFC 8555 section 7.3."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockgate.embedded.acme import jws
from lockgate.embedded.acme.exchange import Answer, Request, answer
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Account, State

MOST_CONTACTS = 10
_MAILTO = re.compile(r"[^@\s,?%\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_HMACS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Accounts:
    """`external_accounts` are HMAC keys by key ID; with `external_account_required`, every new account must use one."""

    state: State
    base: str
    new_account_url: str
    external_accounts: Mapping[str, bytes]
    external_account_required: bool

    def url(self, account: Account) -> str:
        return f"{self.base}/account/{account.id}"

    def create(self, request: Request, now: datetime) -> Answer:
        if request.account is not None or request.envelope.jwk is None:
            raise Problem("malformed", "No embedded JWK in JWS header")
        payload = request.envelope.json()
        if existing := self.state.account_of(request.key):
            if existing.status != "valid":
                raise Problem("unauthorized", "An account with the provided public key exists but is deactivated")
            return answer(self._document(existing), headers=[("Location", self.url(existing))])
        if payload.get("onlyReturnExisting") is True:
            raise Problem("accountDoesNotExist", "No account exists with the provided key")
        contact = _contact(payload)
        if payload.get("termsOfServiceAgreed") is not True:
            raise Problem("userActionRequired", "must agree to terms of service")
        binding = self._external_account(payload.get("externalAccountBinding"), request)
        account = Account(
            id=secrets.token_hex(8),
            key=request.key,
            contact=contact,
            created_at=now,
            external_account=binding,
        )
        self.state.add_account(account)
        return answer(self._document(account), status=201, headers=[("Location", self.url(account))])

    def update(self, request: Request) -> Answer:
        account = request.caller
        if request.path != (account.id,):
            raise Problem("unauthorized", "Request signing key did not match account key")
        if not request.is_read:
            payload = request.envelope.json()
            match payload.get("status"):
                case None | "valid":
                    if "contact" in payload:
                        account.contact = _contact(payload)
                case "deactivated":
                    account.status = "deactivated"
                case _:
                    raise Problem("malformed", "Invalid value provided for status field")
        return answer(self._document(account), headers=[("Location", self.url(account))])

    def orders(self, request: Request) -> Answer:
        account = request.caller
        request.must_be_read()
        if request.path != (account.id, "orders"):
            raise Problem("unauthorized", "Request signing key did not match account key")
        mine = [order for order in self.state.orders.values() if order.account == account.id]
        return answer({"orders": [f"{self.base}/order/{order.id}" for order in mine]})

    def change_key(self, request: Request) -> Answer:
        """RFC 8555 section 7.3.5: the new key signs the inner JWS, the old key the outer one. Both name the account."""
        account = request.caller
        inner = jws.parse(request.envelope.payload, needs_nonce=False)
        if inner.jwk is None:
            raise Problem("malformed", "Inner JWS has no jwk")
        inner.verify(inner.jwk)
        if inner.url != request.envelope.url:
            raise Problem("malformed", "Inner and outer JWS have different url parameters")
        payload = inner.json()
        if payload.get("account") != self.url(account):
            raise Problem("malformed", "Inner JWS names another account than the one that signed the request")
        if not jws.same(jws.public_key(payload.get("oldKey")), account.key):
            raise Problem("malformed", "Inner JWS does not contain the account's current key as oldKey")
        if holder := self.state.account_of(inner.jwk):
            raise Problem(
                "conflict",
                "New key is already in use by an account",
                headers=[("Location", self.url(holder))],
            )
        self.state.change_key(account, inner.jwk)
        return answer(self._document(account), headers=[("Location", self.url(account))])

    def _document(self, account: Account) -> dict[str, Any]:
        document: dict[str, Any] = {
            "status": account.status,
            "contact": list(account.contact),
            "termsOfServiceAgreed": True,
            "key": account.key.to_json(),
            "createdAt": account.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "orders": f"{self.url(account)}/orders",
        }
        if account.external_account is not None:
            document["externalAccountBinding"] = account.external_account
        return document

    def _external_account(self, binding: object, request: Request) -> dict[str, Any] | None:
        """RFC 8555 section 7.3.4. Raises `Problem` unless one of `external_accounts` has signed this account key."""
        if binding is None:
            if self.external_account_required:
                raise Problem("externalAccountRequired", "The request must include a value for externalAccountBinding")
            return None
        if not isinstance(binding, dict):
            raise Problem("malformed", "externalAccountBinding is not a JWS")
        parts = [binding.get(name) for name in ("protected", "payload", "signature")]
        if not all(isinstance(part, str) for part in parts):
            raise Problem("malformed", "externalAccountBinding is not a flattened JWS")
        protected, payload, signature = map(str, parts)
        header = jws.json_object(jws.decode(protected, "protected"), "externalAccountBinding has no JSON header")
        digest = _HMACS.get(str(header.get("alg")))
        if digest is None:
            raise Problem("badSignatureAlgorithm", "externalAccountBinding must be signed with an HMAC")
        if "nonce" in header or "jwk" in header:
            raise Problem("malformed", "externalAccountBinding must carry neither nonce nor jwk")
        if header.get("url") != request.envelope.url:
            raise Problem("unauthorized", "externalAccountBinding was made for another url")
        secret = self.external_accounts.get(str(header.get("kid")))
        if secret is None:
            raise Problem("unauthorized", f"the field 'kid' references an unknown key: {header.get('kid')!r}")
        made = hmac.new(secret, f"{protected}.{payload}".encode(), digest).digest()
        if not hmac.compare_digest(made, jws.decode(signature, "signature")):
            raise Problem("unauthorized", "external account binding JWS verification error")
        bound = jws.public_key(jws.json_object(jws.decode(payload, "payload"), "externalAccountBinding holds no JWK"))
        if not jws.same(bound, request.key):
            raise Problem("unauthorized", "the account key in externalAccountBinding is not the one that signed")
        return binding


def _contact(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """RFC 8555 section 7.3: each URL contains one mail address and nothing else."""
    contact = payload.get("contact", ())
    if contact is None:
        return ()
    if not isinstance(contact, list | tuple) or not all(isinstance(each, str) for each in contact):
        raise Problem("malformed", "contact is not a list of URLs")
    if len(contact) > MOST_CONTACTS:
        raise Problem("malformed", f"too many contacts provided: {len(contact)} > {MOST_CONTACTS}")
    for url in contact:
        scheme, colon, address = url.partition(":")
        if not colon or not url.isascii():
            raise Problem("invalidContact", f"{url!r} is not a URL")
        if scheme.lower() != "mailto":
            raise Problem("unsupportedContact", f"contact method {scheme!r} is not supported")
        if not _MAILTO.fullmatch(address):
            raise Problem("invalidContact", f"{address!r} is not one plain email address")
    return tuple(contact)
