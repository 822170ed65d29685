"""Issuers of each kind, and what they say when they cannot be used."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_lab import LETS_ENCRYPT, NOW, Lab, run_lab, secret
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lockgate.certificates.authority import Authority, dns_content, self_signed
from lockgate.certificates.keys import encode_key
from lockgate.embedded.acme import Limit, Limits
from lockgate.resources import cert_manager as cm
from lockgate.resources import core


def acme_issuer(name: str = "le", **fields: Any) -> dict[str, Any]:
    acme = {"server": LETS_ENCRYPT, "privateKeySecretRef": {"name": "account"}, "solvers": [], **fields}
    return issuer(name, acme=acme)


def issuer(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": name},
        "spec": spec,
    }


def certificate(issuer: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": {
            "secretName": name,
            "dnsNames": ["a.tidewater.example"],
            "issuerRef": {"name": issuer, "kind": "ClusterIssuer"},
            **spec,
        },
    }


def test_a_chain_from_selfsigned_root_to_leaf(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        root = certificate("selfsigned", "root", isCA=True, commonName="Team root", dnsNames=None)
        root["metadata"]["namespace"] = "cert-manager"
        for manifest in (
            issuer("selfsigned", selfSigned={}),
            root,
            issuer("team", ca={"secretName": "root"}),
            certificate("team", duration="48h", usages=["server auth"]),
        ):
            await lab.store.apply(manifest, manager="kubectl")
        await lab.ready("web")
        await lab.condition(cm.ClusterIssuer, "team", "", "Ready", "KeyPairVerified")
        issued = (await lab.store.get(core.Secret, "web", "istio-system")).decoded
        leaf, *chain = x509.load_pem_x509_certificates(issued["tls.crt"])
        anchor = x509.load_pem_x509_certificate(issued["ca.crt"])
        assert anchor == x509.load_pem_x509_certificate(
            (await lab.store.get(core.Secret, "root", "cert-manager")).decoded["tls.crt"]
        )
        assert leaf.issuer == anchor.subject
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=48)
        assert chain == []
        events = await lab.events("CertificateRequest", "web-1")
        assert events[-1][0] == "cert-manager-certificaterequests-issuer-ca"

    run_lab(tmp_path, story)


@pytest.mark.parametrize(
    ("private_key", "header"),
    [
        ({"algorithm": "ECDSA"}, b"-----BEGIN EC PRIVATE KEY-----"),
        ({"algorithm": "ECDSA", "size": 521, "encoding": "PKCS8"}, b"-----BEGIN PRIVATE KEY-----"),
        ({"algorithm": "Ed25519"}, b"-----BEGIN PRIVATE KEY-----"),
        ({"encoding": "PKCS8"}, b"-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_private_keys_follow_their_specification(tmp_path: Path, private_key: dict[str, Any], header: bytes) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(issuer("selfsigned", selfSigned={}), manager="kubectl")
        await lab.store.apply(certificate("selfsigned", privateKey=private_key), manager="kubectl")
        await lab.ready("web")
        data = (await lab.store.get(core.Secret, "web", "istio-system")).decoded
        assert data["tls.key"].startswith(header)
        assert data["ca.crt"] == data["tls.crt"]

    run_lab(tmp_path, story)


def test_the_template_and_further_outputs_reach_the_secret(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(issuer("selfsigned", selfSigned={}), manager="kubectl")
        template = {"annotations": {"reflector/x": "y"}, "labels": {"team": "edge"}}
        await lab.store.apply(
            certificate("selfsigned", secretTemplate=template, additionalOutputFormats=[{"type": "CombinedPEM"}]),
            manager="kubectl",
        )
        await lab.ready("web")
        found = await lab.store.get(core.Secret, "web", "istio-system")
        assert found.metadata.labels["team"] == "edge"
        assert found.metadata.annotations["reflector/x"] == "y"
        assert set(found.data) == {"tls.crt", "tls.key", "ca.crt", "tls-combined.pem"}

        revision = (await lab.store.get(cm.Certificate, "web", "istio-system")).status.revision
        changed = {"annotations": {"reflector/x": "z"}}
        await lab.store.apply(certificate("selfsigned", secretTemplate=changed), manager="kubectl")

        async def written() -> bool:
            found = await lab.store.get(core.Secret, "web", "istio-system")
            return found.metadata.annotations.get("reflector/x") == "z" and "team" not in found.metadata.labels

        await lab.until(written, "the template's change")
        assert (await lab.store.get(cm.Certificate, "web", "istio-system")).status.revision == revision

    run_lab(tmp_path, story)


def test_an_output_that_is_no_longer_wanted_leaves_the_secret(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(issuer("selfsigned", selfSigned={}), manager="kubectl")
        both = [{"type": "DER"}, {"type": "CombinedPEM"}]
        await lab.store.apply(certificate("selfsigned", additionalOutputFormats=both), manager="kubectl")
        await lab.ready("web")
        await lab.store.apply(certificate("selfsigned", additionalOutputFormats=both[:1]), manager="kubectl")

        async def gone() -> bool:
            found = await lab.store.get(core.Secret, "web", "istio-system")
            return "tls-combined.pem" not in found.data and "key.der" in found.data

        await lab.until(gone, "the removal of tls-combined.pem")

    run_lab(tmp_path, story)


@pytest.mark.parametrize(
    ("manifest", "reason", "message"),
    [
        (
            issuer("x", ca={"secretName": "nothing"}),
            "ErrGetKeyPair",
            'Error getting keypair for CA issuer: secrets "nothing" not found',
        ),
        (
            issuer("x", ca={"secretName": "leaf"}),
            "ErrInvalidKeyPair",
            "Error getting keypair for CA issuer: certificate is not a CA",
        ),
        (
            acme_issuer("x", server="https://acme-v01.api.letsencrypt.org/directory"),
            "InvalidConfig",
            "Your ACME server URL is set to a v1 endpoint.",
        ),
        (
            acme_issuer("x", privateKeySecretRef={"name": "ecdsa"}),
            "ErrVerifyACMEAccount",
            'ACME private key in "ecdsa" is not of type RSA',
        ),
        (
            acme_issuer("x", privateKeySecretRef={"name": "garbage"}),
            "ErrVerifyACMEAccount",
            "Account private key is invalid: ",
        ),
        (
            acme_issuer("x", disableAccountKeyGeneration=True),
            "ErrVerifyACMEAccount",
            'Failed to verify ACME account: secret "account" not found',
        ),
        (
            acme_issuer("x", server="https://127.0.0.1:1/directory"),
            "ErrRegisterACMEAccount",
            'Failed to register ACME account: Get "https://127.0.0.1:1/directory": ',
        ),
        (issuer("x", vault={"server": "https://v", "path": "p", "auth": {}}), "InvalidConfig", "issuers of type vault"),
    ],
)
def test_the_reason_why_an_issuer_is_not_ready_is_reported(
    tmp_path: Path, manifest: dict[str, Any], reason: str, message: str
) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(secret("leaf", "cert-manager", **_leaf()))
        await lab.apply(secret("ecdsa", "cert-manager", tls_key=encode_key(ec.generate_private_key(ec.SECP256R1()))))
        await lab.apply(secret("garbage", "cert-manager", tls_key="garbage"))
        await lab.store.apply(manifest, manager="kubectl")
        found = await lab.condition(cm.ClusterIssuer, "x", "", "Ready", reason)
        assert found.status.conditions[0].message.startswith(message)
        await lab.store.apply(certificate("x"), manager="kubectl")
        pending = await lab.condition(cm.CertificateRequest, "web-1", "istio-system", "Ready", "Pending")
        ready = next(each for each in pending.status.conditions if each.type == "Ready")
        assert ready.message == "Referenced issuer does not have a Ready status condition"

    run_lab(tmp_path, story)


def test_unserved_listeners_are_reported(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        keystores = {"pkcs12": {"create": True, "passwordSecretRef": {"name": "p", "key": "p"}}}
        await lab.store.apply(acme_issuer("le", solvers=[{"http01": {"ingress": {}}}]), manager="kubectl")
        await lab.store.apply(certificate("le", keystores=keystores), manager="kubectl")
        assert (await lab.event("NotServed", "spec.keystores of")).involved_object.name == "web"
        assert (await lab.event("NotServed", "spec.acme.solvers.http01.ingress of")).involved_object.name == "le"

    run_lab(tmp_path, story)


def test_a_certificate_contains_revocation_urls_and_name_constraints(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(secret("root", "cert-manager", **_authority()))
        pointers = {"ocspServers": ["http://o.example"], "crlDistributionPoints": ["http://c.example"]}
        await lab.store.apply(issuer("team", ca={"secretName": "root", **pointers}), manager="kubectl")
        constraints = {"critical": True, "permitted": {"dnsDomains": ["tidewater.example"]}}
        await lab.store.apply(certificate("team", isCA=True, nameConstraints=constraints), manager="kubectl")
        await lab.ready("web")
        issued = (await lab.store.get(core.Secret, "web", "istio-system")).decoded["tls.crt"]
        extensions = x509.load_pem_x509_certificates(issued)[0].extensions
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [each.access_location.value for each in access] == ["http://o.example"]
        points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert [name.value for each in points for name in each.full_name or ()] == ["http://c.example"]
        limits = extensions.get_extension_for_class(x509.NameConstraints)
        assert limits.critical
        assert limits.value.permitted_subtrees == [x509.DNSName("tidewater.example")]
        assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign

    run_lab(tmp_path, story)


def test_a_ca_secret_may_be_created_later(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(issuer("team", ca={"secretName": "root"}), manager="kubectl")
        await lab.store.apply(certificate("team"), manager="kubectl")
        await lab.condition(cm.ClusterIssuer, "team", "", "Ready", "ErrGetKeyPair")
        await lab.condition(cm.CertificateRequest, "web-1", "istio-system", "Ready", "Pending")
        await lab.apply(secret("root", "cert-manager", **_authority()))
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_an_issuer_that_does_not_exist_is_waited_for(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(certificate("late"), manager="kubectl")
        event = await lab.event("IssuerNotFound")
        assert event.message == ('Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "late" not found')
        await lab.store.apply(issuer("late", selfSigned={}), manager="kubectl")
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_an_issuers_secrets_are_its_namespaces_own(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        manifest = {**acme_issuer("le"), "kind": "Issuer", "metadata": {"name": "le", "namespace": "istio-system"}}
        await lab.store.apply(manifest, manager="kubectl")
        await lab.condition(cm.Issuer, "le", "istio-system", "Ready", "ACMEAccountRegistered")
        await lab.store.get(core.Secret, "account", "istio-system")

    run_lab(tmp_path, story)


def test_external_accounts(tmp_path: Path) -> None:
    hmac_key = b"a key that the CA gave out"
    encoded = base64.urlsafe_b64encode(hmac_key).rstrip(b"=")
    binding = {"keyID": "kid-1", "keySecretRef": {"name": "eab", "key": "hmac"}}

    async def story(lab: Lab) -> None:
        await lab.store.apply(acme_issuer("without"), manager="kubectl")
        refused = await lab.condition(cm.ClusterIssuer, "without", "", "Ready", "ErrRegisterACMEAccount")
        assert refused.status.conditions[0].message.startswith(
            "Failed to register ACME account: 403 urn:ietf:params:acme:error:externalAccountRequired: "
        )
        await lab.store.apply(
            acme_issuer("bound", externalAccountBinding=binding, privateKeySecretRef={"name": "other"}),
            manager="kubectl",
        )
        missing = await lab.condition(cm.ClusterIssuer, "bound", "", "Ready", "ErrVerifyACMEAccount")
        assert 'secret "eab" not found' in missing.status.conditions[0].message
        await lab.apply(secret("eab", "cert-manager", hmac=encoded + b"="))
        await lab.event("ErrInitIssuer", "must be base64url without padding")
        await lab.apply(secret("eab", "cert-manager", hmac=encoded))
        await lab.condition(cm.ClusterIssuer, "bound", "", "Ready", "ACMEAccountRegistered")

    run_lab(
        tmp_path,
        story,
        acme={"external_accounts": {"kid-1": hmac_key}, "external_account_required": True},
    )


def test_an_account_follows_its_email_and_key(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(acme_issuer("le", email="Ops@Tidewater.example"), manager="kubectl")
        first = await lab.condition(cm.ClusterIssuer, "le", "", "Ready", "ACMEAccountRegistered")
        await lab.store.apply(acme_issuer("le", email="new@tidewater.example"), manager="kubectl")

        async def moved() -> Any:
            found: Any = await lab.store.get(cm.ClusterIssuer, "le")
            return found if found.status.acme.last_registered_email == "new@tidewater.example" else None

        second = await lab.until(moved, "the new email")
        assert second.status.acme.uri == first.status.acme.uri
        other = rsa.generate_private_key(65537, 2048)
        await lab.apply(secret("account", "cert-manager", tls_key=encode_key(other)))

        async def another() -> Any:
            found: Any = await lab.store.get(cm.ClusterIssuer, "le")
            return found.status.acme.uri != first.status.acme.uri

        await lab.until(another, "another account")

    run_lab(tmp_path, story)


def test_limits_of_the_ca_are_final_for_an_order_and_waited_out(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(acme_issuer("le"), manager="kubectl")
        await lab.store.apply(certificate("le"), manager="kubectl")
        event = await lab.event("OrderFailed")
        assert 'order is in "errored" state: Failed to create Order: 429 urn:ietf:params:acme:error:rateLimited' in (
            event.message
        )
        failed = await lab.condition(cm.Certificate, "web", "istio-system", "Issuing", "Failed")
        assert failed.status.failed_issuance_attempts == 1

    run_lab(tmp_path, story, acme={"limits": Limits(orders_per_account=Limit(0, timedelta(hours=3)))})


def _leaf() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    times: Any = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=9), "serial": 5}
    return {"tls_crt": self_signed(key, dns_content(["x.example"]), **times).encode(), "tls_key": encode_key(key)}


def _authority() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    times: Any = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=9), "serial": 5}
    return {"tls_crt": Authority.root("Team", key, **times).root_pem.encode(), "tls_key": encode_key(key)}
