"""ACM's certificates: pending until their records resolve, then issued by the local authority."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_lab import ACCESS_KEY, NOW, SECRET_KEY, ZONE_ID, authority
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from lockgate.certificates.authority import Authority
from lockgate.controllers.aws import Aws
from lockgate.controllers.certificate_manager import CertificateManager
from lockgate.embedded.aws.api import AwsApi
from lockgate.embedded.dns_server import DnsServer


class Acm:
    def __init__(self, aws: Aws, api: AwsApi, root: Authority) -> None:
        self.aws, self.api, self.root = aws, api, root

    async def request(self, *names: str, **options: Any) -> str:
        answer = await self.aws.call(
            "acm",
            "request_certificate",
            DomainName=names[0],
            SubjectAlternativeNames=list(names),
            ValidationMethod="DNS",
            **options,
        )
        arn: str = answer["CertificateArn"]
        return arn

    async def describe(self, arn: str) -> dict[str, Any]:
        answer = await self.aws.call("acm", "describe_certificate", CertificateArn=arn)
        found: dict[str, Any] = answer["Certificate"]
        return found

    async def records(self, arn: str) -> list[dict[str, str]]:
        """The validation records, each once: an apex and its wildcard share one."""
        options = (await self.describe(arn))["DomainValidationOptions"]
        found = {each["ResourceRecord"]["Name"]: each["ResourceRecord"] for each in options}
        return list(found.values())

    async def change(self, action: str, record: dict[str, str], value: str | None = None) -> None:
        wanted = {
            "Name": record["Name"],
            "Type": record["Type"],
            "TTL": 300,
            "ResourceRecords": [{"Value": value or record["Value"]}],
        }
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": wanted}]}
        await self.aws.call("route53", "change_resource_record_sets", HostedZoneId=ZONE_ID, ChangeBatch=batch)

    async def issued(self, arn: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                found = await self.describe(arn)
                if found["Status"] == "ISSUED":
                    return found
                await asyncio.sleep(0.005)


def run(folder: Path, story: Callable[[Acm], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            api = AwsApi("123456789012", "ap-northeast-2", access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)
            await api.start()
            stack.push_async_callback(api.stop)
            names = DnsServer(api.hosted_zones, lambda _: (), api.changes)
            await names.start("127.0.0.1")
            stack.push_async_callback(names.stop)
            aws = Aws(region="ap-northeast-2", endpoint=api.url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)
            stack.callback(aws.close)
            await api.create_hosted_zone("tidewater.example", ZONE_ID)
            root, _ = authority(folder)
            issuing = root.intermediate(
                "Lab ACM CA",
                ec.generate_private_key(ec.SECP256R1()),
                not_before=NOW - timedelta(days=1),
                not_after=NOW + timedelta(days=3650),
                serial=4,
            )
            manager = CertificateManager(api, authority=issuing, dns_server=(names.host, names.port))
            running = asyncio.create_task(manager.run())
            try:
                await story(Acm(aws, api, root))
                assert not running.done(), running.exception()
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    asyncio.run(scenario())


def test_a_certificate_is_issued_when_its_record_resolves_and_not_before(tmp_path: Path) -> None:
    async def story(acm: Acm) -> None:
        arn = await acm.request("tidewater.example", "*.tidewater.example")
        (record,) = await acm.records(arn)
        assert (await acm.describe(arn))["Status"] == "PENDING_VALIDATION"
        await acm.change("CREATE", record)
        found = await acm.issued(arn)
        assert found["NotAfter"] - found["NotBefore"] == timedelta(days=198, seconds=-1)

        answer = await acm.aws.call("acm", "get_certificate", CertificateArn=arn)
        leaf = x509.load_pem_x509_certificate(answer["Certificate"].encode())
        chain = x509.load_pem_x509_certificates(answer["CertificateChain"].encode())
        verifier = PolicyBuilder().store(Store([acm.root.certificate])).time(datetime.now(UTC))
        for name in ("tidewater.example", "www.tidewater.example"):
            verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, chain)
        material = await acm.api.certificate_material(arn)
        assert material is not None
        assert material[1].startswith("-----BEGIN RSA PRIVATE KEY-----")

    run(tmp_path, story)


def test_a_record_with_another_value_is_not_enough(tmp_path: Path) -> None:
    async def story(acm: Acm) -> None:
        other = await acm.request("other.tidewater.example")
        arn = await acm.request("tidewater.example", "a.tidewater.example")
        first, second = await acm.records(arn)
        await acm.change("CREATE", first, "_wrong.acm-validations.aws.")
        await acm.change("CREATE", second)
        (record,) = await acm.records(other)
        await acm.change("CREATE", record)
        await acm.issued(other)  # by now both have been looked at
        assert (await acm.describe(arn))["Status"] == "PENDING_VALIDATION"
        await acm.change("UPSERT", first)
        await acm.issued(arn)

    run(tmp_path, story)


@pytest.mark.parametrize(("algorithm", "curve"), [("EC_prime256v1", ec.SECP256R1), ("EC_secp384r1", ec.SECP384R1)])
def test_private_keys_have_the_requested_algorithm(tmp_path: Path, algorithm: str, curve: type[Any]) -> None:
    async def story(acm: Acm) -> None:
        arn = await acm.request("tidewater.example", KeyAlgorithm=algorithm)
        (record,) = await acm.records(arn)
        await acm.change("CREATE", record)
        await acm.issued(arn)
        answer = await acm.aws.call("acm", "get_certificate", CertificateArn=arn)
        key = x509.load_pem_x509_certificate(answer["Certificate"].encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, curve)

    run(tmp_path, story)


def test_a_certificate_that_was_deleted_meanwhile_has_no_effect(tmp_path: Path) -> None:
    async def story(acm: Acm) -> None:
        gone = await acm.request("gone.tidewater.example")
        (record,) = await acm.records(gone)
        await acm.aws.call("acm", "delete_certificate", CertificateArn=gone)
        await acm.change("CREATE", record)
        arn = await acm.request("tidewater.example")
        (record,) = await acm.records(arn)
        await acm.change("CREATE", record)
        await acm.issued(arn)

    run(tmp_path, story)
