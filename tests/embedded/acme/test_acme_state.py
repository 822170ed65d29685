"""What the CA forgets, and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lockgate.embedded.acme import state
from lockgate.embedded.acme.state import Authorization, Challenge, Issued, Order, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def authorization(name: str) -> Authorization:
    return Authorization(name, "account", name, False, NOW + DAY, Challenge(name, "token"))


def order(name: str, *authorizations: Authorization, at: datetime = NOW, done: bool = True) -> Order:
    certificate = f"certificate of {name}" if done else None
    return Order(name, "account", (name,), authorizations, NOW + DAY, "classic", at, certificate=certificate)


def test_old_orders_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "ORDERS_KEPT", 2)
    shared, own = authorization("shared.test"), authorization("own.test")
    kept = State()
    for each in (shared, own):
        kept.add_authorization(each)
    kept.add_order(order("first", shared, own))
    kept.add_order(order("second", shared))
    kept.add_order(order("third", shared, at=NOW + DAY / 2))
    assert list(kept.orders) == ["second", "third"]
    assert list(kept.authorizations) == ["shared.test"]  # an authorization of an order that is kept stays
    assert kept.latest_authorization("account", "own.test") is None
    assert kept.latest_authorization("account", "shared.test") is shared


def test_orders_that_a_client_still_works_with_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a client places at once, none is forgotten before it is done and its client has read that."""
    monkeypatch.setattr(state, "ORDERS_KEPT", 2)
    kept = State()
    pending = [authorization(f"a{number}.test") for number in range(5)]
    for number, each in enumerate(pending):
        kept.add_authorization(each)
        kept.add_order(order(f"pending {number}", each, done=False))
        kept.add_order(order(f"just done {number}"))
    assert len(kept.orders) == 10
    kept.add_order(order("later", at=NOW + DAY / 2))
    assert list(kept.orders) == [*(f"pending {number}" for number in range(5)), "later"]


def test_old_certificates_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "CERTIFICATES_KEPT", 2)
    kept = State()
    for name in ("first", "second", "third"):
        kept.add_certificate(Issued(name, "account", (name,), (b"",), f"renewal of {name}"))
    assert list(kept.certificates) == ["second", "third"]
    assert list(kept.by_renewal_id) == ["renewal of second", "renewal of third"]
