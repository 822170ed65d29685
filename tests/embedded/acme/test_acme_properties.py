"""Whatever is sent, the CA answers with a problem of its own or does what was asked: it never breaks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.embedded.acme import identifiers, jws
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Authorization, Challenge, Order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
HEADER = st.dictionaries(
    st.sampled_from(["alg", "url", "nonce", "jwk", "kid", "crit"]),
    st.sampled_from(["RS256", "ES256", "none", "https://x/", "AAAA"]) | VALUE,
    max_size=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(HEADER, st.binary(max_size=30), st.binary(max_size=30))
def test_any_envelope_is_read_or_refused(header: dict[str, Any], payload: bytes, signature: bytes) -> None:
    body = {
        "protected": jws.encode(json.dumps(header).encode()),
        "payload": jws.encode(payload),
        "signature": jws.encode(signature),
    }
    try:
        envelope = jws.parse(json.dumps(body).encode())
    except Problem as problem:
        assert 400 <= problem.status < 500
    else:
        assert envelope.algorithm in jws.ALGORITHMS
        assert (envelope.jwk is None) != (envelope.kid is None)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=60) | VALUE.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_refused_cleanly(body: bytes) -> None:
    with pytest.raises(Problem):
        jws.parse(body)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "oct", "OKP"])},
        optional={name: st.text("AQABabc_-", max_size=90) | VALUE for name in ("n", "e", "crv", "x", "y", "k", "d")},
    )
)
def test_any_key_is_read_or_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(Problem):
        jws.public_key(jwk)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(VALUE | st.lists(st.fixed_dictionaries({"type": st.just("dns"), "value": st.text(max_size=40)}), max_size=4))
def test_any_identifiers_are_names_or_refused(value: Any) -> None:
    try:
        names = identifiers.read(value)
    except Problem as problem:
        assert problem.status == 400
    else:
        assert names
        assert list(names) == sorted(set(names))
        assert all(name == name.lower() and name.isascii() and "." in name for name in names)


@given(st.binary(max_size=40))
def test_base64url_has_one_text_for_one_value(data: bytes) -> None:
    text = jws.encode(data)
    assert jws.decode(text, "x") == data
    for other in (text + "=", text + " ", text + "\n"):
        with pytest.raises(Problem):
            jws.decode(other, "x")


@given(
    st.lists(st.sampled_from(["pending", "valid", "invalid", "deactivated", "revoked"]), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_status_of_an_order_follows_its_authorizations(states: list[Any], late: bool) -> None:
    authorizations = tuple(
        Authorization(str(index), "a", "x.example", False, NOW + timedelta(days=1), Challenge("c", "t"), status)
        for index, status in enumerate(states)
    )
    order = Order("o", "a", ("x.example",), authorizations, NOW + timedelta(days=7), "classic", NOW)
    now = NOW + timedelta(days=2) if late else NOW
    status = order.status_at(now)
    if late or set(states) - {"pending", "valid"}:
        assert status == "invalid"
    else:
        assert status == ("ready" if set(states) == {"valid"} else "pending")
    assert order.status_at(NOW + timedelta(days=7)) == "invalid"
