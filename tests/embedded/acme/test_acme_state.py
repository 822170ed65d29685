"""What the CA forgets, and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lockgate.embedded.acme import state
from lockgate.embedded.acme.state import Authorization, Challenge, Issued, Order, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def authorization(name: str) -> Authorization:
    return Authorization(name, "account", name, False, NOW, Challenge(name, "token"))


def order(name: str, *authorizations: Authorization) -> Order:
    return Order(name, "account", (name,), authorizations, NOW, "classic", certificate=f"certificate of {name}")


def test_old_orders_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "ORDERS_KEPT", 2)
    shared, own = authorization("shared.test"), authorization("own.test")
    kept = State()
    for each in (shared, own):
        kept.add_authorization(each)
    for name, authorizations in (("first", (shared, own)), ("second", (shared,)), ("third", (shared,))):
        kept.add_order(order(name, *authorizations))
        kept.add_certificate(Issued(f"certificate of {name}", "account", (name,), (b"",), f"renewal of {name}"))
    assert list(kept.orders) == ["second", "third"]
    assert list(kept.authorizations) == ["shared.test"]  # what an order that is kept relies on stays
    assert kept.latest_authorization("account", "own.test") is None
    assert kept.latest_authorization("account", "shared.test") is shared
    assert list(kept.certificates) == ["certificate of second", "certificate of third"]
    assert list(kept.by_renewal_id) == ["renewal of second", "renewal of third"]
