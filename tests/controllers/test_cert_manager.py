"""cert-manager's whole way, from a Certificate to its Secret, through real APIs and a real ACME client."""

from __future__ import annotations

import re
from pathlib import Path

from certificate_lab import ACCESS_KEY, LETS_ENCRYPT, ROUTE53_SECRET, SECRET_KEY, ZONE_ID, Lab, run_lab
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from lockgate.resources import cert_manager as cm
from lockgate.resources import core

GUIDE = f"""
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: letsencrypt
spec:
  acme:
    privateKeySecretRef:
      name: letsencrypt-staging
    server: {LETS_ENCRYPT}
    email: ops@tidewater.example
    solvers:
      - dns01:
          route53:
            region: ap-northeast-2
            hostedZoneID: {ZONE_ID}
            accessKeyID: {ACCESS_KEY}
            secretAccessKeySecretRef: {{name: route53-secret, key: secret-access-key}}
        selector:
          dnsZones: ["tidewater.example"]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: tidewater-cert
  namespace: istio-system
spec:
  secretName: tidewater-cert
  dnsNames: ["*.tidewater.example", "tidewater.example"]
  issuerRef: {{name: letsencrypt, kind: ClusterIssuer}}
"""


def test_the_guides_certificate_is_issued_over_acme(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await lab.apply(GUIDE)
        certificate = await lab.ready("tidewater-cert")
        secret = await lab.store.get(core.Secret, "tidewater-cert", "istio-system")
        leaf, *chain = x509.load_pem_x509_certificates(secret.decoded["tls.crt"])
        verifier = PolicyBuilder().store(Store([lab.root.certificate]))
        for name in ("tidewater.example", "www.tidewater.example"):
            verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, chain)
        assert secret.type == "kubernetes.io/tls"
        assert set(secret.data) == {"tls.crt", "tls.key"}
        assert secret.decoded["tls.key"].startswith(b"-----BEGIN RSA PRIVATE KEY-----")
        assert secret.metadata.labels == {"controller.cert-manager.io/fao": "true"}
        assert secret.metadata.annotations == {
            "cert-manager.io/alt-names": "*.tidewater.example,tidewater.example",
            "cert-manager.io/certificate-name": "tidewater-cert",
            "cert-manager.io/common-name": "*.tidewater.example",
            "cert-manager.io/ip-sans": "",
            "cert-manager.io/issuer-group": "cert-manager.io",
            "cert-manager.io/issuer-kind": "ClusterIssuer",
            "cert-manager.io/issuer-name": "letsencrypt",
            "cert-manager.io/uri-sans": "",
        }
        assert certificate.status.revision == 1

        account = await lab.store.get(core.Secret, "letsencrypt-staging", "cert-manager")
        assert account.metadata.labels == {"app.kubernetes.io/managed-by": "cert-manager"}
        assert lab.asked[0].access_key_id == ACCESS_KEY
        assert lab.asked[0].secret_access_key == SECRET_KEY  # the stray newline is trimmed

        (request,) = await lab.store.list(cm.CertificateRequest)
        assert request.name == "tidewater-cert-1"
        (order,) = await lab.store.list(cm.Order)
        assert re.fullmatch(r"tidewater-cert-1-\d+", order.name)

        async def cleaned() -> bool:
            return not await lab.store.list(cm.Challenge) and not await lab.txt_records()

        await lab.until(cleaned, "challenges and records gone")

    run_lab(tmp_path, story)


def test_every_object_has_events(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await lab.apply(GUIDE)
        await lab.ready("tidewater-cert")
        reported = await lab.events("Certificate", "tidewater-cert")
        assert [each[:3] for each in reported] == [
            ("cert-manager-certificates-trigger", "Normal", "Issuing"),
            ("cert-manager-certificates-key-manager", "Normal", "Generated"),
            ("cert-manager-certificates-request-manager", "Normal", "Requested"),
            ("cert-manager-certificates-issuing", "Normal", "Issuing"),
        ]
        assert reported[0][3] == "Issuing certificate as Secret does not exist"
        assert re.fullmatch(
            r'Stored new private key in temporary Secret resource "tidewater-cert-[a-z0-9]{5}"', reported[1][3]
        )
        assert reported[2][3] == 'Created new CertificateRequest resource "tidewater-cert-1"'
        assert reported[3][3] == "The certificate has been successfully issued"

        reasons = [each[2] for each in await lab.events("CertificateRequest", "tidewater-cert-1")]
        assert reasons[0] == "WaitingForApproval"
        assert [each for each in reasons if each not in ("WaitingForApproval", "IssuerNotReady")] == [
            "cert-manager.io",
            "OrderCreated",
            "CertificateIssued",
        ]
        (order,) = await lab.store.list(cm.Order)
        assert [each[2] for each in await lab.events("Order", order.name)] == ["Created", "Created", "Complete"]

        from lockgate.resources import core

        names = {each.involved_object.name for each in await lab.store.list(core.Event) if each.reason == "Presented"}
        assert len(names) == 2
        for name in names:
            assert [each[2:] for each in await lab.events("Challenge", name)] == [
                ("Started", "Challenge scheduled for processing"),
                ("Presented", "Presented challenge using DNS-01 challenge mechanism"),
                ("DomainVerified", 'Domain "tidewater.example" verified with "DNS-01" validation'),
            ]
        issuer = await lab.condition(cm.ClusterIssuer, "letsencrypt", "", "Ready", "ACMEAccountRegistered")
        assert issuer.status.acme.uri.startswith(lab.acme.directory_url.removesuffix("directory"))
        mapped = await lab.event("ServedLocally")
        assert LETS_ENCRYPT in mapped.message

    run_lab(tmp_path, story)


def test_no_key_is_exposed(tmp_path: Path, caplog: object) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await lab.apply(GUIDE)
        await lab.ready("tidewater-cert")
        secret = await lab.store.get(core.Secret, "tidewater-cert", "istio-system")
        text = await lab.story() + repr(secret) + repr(lab.asked)
        for hidden in (SECRET_KEY, secret.data["tls.key"][:64], "PRIVATE KEY"):
            assert hidden not in text

    run_lab(tmp_path, story)
    assert "PRIVATE KEY" not in caplog.text  # type: ignore[attr-defined]
    assert SECRET_KEY not in caplog.text  # type: ignore[attr-defined]
