"""The AWS calls against somebody else's server: moto alone, with its own ACM, Route 53 and EC2."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate.controllers.aws import Aws
from lockgate.deploy.account import Account
from lockgate.deploy.performing import Performer
from lockgate.deploy.planning.plan import Wishes
from lockgate.deploy.planning.steps import CreateZone, RequestCertificate, ValidateCertificate
from tests.deploy.deploy_rig import KEY, SECRET, Quiet, Rig, environment, no_requests, rig


@pytest.fixture
def moto() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto never listened"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def planned_there(made: Rig, moto: str) -> None:
    """The cluster here, and moto's account. Its EKS cluster is in a VPC that its EC2 does not have."""
    owner = Aws(region="eu-west-1", endpoint=moto, access_key_id=KEY, secret_access_key=SECRET)
    role = "arn:aws:iam::123456789012:role/rig"
    await owner.call("eks", "create_cluster", name="rig", roleArn=role, resourcesVpcConfig={"subnetIds": []})
    owner.close()
    account = Account(region="eu-west-1")
    try:
        with environment(AWS_ENDPOINT_URL=moto, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET):
            plan = await replace(made.session, account=account).plan()
    finally:
        account.close()
    zone, subnets = (each.text for each in plan.problems)
    assert zone.startswith("the account 123456789012 has no hosted zone Z08765432TOWPATH0001")
    assert "couldn't auto-discover subnets" in subnets
    assert all("EKS has" in each.why for each in plan.seen.unread)  # its own endpoint is not that of the context
    assert {each.record_set.type for group in plan.records.changes.values() for one in group for each in one} >= {"A"}


def test_zone_certificate_and_records(moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            plan = await made.session.plan()
            await planned_there(made, moto)
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        account = Account(region="eu-west-1")
        quiet = Quiet()
        performer = Performer(made.session.cluster, account, plan, Wishes(), quiet.noted, no_requests)
        choice = plan.choices[0]
        for action in (CreateZone("towpath.example"), RequestCertificate(choice), ValidateCertificate(choice)):
            await performer.perform(action)
        await performer.perform(RequestCertificate(choice))  # the same token: the same certificate
        account.close()
        assert any("must be delegated to" in each for each in quiet.said)
        seen = Aws(region="eu-west-1", endpoint=moto, access_key_id=KEY, secret_access_key=SECRET)
        certificates = await seen.list("acm", "list_certificates", "CertificateSummaryList")
        zones = await seen.list("route53", "list_hosted_zones", "HostedZones")
        records = await seen.list(
            "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zones[0]["Id"]
        )
        tags = await seen.call("acm", "list_tags_for_certificate", CertificateArn=certificates[0]["CertificateArn"])
        seen.close()
        assert len(certificates) == 1
        assert tags["Tags"] == [{"Key": "lockgate.dev/edge", "Value": "rig"}]
        assert [each["Name"] for each in zones] == ["towpath.example."]
        assert "CNAME" in {each["Type"] for each in records}

    asyncio.run(asyncio.wait_for(run(), 120))
