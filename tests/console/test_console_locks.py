"""Certificates of hops: whether clients would accept them, and why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.certificates.authority import Authority, dns_content
from lockgate.console.locks import Lock, covers, lock, missing, renewed, trusted

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROOT, OTHER = (
    Authority.root(
        name,
        ec.generate_private_key(ec.SECP256R1()),
        not_before=NOW - timedelta(days=900),
        not_after=NOW + timedelta(days=900),
        serial=x509.random_serial_number(),
    )
    for name in ("Root", "Another")
)


def presented(
    *hosts: str, names: tuple[str, ...] = ("a.example",), days: int = 90, age: int = 1, by: Authority = ROOT
) -> Lock:
    chain = by.issue(
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        dns_content(names),
        not_before=NOW - timedelta(days=age),
        not_after=NOW + timedelta(days=days),
        serial=x509.random_serial_number(),
    )
    return lock("x", chain.encode(), hosts, trusted(ROOT.root_pem), NOW.timestamp(), "Clients verify it.")


def test_a_good_certificate() -> None:
    found = presented("a.example")
    assert (found.verifies, found.why, found.days, found.issuer, found.state) == (True, "", 90, "Root", "ok")
    assert found.names == ("a.example",)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (presented("b.example"), "It is not for b.example."),
        (presented("a.example", by=OTHER), "Its chain does not lead to a CA that clients trust: Another ("),
        (presented(days=-1, age=30), "It has expired on 28 November 2026."),
        (presented(age=-2), "It is not valid before 1 December 2026 00:00 UTC."),
        (missing("x", ""), "The certificate does not exist yet."),
    ],
)
def test_why_clients_refuse_it(found: Lock, why: str) -> None:
    assert not found.verifies
    assert found.why.startswith(why)
    assert found.state == "bad"


def test_one_that_ends_soon_is_a_warning() -> None:
    assert presented(days=5).state == "warn"


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (("*.example",), "a.example", True),
        (("*.example",), "a.b.example", False),
        (("*.example",), "example", False),
        (("A.example",), "a.EXAMPLE", True),
    ],
)
def test_names(names: tuple[str, ...], host: str, covered: bool) -> None:
    assert covers(names, host) is covered


def test_a_renewal_is_told_from_an_issuance_and_from_a_fault() -> None:
    first, second, foreign = presented(), presented(), presented(by=OTHER)
    assert renewed({}, {"x": first}) == []
    assert renewed({"x": first}, {"x": first}) == []
    assert renewed({"x": missing("x", "")}, {"x": first}) == [
        ("ok", "a.example: issued by Root, valid until 27 February 2027"),
        ("ok", "a.example: verifies again"),
    ]
    assert renewed({"x": first}, {"x": second}) == [("ok", "a.example: renewed by Root, valid until 27 February 2027")]
    assert [level for level, _ in renewed({"x": first}, {"x": foreign})] == ["ok", "bad"]
