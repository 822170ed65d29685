"""Requests that a strict CA refuses: envelopes that are wrong, names that it won't talk about, requests out of turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import messages
from acme_rig import RawClient, Rig, acme_test, csr, problem, rsa_key
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.b64 import b64decode, b64encode
from josepy.jwk import JWKRSA

from lockgate.embedded.acme import Limit, Limits


def der(pem: bytes) -> str:
    return b64encode(x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)).decode()


def dns(*names: str) -> dict[str, Any]:
    return {"identifiers": [{"type": "dns", "value": name} for name in names]}


ENVELOPES: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "no algorithm": ({"alg": None}, (400, "badSignatureAlgorithm")),
    "alg none": ({"alg": "none"}, (400, "badSignatureAlgorithm")),
    "an HMAC": ({"alg": "HS256"}, (400, "badSignatureAlgorithm")),
    "an algorithm for other keys": ({"alg": "ES256"}, (400, "badSignatureAlgorithm")),
    "another url": ({"url": "https://127.0.0.1:1/acme/new-order"}, (403, "unauthorized")),
    "no url": ({"url": None}, (400, "malformed")),
    "an unknown nonce": ({"nonce": "AAAAAAAAAAAAAAAAAAAAAA"}, (400, "badNonce")),
    "no nonce": ({"nonce": None}, (400, "badNonce")),
    "a nonce that is no base64url": ({"nonce": "a b"}, (400, "malformed")),
    "neither kid nor jwk": ({"kid": None}, (400, "malformed")),
    "an unknown account": ({"kid": "https://127.0.0.1/acme/account/1"}, (400, "accountDoesNotExist")),
    "critical header members": ({"crit": ["exp"], "exp": 1}, (400, "malformed")),
    "a kid that is not a string": ({"kid": 7}, (400, "malformed")),
}


@pytest.mark.parametrize("case", ENVELOPES)
def test_an_envelope_that_is_wrong(tmp_path: Path, case: str) -> None:
    changes, expected = ENVELOPES[case]

    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        reply = client.post(client.directory["newOrder"], dns("a.example"), **changes)
        assert problem(reply) == expected
        assert reply.headers["Replay-Nonce"]
        assert client.post(client.directory["newOrder"], dns("a.example")).status_code == 201

    acme_test(flow, folder=tmp_path)


def test_refused_algorithms_come_with_those_that_are_accepted(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        reply = client.post(client.directory["newAccount"], {}, alg="none")
        assert reply.json()["algorithms"] == ["RS256", "ES256", "ES384", "ES512"]

    acme_test(flow, folder=tmp_path)


def test_jwk_and_kid_together_and_a_jwk_where_kid_is_required(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        jwk = client.jwk.public_key().to_json()
        assert problem(client.post(client.directory["newOrder"], {}, jwk=jwk)) == (400, "malformed")
        assert problem(client.post(client.directory["newOrder"], {}, jwk=jwk, kid=None)) == (400, "malformed")
        assert problem(client.post(client.directory["newAccount"], {})) == (400, "malformed")

    acme_test(flow, folder=tmp_path)


def _tampered(envelope: dict[str, str]) -> Any:
    return {**envelope, "payload": b64encode(b'{"identifiers":[]}').decode()}


TEXTS: dict[str, tuple[Callable[[dict[str, str]], Any], tuple[int, str]]] = {
    "not JSON": (lambda _: "{", (400, "malformed")),
    "not an object": (lambda _: "[]", (400, "malformed")),
    "an unprotected header": (lambda envelope: {**envelope, "header": {}}, (400, "malformed")),
    "several signatures": (lambda envelope: {**envelope, "signatures": []}, (400, "malformed")),
    "no signature": (lambda envelope: {**envelope, "signature": None}, (400, "malformed")),
    "an empty signature": (lambda envelope: {**envelope, "signature": ""}, (400, "malformed")),
    "padding": (lambda envelope: {**envelope, "signature": envelope["signature"] + "=="}, (400, "malformed")),
    "another payload than was signed": (_tampered, (400, "malformed")),
    "deep nesting": (lambda _: "[" * 100_000, (400, "malformed")),
    "much too much": (lambda _: " " * 300_000, (413, "malformed")),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_body_that_is_not_a_valid_envelope(tmp_path: Path, case: str) -> None:
    spoil, expected = TEXTS[case]

    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        url = client.directory["newOrder"]
        envelope = client.envelope(dns("a.example"), client.header(url))
        assert problem(client.send(url, spoil(envelope))) == expected

    acme_test(flow, folder=tmp_path)


def test_a_nonce_is_good_once(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        url, nonce = client.directory["newOrder"], client.nonce()
        assert client.post(url, dns("a.example"), nonce=nonce).status_code == 201
        refused = client.post(url, dns("a.example"), nonce=nonce)
        assert problem(refused) == (400, "badNonce")
        assert client.post(url, dns("a.example"), nonce=refused.headers["Replay-Nonce"]).status_code == 201

    acme_test(flow, folder=tmp_path)


def test_plain_http_is_validated_as_well(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        account = client.register().headers["Location"]
        url = client.directory["newOrder"]
        assert problem(client.post(url, dns("a.example"), content_type="application/json")) == (415, "malformed")
        plain = client.session.get(account)
        assert problem(plain) == (405, "malformed")
        assert plain.headers["Allow"] == "POST"
        assert problem(client.session.get(f"{account}/nothing")) == (405, "malformed")
        assert problem(client.session.get(url.replace("new-order", "nothing"))) == (404, "malformed")
        head = client.session.head(client.directory["newNonce"])
        get = client.session.get(client.directory["newNonce"])
        assert (head.status_code, get.status_code) == (200, 204)
        assert head.headers["Cache-Control"] == get.headers["Cache-Control"] == "no-store"
        assert head.headers["Replay-Nonce"] != get.headers["Replay-Nonce"]

    acme_test(flow, folder=tmp_path)


@pytest.mark.parametrize(
    ("jwk", "expected"),
    [
        ({"kty": "oct", "k": "c2VjcmV0"}, "badPublicKey"),
        ({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, "badPublicKey"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "malformed"),
        ({"kty": "RSA", "n": "!", "e": "AQAB"}, "malformed"),
        ({"kty": "RSA"}, "malformed"),
        ({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}, "malformed"),
        ({"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}, "malformed"),
        ("key", "badPublicKey"),
        (None, "malformed"),
    ],
)
def test_invalid_account_keys(tmp_path: Path, jwk: Any, expected: str) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        reply = client.post(client.directory["newAccount"], {"termsOfServiceAgreed": True}, jwk=jwk)
        assert problem(reply) == (400, expected)

    acme_test(flow, folder=tmp_path)


def test_weak_and_private_account_keys(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        weak = RawClient(rig, rsa_key(1024))
        assert problem(weak.register()) == (400, "badPublicKey")
        client = RawClient(rig)
        reported = client.post(client.directory["newAccount"], {}, jwk=client.jwk.to_json())
        assert problem(reported) == (400, "malformed")
        curve = RawClient(rig, ec.generate_private_key(ec.SECP384R1()))
        agreed = {"termsOfServiceAgreed": True}
        assert curve.post(curve.directory["newAccount"], agreed, alg="ES384").status_code == 201
        assert problem(curve.post(curve.directory["newAccount"], agreed, alg="ES256"))[1] == "badSignatureAlgorithm"

    acme_test(flow, folder=tmp_path)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"termsOfServiceAgreed": False}, (403, "userActionRequired")),
        ({"onlyReturnExisting": True}, (400, "accountDoesNotExist")),
        ({"contact": ["tel:+1234"]}, (400, "unsupportedContact")),
        ({"contact": ["mailto:a@b.example,c@d.example"]}, (400, "invalidContact")),
        ({"contact": ["mailto:nobody"]}, (400, "invalidContact")),
        ({"contact": ["nobody"]}, (400, "invalidContact")),
        ({"contact": "mailto:a@b.example"}, (400, "malformed")),
        ({"contact": ["mailto:a@b.example"] * 11}, (400, "malformed")),
        (
            {"externalAccountBinding": {"protected": "e30", "payload": "e30", "signature": ""}},
            (400, "badSignatureAlgorithm"),
        ),
        ({"externalAccountBinding": "x"}, (400, "malformed")),
    ],
)
def test_accounts_that_are_refused(tmp_path: Path, payload: dict[str, Any], expected: tuple[int, str]) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        assert problem(client.register(**payload)) == expected

    acme_test(flow, folder=tmp_path)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, (400, "malformed")),
        (dns(), (400, "malformed")),
        (dns(""), (400, "malformed")),
        (dns(*(f"{number}.example.com" for number in range(101))), (400, "malformed")),
        ({"identifiers": ["a.example"]}, (400, "malformed")),
        ({"identifiers": [{"type": "ip", "value": "127.0.0.1"}]}, (400, "unsupportedIdentifier")),
        (dns("127.0.0.1"), (400, "rejectedIdentifier")),
        (dns("[::1]"), (400, "rejectedIdentifier")),
        (dns("example"), (400, "rejectedIdentifier")),
        (dns("*.example"), (400, "rejectedIdentifier")),
        (dns("*.*.a.example"), (400, "rejectedIdentifier")),
        (dns("a.*.example"), (400, "rejectedIdentifier")),
        (dns("a.example."), (400, "rejectedIdentifier")),
        (dns("a..example"), (400, "rejectedIdentifier")),
        (dns("a_b.example"), (400, "rejectedIdentifier")),
        (dns("-a.example"), (400, "rejectedIdentifier")),
        (dns("ab--c.example"), (400, "rejectedIdentifier")),
        (dns("bücher.example"), (400, "rejectedIdentifier")),
        (dns("a.example.1"), (400, "rejectedIdentifier")),
        (dns(f"{'a' * 64}.example"), (400, "rejectedIdentifier")),
        ({**dns("a.example"), "notAfter": "tomorrow"}, (400, "malformed")),
        ({**dns("a.example"), "notAfter": "2020-01-01T00:00:00Z"}, (400, "malformed")),
        ({**dns("a.example"), "notBefore": "2020-01-01T00:00:00"}, (400, "malformed")),
        ({**dns("a.example"), "profile": "nothing"}, (400, "invalidProfile")),
        ({**dns("a.example"), "replaces": "AAAA.AAAA"}, (400, "malformed")),
    ],
)
def test_orders_that_are_refused(tmp_path: Path, payload: dict[str, Any], expected: tuple[int, str]) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        assert problem(client.post(client.directory["newOrder"], payload)) == expected

    acme_test(flow, folder=tmp_path)


def test_several_bad_names_are_reported_one_by_one(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        document = client.post(client.directory["newOrder"], dns("example", "a.example", "b_.example")).json()
        assert [each["identifier"]["value"] for each in document["subproblems"]] == ["b_.example", "example"]

    acme_test(flow, folder=tmp_path)


def test_names_are_folded_and_counted_once(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        order = client.post(client.directory["newOrder"], dns("A.Example", "a.example", "xn--bcher-kva.example"))
        names = [each["value"] for each in order.json()["identifiers"]]
        assert names == ["a.example", "xn--bcher-kva.example"]

    acme_test(flow, folder=tmp_path)


def test_finalizing_too_early_and_with_a_csr_that_does_not_match(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        account_key = rsa_key()
        client = rig.client(JWKRSA(key=account_key))
        early = client.new_order(csr(["early.example"]))
        with pytest.raises(messages.Error) as refused:
            client.begin_finalization(early)
        assert refused.value.code == "orderNotReady"

        order = rig.validated(client, ["a.example"])
        raw = RawClient(rig, account_key, client.net.account.uri)
        unfit: dict[str, tuple[Any, str]] = {
            "no csr": ({}, "malformed"),
            "garbage": ({"csr": "AAAA"}, "badCSR"),
            "other names": ({"csr": der(csr(["b.example"]))}, "badCSR"),
            "more names": ({"csr": der(csr(["a.example", "b.example"]))}, "badCSR"),
            "a common name beside": ({"csr": der(csr(["a.example"], common_name="b.example"))}, "badCSR"),
            "a long common name": ({"csr": der(csr(["a.example"], common_name="a" * 65))}, "badCSR"),
            "a weak key": ({"csr": der(csr(["a.example"], key=rsa_key(1024)))}, "badCSR"),
            "a curve": (
                {"csr": der(csr(["a.example"], key=ec.generate_private_key(ec.SECP521R1())))},
                "badCSR",
            ),
            "the account's key": ({"csr": der(csr(["a.example"], key=account_key))}, "malformed"),
            "another kind of key": ({"csr": der(_ed25519_csr())}, "badCSR"),
            "a broken signature": ({"csr": _broken(der(csr(["a.example"])))}, "badCSR"),
        }
        for case, (payload, expected) in unfit.items():
            assert problem(raw.post(order.body.finalize, payload))[1] == expected, case
        folded = raw.post(order.body.finalize, {"csr": der(csr(["A.Example"], common_name="a.EXAMPLE"))})
        assert folded.json()["status"] == "valid"
        assert folded.headers["Location"] == order.uri
        assert problem(raw.post(order.body.finalize, {"csr": der(csr(["a.example"]))})) == (403, "orderNotReady")

    acme_test(flow, folder=tmp_path)


def test_resources_of_other_accounts_are_not_accessible(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        order = rig.issue(client, ["a.example"])
        other = RawClient(rig)
        other.register()
        assert problem(other.post(order.uri)) == (404, "malformed")
        assert problem(other.post(order.body.authorizations[0])) == (403, "unauthorized")
        assert problem(other.post(order.authorizations[0].body.challenges[0].uri, {})) == (403, "unauthorized")
        assert problem(other.post(order.body.certificate)) == (403, "unauthorized")
        assert problem(other.post(client.net.account.uri, {"contact": []})) == (403, "unauthorized")
        assert problem(other.post(f"{client.net.account.uri}/orders")) == (403, "unauthorized")
        assert other.post(f"{other.kid}/orders").json() == {"orders": []}

    acme_test(flow, folder=tmp_path)


def test_an_accounts_key_is_changed_by_both_keys(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client, other = RawClient(rig), RawClient(rig)
        client.register()
        other.register()
        url, new = client.directory["keyChange"], JWKRSA(key=rsa_key())
        old = client.jwk.public_key().to_json()

        def change(key: Any = new, **payload: Any) -> Any:
            inner = client.envelope(
                {"account": client.kid, "oldKey": old, **payload},
                {"alg": "RS256", "url": url, "jwk": key.public_key().to_json()},
                key,
            )
            return client.post(url, inner)

        assert problem(change(account=other.kid)) == (400, "malformed")
        assert problem(change(oldKey=other.jwk.public_key().to_json())) == (400, "malformed")
        taken = change(other.jwk)
        assert problem(taken) == (409, "conflict")
        assert taken.headers["Location"] == other.kid
        assert change().status_code == 200
        assert problem(client.post(client.directory["newOrder"], dns("a.example"))) == (400, "malformed")
        client.key = new.key
        assert client.post(client.directory["newOrder"], dns("a.example")).status_code == 201

    acme_test(flow, folder=tmp_path)


def test_deactivated_authorizations_are_not_reused(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        order = rig.issue(client, ["a.example"])
        client.deactivate_authorization(order.authorizations[0])
        again = client.new_order(csr(["a.example"]))
        assert again.body.status == messages.STATUS_PENDING
        assert again.authorizations[0].uri != order.authorizations[0].uri

    acme_test(flow, folder=tmp_path)


def test_an_order_replaces_a_certificate_once(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        from acme.client import _renewal_info_path_component

        client = rig.client()
        first = rig.issue(client, ["a.example"])
        identifier = _renewal_info_path_component(x509.load_pem_x509_certificate(first.fullchain_pem.encode()))
        raw = RawClient(rig, client.net.key.key._wrapped, client.net.account.uri)
        url = raw.directory["newOrder"]
        assert problem(raw.post(url, {**dns("b.example"), "replaces": identifier})) == (400, "malformed")
        assert raw.post(url, {**dns("a.example"), "replaces": identifier}).json()["replaces"] == identifier
        assert problem(raw.post(url, {**dns("a.example"), "replaces": identifier})) == (409, "alreadyReplaced")

    acme_test(flow, folder=tmp_path)


def test_a_client_that_polls_early_gets_retry_after(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = RawClient(rig)
        client.register()
        url = client.directory["newOrder"]
        assert client.post(url, dns("a.example")).status_code == 201
        refused = client.post(url, dns("b.example"))
        assert problem(refused) == (429, "rateLimited")
        assert 0 < int(refused.headers["Retry-After"]) <= 3 * 3600

    acme_test(flow, folder=tmp_path, limits=Limits(orders_per_account=Limit(1, timedelta(hours=3))))


def _ed25519_csr() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    return builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)


def _broken(encoded: str) -> str:
    data = bytearray(b64decode(encoded))
    data[-1] ^= 1
    return b64encode(bytes(data)).decode()
