"""What holds for any Certificate: its own request fits it, its own Secret is good, and renewal comes before the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from certificate_values import START, certificate, chain, key, request, secret
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.certificates import backoff, policy
from lockgate.certificates.issuance import Request, Rest, Seen, decide
from lockgate.certificates.names import _fnv, challenge_name, order_name, request_name
from lockgate.certificates.request import certificate_mismatches, load_chain, request_mismatches
from lockgate.certificates.times import go_duration, parse_duration
from lockgate.resources import cert_manager as cm

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.builds(
    lambda labels, wild: f"{'*.' if wild else ''}{'.'.join(labels)}.example",
    st.lists(LABEL, min_size=1, max_size=3),
    st.booleans(),
)
WORD = st.text("abcdefghij ÄÖÜ", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
SPEC: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"dnsNames": st.lists(NAME, min_size=1, max_size=5, unique=True)},
    optional={
        "commonName": NAME,
        "ipAddresses": st.lists(st.ip_addresses().map(str), max_size=2, unique=True),
        "uris": st.lists(LABEL.map(lambda label: f"spiffe://{label}.example/ns/x"), max_size=2, unique=True),
        "emailAddresses": st.lists(LABEL.map(lambda label: f"{label}@mail.example"), max_size=2, unique=True),
        "usages": st.lists(
            st.sampled_from(["server auth", "client auth", "digital signature", "signing"]), unique=True
        ),
        "subject": st.fixed_dictionaries(
            {},
            optional={
                "organizations": st.lists(WORD, max_size=2, unique=True),
                "localities": st.lists(WORD, max_size=1),
            },
        ),
        "isCA": st.booleans(),
        "duration": st.sampled_from(["48h", "2160h0m0s"]),
        "renewBefore": st.integers(5, 100_000).map(lambda minutes: f"{minutes}m"),
    },
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SPEC)
def test_a_certificate_is_content_with_what_it_asked_for(spec: dict[str, Any]) -> None:
    wanted = certificate(spec, {"revision": 1})
    asked = request(wanted)
    assert request_mismatches(wanted.spec, asked) == ()
    (leaf, *_) = load_chain(chain(wanted))
    assert certificate_mismatches(wanted.spec, leaf) == ()
    seen = Seen(wanted, secret(wanted), (), (asked,), START)
    act = decide(seen)
    assert isinstance(act, Rest)
    assert act.until is not None
    assert START <= act.until < leaf.not_valid_after_utc


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SPEC, SPEC)
def test_another_spec_is_noticed_exactly_when_its_request_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = certificate(one, {"revision": 1}), certificate(other, {"revision": 1})
    violation = policy.trigger(policy.Input(second, secret(first), request(first), START))
    if request_mismatches(second.spec, request(first)):
        assert violation is not None
        assert violation.reason == "RequestChanged"
    else:
        assert violation is None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_durations_read_what_they_write(hours: int, minutes: int, seconds: int) -> None:
    duration = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert parse_duration(go_duration(duration)) == duration


@given(st.integers(0, 10**9))
def test_back_off_never_shrinks_and_never_exceeds_its_limit(failures: int) -> None:
    assert backoff.delay(failures) <= backoff.delay(failures + 1) <= backoff.LONGEST


@given(LABEL, st.integers(1, 10**6), st.integers(1, 30))
def test_names_are_short_enough_and_stable(label: str, revision: int, times: int) -> None:
    name = request_name(label * times, revision)
    assert len(name) <= 253
    spec = cm.OrderSpec.model_validate({"request": "", "issuerRef": {"name": "x"}, "dnsNames": [f"{label}.example"]})
    order = order_name(name, spec)
    assert order == order_name(name, spec)
    assert len(order) <= 63
    assert order != order_name(name, spec.model_copy(update={"dns_names": ("other.example",)}))
    challenge = {"url": "u", "dnsName": "d", "solver": {}, "issuerRef": {}}
    assert challenge_name(order, {**challenge, "key": "secret"}) == challenge_name(order, challenge)
    assert challenge_name(order, {**challenge, "url": "v"}) != challenge_name(order, challenge)


def test_the_hash_is_fnv_1_and_not_1a() -> None:
    # From the reference vectors of draft-eastlake-fnv.
    assert (_fnv(b""), _fnv(b"a"), _fnv(b"foobar")) == (0x811C9DC5, 0x050C5D7E, 0x31F0B262)


def test_a_request_is_made_with_the_certificates_own_key() -> None:
    begun = certificate(status={"conditions": [{"type": "Issuing", "status": "True"}]})
    assert key() not in repr(decide(Seen(begun, secret(certificate()), (), (), START))).encode()
    assert not isinstance(decide(Seen(begun, None, (), (), START)), Request)
