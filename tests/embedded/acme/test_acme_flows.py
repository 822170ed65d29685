"""Certbot's own client against the embedded CA: what a client that does everything right gets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from acme import errors, messages
from acme_rig import ISSUING, NOW, ROOT, Rig, acme_test, csr, rsa_key
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store
from josepy.jwk import JWKRSA

from lockgate.certificates.authority import Authority


def test_apex_and_wildcard_are_issued_and_verify(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        order = rig.validated(client, ["tidewater.example", "*.tidewater.example"])
        order = client.finalize_order(order, datetime.now() + timedelta(seconds=10))
        leaf, *chain = x509.load_pem_x509_certificates(order.fullchain_pem.encode())
        assert [each.subject for each in chain] == [ISSUING.certificate.subject]
        verifier = PolicyBuilder().store(Store([ROOT.certificate])).time(NOW)
        for name in ("tidewater.example", "www.tidewater.example"):
            verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, chain)
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90, seconds=-1)

    acme_test(flow, folder=tmp_path)


def test_an_alias_is_followed_to_where_the_record_is(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        order = client.new_order(csr(["a.example"]))
        value = order.authorizations[0].body.challenges[0].chall.validation(client.net.key)
        rig.dns.records["_acme-challenge.a.example", "CNAME"] = ["a.validations.example."]
        rig.dns.records["a.validations.example", "TXT"] = ['"other"', f'"{value}"']
        rig.answer(client, order)
        client.poll_authorizations(order, datetime.now() + timedelta(seconds=10))

    acme_test(flow, folder=tmp_path)


@pytest.mark.parametrize(
    ("records", "code", "kind", "detail"),
    [
        ({}, None, "dns", "NXDOMAIN looking up TXT for _acme-challenge.a.example"),
        ({"TXT": ['"wrong"']}, None, "unauthorized", 'Incorrect TXT record "wrong" found at _acme-challenge.a.example'),
        ({"TXT": ['"wrong"', '"more"']}, None, "unauthorized", "(and 1 more)"),
        ({"A": ["127.0.0.1"]}, None, "unauthorized", "No TXT record found at _acme-challenge.a.example"),
        ({}, 2, "dns", "SERVFAIL looking up TXT for _acme-challenge.a.example"),
        ({}, 5, "dns", "REFUSED looking up TXT for _acme-challenge.a.example"),
        ({"CNAME": ["_acme-challenge.a.example."]}, None, "dns", "too many CNAMEs"),
    ],
)
def test_the_reason_of_a_failed_validation_is_reported(
    tmp_path: Path, records: dict[str, list[str]], code: int | None, kind: str, detail: str
) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        for type_, values in records.items():
            rig.dns.records["_acme-challenge.a.example", type_] = values
        if code is not None:
            rig.dns.codes["_acme-challenge.a.example"] = code  # type: ignore[assignment]
        order = client.new_order(csr(["a.example"]))
        rig.answer(client, order)
        with pytest.raises(errors.ValidationError) as failure:
            client.poll_authorizations(order, datetime.now() + timedelta(seconds=10))
        error: Any = failure.value.failed_authzrs[0].body.challenges[0].error
        assert error.code == kind
        assert detail in error.detail
        shown = client.net.post(order.uri, None, new_nonce_url=client.directory["newNonce"]).json()
        assert shown["status"] == "invalid"

    acme_test(flow, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "records", "allowed"),
    [
        ("a.example", ['0 issue "letsencrypt.org"'], True),
        ("a.example", ['0 issue "amazon.com"'], False),
        ("a.example", ['0 issue ";"'], False),
        ("a.example", ['0 iodef "mailto:x@a.example"'], True),
        ("a.example", ['128 tbs "unknown"'], False),
        ("a.example", ['0 issue "amazon.com"', '0 issue "letsencrypt.org; validationmethods=dns-01"'], True),
        ("*.a.example", ['0 issue "amazon.com"', '0 issuewild "letsencrypt.org"'], True),
        ("*.a.example", ['0 issue "letsencrypt.org"', '0 issuewild ";"'], False),
        ("a.example", ['0 issue "letsencrypt.org"', '0 issuewild ";"'], True),
        ("sub.a.example", ['0 issue "amazon.com"'], False),
    ],
)
def test_caa_records_decide(tmp_path: Path, name: str, records: list[str], allowed: bool) -> None:
    def flow(rig: Rig) -> None:
        rig.dns.records["a.example", "CAA"] = records
        client = rig.client()
        if allowed:
            rig.validated(client, [name])
            return
        with pytest.raises(errors.ValidationError) as failure:
            rig.validated(client, [name])
        error: Any = failure.value.failed_authzrs[0].body.challenges[0].error
        assert error.code == "caa"

    acme_test(flow, folder=tmp_path)


def test_a_valid_authorization_is_reused_without_a_new_challenge(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        rig.issue(client, ["a.example"])
        rig.dns.records.clear()
        again = client.new_order(csr(["a.example"]))
        assert again.body.status == messages.Status("ready")
        assert again.authorizations[0].body.status == messages.STATUS_VALID
        assert client.begin_finalization(again).body.certificate

    acme_test(flow, folder=tmp_path)


def test_alternate_chains_are_offered_by_link(tmp_path: Path) -> None:
    other_root = Authority.root(
        "Other root",
        ec.generate_private_key(ec.SECP256R1()),
        not_before=NOW,
        not_after=NOW + timedelta(days=3650),
        serial=9,
    )

    def flow(rig: Rig) -> None:
        client = rig.client()
        order = rig.validated(client, ["a.example"])
        order = client.finalize_order(order, datetime.now() + timedelta(seconds=10), fetch_alternative_chains=True)
        (alternate,) = order.alternative_fullchains_pem
        leaf = x509.load_pem_x509_certificate(alternate.encode())
        assert leaf.issuer == other_root.certificate.subject
        assert leaf.serial_number == x509.load_pem_x509_certificate(order.fullchain_pem.encode()).serial_number
        for number in ("2", "01", "-1", "x", "9" * 5000):
            with pytest.raises(messages.Error, match="Unknown issuance chain"):
                url = f"{order.body.certificate}/{number}"
                client.net.post(url, None, new_nonce_url=client.directory["newNonce"])

    acme_test(flow, folder=tmp_path, alternates=[other_root])


def test_a_bound_account_and_one_that_is_not(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client(register=False)
        assert client.external_account_required()
        with pytest.raises(messages.Error) as refused:
            client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        assert refused.value.code == "externalAccountRequired"
        for hmac_key, ok in (("d3Jvbmcta2V5LXdyb25nLWtleQ", False), ("c2VjcmV0LXNlY3JldC1zZWNyZXQ", True)):
            binding = messages.ExternalAccountBinding.from_data(
                client.net.key.public_key(), "kid-1", hmac_key, client.directory
            )
            registration = messages.NewRegistration.from_data(
                terms_of_service_agreed=True, external_account_binding=binding
            )
            if ok:
                assert client.new_account(registration).uri
            else:
                with pytest.raises(messages.Error) as refused:
                    client.new_account(registration)
                assert refused.value.code == "unauthorized"

    acme_test(
        flow,
        folder=tmp_path,
        external_accounts={"kid-1": b"secret-secret-secret"},
        external_account_required=True,
    )


def test_an_account_is_found_updated_and_deactivated(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        key = JWKRSA(key=rsa_key())
        client = rig.client(key)
        uri = client.net.account.uri
        again = rig.client(key, register=False)
        with pytest.raises(errors.ConflictError) as existing:
            again.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        assert existing.value.location == uri
        updated = client.update_registration(
            client.net.account, messages.UpdateRegistration(contact=("mailto:ops@tidewater.example",))
        )
        assert updated.body.contact == ("mailto:ops@tidewater.example",)
        client.deactivate_registration(client.net.account)
        with pytest.raises(messages.Error) as refused:
            client.new_order(csr(["a.example"]))
        assert refused.value.code == "unauthorized"

    acme_test(flow, folder=tmp_path)


def test_revocation_once_by_its_account_and_its_own_key(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        certificate = x509.load_pem_x509_certificate(rig.issue(client, ["a.example"]).fullchain_pem.encode())
        with pytest.raises(messages.Error) as refused:
            rig.client().revoke(certificate, 0)
        assert refused.value.code == "unauthorized"
        with pytest.raises(messages.Error) as refused:
            client.revoke(certificate, 2)
        assert refused.value.code == "badRevocationReason"
        client.revoke(certificate, 4)
        with pytest.raises(messages.Error) as refused:
            client.revoke(certificate, 4)
        assert refused.value.code == "alreadyRevoked"

        own = rsa_key()
        certificate = x509.load_pem_x509_certificate(rig.issue(client, ["b.example"], key=own).fullchain_pem.encode())
        holder = rig.client(JWKRSA(key=own), register=False)
        holder.revoke(certificate, 1)

    acme_test(flow, folder=tmp_path)


def test_renewal_info_suggests_a_time_and_hurries_after_revocation(tmp_path: Path) -> None:
    def flow(rig: Rig) -> None:
        client = rig.client()
        pem = rig.issue(client, ["a.example"]).fullchain_pem.encode()
        when, _ = client.renewal_time(pem)
        assert when is not None
        assert timedelta(days=58) < when - datetime.now(UTC) < timedelta(days=62)
        client.revoke(x509.load_pem_x509_certificate(pem), 0)
        when, _ = client.renewal_time(pem)
        assert when is not None
        assert when < datetime.now(UTC)

    acme_test(flow, folder=tmp_path)


def test_a_client_gets_through_though_nonces_are_refused_on_purpose(tmp_path: Path) -> None:
    def accepted(ask: Callable[[], Any]) -> Any:
        for _ in range(40):  # Certbot's client tries twice; a third refusal in a row is the test's own
            try:
                return ask()
            except messages.Error as error:
                assert error.code == "badNonce"
        raise AssertionError("never accepted")

    def flow(rig: Rig) -> None:
        client = accepted(rig.client)
        for number in range(4):
            accepted(partial(client.new_order, csr([f"{number}.example.test"])))

    acme_test(flow, folder=tmp_path, nonce_reject=0.3)
