"""external-dns: the endpoints that it computes, by table, and its calls of both APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.controllers.aws import Aws
from lockgate.controllers.external_dns import ExternalDns, external_dns
from lockgate.dns.model import Alias
from lockgate.edge.endpoints import endpoints
from lockgate.edge.objects import Objects
from lockgate.embedded.aws import AwsApi
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core, istio, networking

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/dns/sources.yaml").read_text())
ZONE = "Z0123456789ABCDEFGHIJ"


def _objects(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_endpoints(case: dict[str, Any]) -> None:
    documents = _objects(TABLE["standing"]) + _objects(case["manifests"])

    def of(kind: Any) -> tuple[Any, ...]:
        return tuple(kind.model_validate(d) for d in documents if d["kind"] == kind.KIND.kind)

    kinds = (networking.Ingress, istio.Gateway, istio.VirtualService, core.Service)
    found = endpoints(Objects(each for kind in kinds for each in of(kind)))
    shown = [f"{each.resource}: {each.host} -> {' '.join(each.targets)}" for each in found]
    expected = [
        next(f"{key}: {value}" for key, value in line.items()) if isinstance(line, dict) else line
        for line in case["endpoints"]
    ]
    assert shown == [line.replace("$lb", TABLE["lb"]) for line in expected]


class Lab:
    """A cluster and an account with a load balancer that the standing Ingress has in its status."""

    def __init__(self, store: Store, api: AwsApi, aws: Aws, load_balancer: str) -> None:
        self.store, self.api, self.aws, self.load_balancer = store, api, aws, load_balancer

    async def aliases(self) -> dict[str, str]:
        (zone,) = await self.api.hosted_zones()
        return {
            f"{record_set.name} {record_set.type}": record_set.data.dns_name.rstrip(".")
            for record_set in zone.record_sets
            if isinstance(record_set.data, Alias)
        }

    async def delete_alias(self, host: str, kind: str) -> None:
        """As somebody does by hand."""
        sets = await self.aws.list("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=ZONE)
        gone = next(each for each in sets if each["Name"] == f"{host}." and each["Type"] == kind)
        batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": gone}]}
        await self.aws.call("route53", "change_resource_record_sets", HostedZoneId=ZONE, ChangeBatch=batch)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            changes = self.api.changes()
            while not await holds():
                await anext(changes)


def run(work: Callable[[Lab], Awaitable[None]]) -> None:
    async def main() -> None:
        api = AwsApi("123456789012", "ap-northeast-2", access_key_id="AKIAEDGE", secret_access_key="secret")
        await api.start()
        aws = Aws(region="ap-northeast-2", endpoint=api.url, access_key_id="AKIAEDGE", secret_access_key="secret")
        try:
            await api.create_hosted_zone("tidewater.example", ZONE)
            _, subnets, _ = await api.default_vpc()
            made = await aws.call("elbv2", "create_load_balancer", Name="edge", Subnets=list(subnets[:2]))
            name = made["LoadBalancers"][0]["DNSName"]
            store = Store()
            for namespace in ("istio-system", "default"):
                await store.apply(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, manager="test"
                )
            for document in _objects(TABLE["standing"]):
                status = document.pop("status", None)
                await store.create(document)
                if status:
                    status = {"loadBalancer": {"ingress": [{"hostname": name}]}}
                    await store.patch_status(networking.Ingress, "alb", "istio-system", status)
            task = asyncio.create_task(ExternalDns(store, aws).run())
            await work(Lab(store, api, aws, name))
            assert not task.done()
            task.cancel()
        finally:
            aws.close()
            await api.stop()

    asyncio.run(main())


def _storefront(*hosts: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "storefront", "namespace": "default"},
        "spec": {
            "hosts": list(hosts),
            "gateways": ["istio-system/edge"],
            "http": [{"route": [{"destination": {"host": "storefront"}}]}],
        },
    }


def test_records_are_created_updated_and_deleted() -> None:
    async def work(lab: Lab) -> None:
        hosts = ("tidewater.example", "www.tidewater.example", "*.apps.tidewater.example")
        await lab.store.apply(_storefront(*hosts), manager="test")
        expected = {f"{host}. {kind}": lab.load_balancer for host in hosts for kind in ("A", "AAAA")}

        async def there() -> bool:
            return await lab.aliases() == expected

        await lab.until(there)
        await lab.store.apply(_storefront("www.tidewater.example"), manager="test")

        async def fewer() -> bool:
            return set(await lab.aliases()) == {"www.tidewater.example. A", "www.tidewater.example. AAAA"}

        await lab.until(fewer)
        await lab.store.delete(istio.VirtualService, "storefront", "default")

        async def clean() -> bool:
            (zone,) = await lab.api.hosted_zones()
            return {record_set.type for record_set in zone.record_sets} == {"NS", "SOA"}

        await lab.until(clean)

    run(work)


def test_a_record_of_another_owner_stays_and_does_not_block_others() -> None:
    async def work(lab: Lab) -> None:
        by_hand = {
            "Name": "www.tidewater.example",
            "Type": "A",
            "TTL": 60,
            "ResourceRecords": [{"Value": "192.0.2.1"}],
        }
        await lab.aws.call(
            "route53",
            "change_resource_record_sets",
            HostedZoneId=ZONE,
            ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": by_hand}]},
        )
        await lab.store.apply(_storefront("www.tidewater.example", "shop.tidewater.example"), manager="test")

        async def made() -> bool:
            return "shop.tidewater.example. A" in await lab.aliases()

        await lab.until(made)
        assert "www.tidewater.example. A" not in await lab.aliases()

    run(work)


def test_one_record_that_route53_refuses_does_not_block_others() -> None:
    async def work(lab: Lab) -> None:
        gone = _storefront("gone.tidewater.example")
        gone["metadata"] = {
            "name": "gone",
            "namespace": "default",
            "annotations": {"external-dns.kubernetes.io/target": "none-1.ap-northeast-2.elb.amazonaws.com"},
        }
        await lab.store.apply(gone, manager="test")
        await lab.store.apply(_storefront("www.tidewater.example"), manager="test")

        async def made() -> bool:
            return "www.tidewater.example. A" in await lab.aliases()

        await lab.until(made)
        assert "gone.tidewater.example. A" not in await lab.aliases()

    run(work)


def test_a_change_of_routes_reads_no_records_again() -> None:
    async def work(lab: Lab) -> None:
        read: list[str] = []
        listed = lab.aws.list

        async def counted(service: str, operation: str, *rest: Any, **given: Any) -> Any:
            read.append(operation)
            return await listed(service, operation, *rest, **given)

        lab.aws.list = counted  # type: ignore[method-assign]
        await lab.store.apply(_storefront("www.tidewater.example"), manager="test")

        async def made() -> bool:
            return "www.tidewater.example. A" in await lab.aliases()

        await lab.until(made)
        await asyncio.sleep(0.3)
        before = read.count("list_resource_record_sets")
        changed = _storefront("www.tidewater.example")
        changed["spec"]["http"] = [{"directResponse": {"status": 503}}]
        looked = len(read)
        await lab.store.apply(changed, manager="test")
        while len(read) == looked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert read.count("list_resource_record_sets") == before
        await lab.delete_alias("www.tidewater.example", "A")
        await lab.store.apply(_storefront("www.tidewater.example"), manager="test")
        await lab.until(made)

    run(work)


def test_only_the_first_reconciliation_may_take_long_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the AWS API to start: a pause after it would be one before the first records."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(external_dns, "_LONG", 0.0)
    monkeypatch.setattr(asyncio, "sleep", pause)
    controller: Any = ExternalDns(Store(), Aws(region="eu-west-1"))

    async def synchronise() -> None:
        controller._achieved = ()

    monkeypatch.setattr(controller, "_synchronise", synchronise)
    asyncio.run(controller._reconcile("records"))
    assert pauses == []
    asyncio.run(controller._reconcile("records"))
    assert len(pauses) == 1
