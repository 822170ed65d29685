"""The CA's state: accounts, orders with their authorizations, and certificates. Old ones are forgotten.

It is in memory, for one run of the edge.

The status values and transitions are those of RFC 8555 section 7.1.6:

    challenge      pending ─ processing ─▶ valid | invalid
    authorization  pending ─▶ valid | invalid ─▶ deactivated | expired | revoked
    order          pending ─▶ ready ─▶ processing ─▶ valid | invalid

Until an order is finalized, its status follows from its authorizations. So it is computed, not stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from cryptography import x509

from lockgate.embedded.acme.jws import Jwk, thumbprint

ChallengeStatus: TypeAlias = Literal["pending", "processing", "valid", "invalid"]
AuthorizationStatus: TypeAlias = Literal["pending", "valid", "invalid", "deactivated", "expired", "revoked"]
OrderStatus: TypeAlias = Literal["pending", "ready", "processing", "valid", "invalid"]


ORDERS_KEPT: Final = 100
ORDERS_IN_USE: Final = timedelta(minutes=2)  # after a client asked for one
CERTIFICATES_KEPT: Final = 1000


@dataclass(slots=True)
class Account:
    id: str
    key: Jwk
    contact: tuple[str, ...]
    created_at: datetime
    status: Literal["valid", "deactivated", "revoked"] = "valid"
    external_account: dict[str, Any] | None = None


@dataclass(slots=True)
class Challenge:
    id: str
    token: str
    type: Literal["dns-01"] = "dns-01"
    status: ChallengeStatus = "pending"
    validated: datetime | None = None
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class Authorization:
    """`domain` has no ``*.`` prefix. A wildcard and its base domain have separate authorizations."""

    id: str
    account: str
    domain: str
    wildcard: bool
    expires: datetime
    challenge: Challenge
    status: AuthorizationStatus = "pending"

    @property
    def name(self) -> str:
        return f"*.{self.domain}" if self.wildcard else self.domain

    def status_at(self, now: datetime) -> AuthorizationStatus:
        if self.status in ("pending", "valid") and now >= self.expires:
            return "expired"
        return self.status


@dataclass(slots=True)
class Order:
    id: str
    account: str
    names: tuple[str, ...]
    authorizations: tuple[Authorization, ...]
    expires: datetime
    profile: str
    asked_for: datetime  # the last time
    not_before: datetime | None = None
    not_after: datetime | None = None
    replaces: str | None = None
    certificate: str | None = None
    error: dict[str, Any] | None = None
    issuing: bool = False

    def is_done(self, now: datetime) -> bool:
        return self.status_at(now) in ("valid", "invalid")

    def status_at(self, now: datetime) -> OrderStatus:
        if self.certificate is not None:
            return "valid"
        if self.error is not None or now >= self.expires:
            return "invalid"
        if self.issuing:
            return "processing"
        states = {authorization.status_at(now) for authorization in self.authorizations}
        if states == {"valid"}:
            return "ready"
        return "pending" if states <= {"valid", "pending"} else "invalid"


@dataclass(slots=True)
class Issued:
    """A certificate, once from each authority, as DER: the default one first, then the alternates."""

    id: str
    account: str
    names: tuple[str, ...]
    leaves: tuple[bytes, ...]
    renewal_id: str  # RFC 9773 section 4.1
    revoked: int | None = None  # the reason code
    revoked_at: datetime | None = None
    replaced_by: str | None = None

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.leaves[0])


@dataclass(slots=True)
class State:
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    certificates: dict[str, Issued] = field(default_factory=dict)
    by_renewal_id: dict[str, Issued] = field(default_factory=dict)
    _by_key: dict[str, str] = field(default_factory=dict)
    _by_name: dict[tuple[str, str], Authorization] = field(default_factory=dict)
    _uses: Counter[str] = field(default_factory=Counter)  # orders by the authorizations that they share

    def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account
        self._by_key[thumbprint(account.key)] = account.id

    def account_of(self, key: Jwk) -> Account | None:
        identifier = self._by_key.get(thumbprint(key))
        return self.accounts[identifier] if identifier else None

    def change_key(self, account: Account, key: Jwk) -> None:
        del self._by_key[thumbprint(account.key)]
        account.key = key
        self._by_key[thumbprint(key)] = account.id

    def add_order(self, order: Order) -> None:
        self.orders[order.id] = order
        self._uses.update(each.id for each in order.authorizations)
        surplus = len(self.orders) - ORDERS_KEPT
        if surplus > 0:
            now = order.asked_for
            old = (each for each in self.orders.values() if each.is_done(now) and now - each.asked_for > ORDERS_IN_USE)
            for each in list(islice(old, surplus)):
                self._forget(each)

    def _forget(self, order: Order) -> None:
        """Removes an old order, and what only it references."""
        del self.orders[order.id]
        for each in order.authorizations:
            self._uses[each.id] -= 1
            if self._uses[each.id] == 0:
                del self._uses[each.id], self.authorizations[each.id]
                if self._by_name.get((each.account, each.name)) is each:
                    del self._by_name[each.account, each.name]

    def add_authorization(self, authorization: Authorization) -> None:
        self.authorizations[authorization.id] = authorization
        self._by_name[authorization.account, authorization.name] = authorization

    def latest_authorization(self, account: str, name: str) -> Authorization | None:
        return self._by_name.get((account, name))

    def add_certificate(self, issued: Issued) -> None:
        self.certificates[issued.id] = issued
        self.by_renewal_id[issued.renewal_id] = issued
        while len(self.certificates) > CERTIFICATES_KEPT:
            oldest = self.certificates.pop(next(iter(self.certificates)))
            del self.by_renewal_id[oldest.renewal_id]
