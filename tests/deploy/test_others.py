"""Others write while `apply` runs: nothing of theirs is overwritten, and the reason is theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lockgate.deploy.applying import apply
from lockgate.deploy.performing import Performer
from lockgate.deploy.planning.steps import WriteRecords
from lockgate.deploy.waiting import StepFailed
from lockgate.resources import core
from lockgate.resources.model import JsonObject
from tests.deploy.deploy_rig import Quiet, no_requests, rig

ZONE = "Z08765432TOWPATH0001"


def service(selector: str) -> JsonObject:
    ports = [{"name": "http", "port": 3000}]
    spec = {"selector": {"app": selector}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def test_an_object_that_somebody_else_creates_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            others: list[asyncio.Task[JsonObject]] = []

            def confirm(_: object) -> bool:
                others.append(asyncio.create_task(made.store.apply(service("theirs"), manager="theirs")))
                return True

            with pytest.raises(StepFailed, match=r'conflict with "theirs".*spec\.selector'):
                await apply(made.session, Quiet(), confirm=confirm, prober=no_requests)
            await others[0]
            found = await made.store.get(core.Service, "web", "shop")
            assert found.spec.selector == {"app": "theirs"}
            problems = [each.text for each in (await made.session.plan()).problems]
            assert "Service shop/web exists, and theirs made it" in problems

    asyncio.run(asyncio.wait_for(run(), 120))


def test_a_record_that_somebody_else_writes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Of a batch of Route 53 all or nothing is written."""

    async def run() -> None:
        async with rig(tmp_path) as made:
            account = made.session.account
            plan = await made.session.plan()
            record = {"Name": "towpath.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
            batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
            await account.call("route53", "change_resource_record_sets", HostedZoneId=ZONE, ChangeBatch=batch)
            changes = tuple(change for groups in plan.records.changes[ZONE] for change in groups)
            performer = Performer(made.session.cluster, account, plan, made.session.wishes, print, no_requests)
            with pytest.raises(StepFailed, match=r"(?s)already exists|not permitted"):
                await performer.perform(WriteRecords(ZONE, changes))
            account.forget()
            listed = await account.list("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=ZONE)
            assert [each["ResourceRecords"] for each in listed if each["Type"] == "A"] == [[{"Value": "192.0.2.1"}]]
            assert not [each for each in listed if each["Type"] == "TXT"]

    asyncio.run(asyncio.wait_for(run(), 120))
