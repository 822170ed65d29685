"""Provisioning the account: what cannot be made is reported, and the rest is made."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.controllers.aws import Aws
from lockgate.edge.location import Place
from lockgate.edge.supply import AcmCertificate, Supply, Zone
from lockgate.embedded.aws import AwsApi
from lockgate.runtime.account import Provisioner

KEY, SECRET = "AKIAEDGE", "secret"
ARN = "arn:aws:acm:eu-west-1:123456789012:certificate/"


def test_a_certificate_without_a_zone_is_reported_and_the_others_are_made() -> None:
    async def main() -> None:
        api = AwsApi("123456789012", "eu-west-1", access_key_id=KEY, secret_access_key=SECRET)
        await api.start()
        aws = Aws(region="eu-west-1", endpoint=api.url, access_key_id=KEY, secret_access_key=SECRET)
        try:
            supply = Supply(
                Place("123456789012", "eu-west-1"),
                zones=(Zone("shop.example", None, "zone"),),
                certificates=(
                    AcmCertificate(f"{ARN}1", ("other.example",), "certificate 1: of other.example"),
                    AcmCertificate(f"{ARN}2", ("shop.example",), "certificate 2: of shop.example"),
                ),
            )
            (fault,) = await Provisioner(api, aws, "").provide(supply)
            assert fault.code.id == "LG9004"
            assert fault.message == "certificate 1 cannot be made: no hosted zone has the name other.example"
            assert f"{ARN}2" in {each.arn for each in await api.pending_certificates()}
        finally:
            aws.close()
            await api.stop()

    asyncio.run(main())


def test_a_certificate_follows_the_hosts_that_it_is_for() -> None:
    """Its ARN is in the manifests, and what it covers is guessed from their hosts. It serves until it is replaced."""

    async def main() -> None:
        api = AwsApi("123456789012", "eu-west-1", access_key_id=KEY, secret_access_key=SECRET)
        await api.start()
        aws = Aws(region="eu-west-1", endpoint=api.url, access_key_id=KEY, secret_access_key=SECRET)
        try:
            provisioner = Provisioner(api, aws, "")
            supply = Supply(Place("123456789012", "eu-west-1"), zones=(Zone("shop.example", None, "zone"),))
            for names in (("shop.example",), ("shop.example", "new.shop.example"), ("shop.example",)):
                wanted = replace(supply, certificates=(AcmCertificate(f"{ARN}1", names, "certificate 1"),))
                assert await provisioner.provide(wanted) == ()
                assert [each.names for each in await api.pending_certificates()] == [names]
                await api.issue_certificate(f"{ARN}1", *self_signed(*names))
                assert await provisioner.provide(wanted) == ()
                assert await api.pending_certificates() == ()
        finally:
            aws.close()
            await api.stop()

    asyncio.run(main())


def self_signed(*names: str) -> tuple[str, str]:
    """A chain of one certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem).decode(), secret.decode()
