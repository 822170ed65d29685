"""The network load balancer in front of a group's own: created in order, left unchanged, repaired, deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aws_load_balancer_lab import Lab, ingress, lab, service

from lockgate.controllers.aws_load_balancer import perform
from lockgate.resources import core, networking


def operations(there: Lab) -> list[str]:
    return [operation for operation, _ in there.writes]


async def described(there: Lab) -> dict[str, dict[str, Any]]:
    """Load balancers by their types."""
    found = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
    return {balancer["Type"]: balancer for balancer in found}


async def in_front(there: Lab) -> dict[int, tuple[str, int]]:
    """Ports of the network load balancer, and the target and its port that each leads to."""
    balancer = (await described(there))["network"]
    arn = balancer["LoadBalancerArn"]
    found = {}
    for listener in await there.aws.list("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
        group = listener["DefaultActions"][0]["TargetGroupArn"]
        [target] = await there.targets(group)
        found[listener["Port"]] = target
    return found


async def statuses(there: Lab, name: str) -> list[tuple[str, list[int]]]:
    found = await there.store.get(networking.Ingress, name, "default")
    return [(item.hostname, [port.port for port in item.ports]) for item in found.status.load_balancer.ingress]


async def annotate(there: Lab, name: str, **annotations: str | None) -> None:
    """Annotations without their prefix, ``_`` for ``-``; None takes one away."""
    named = {f"alb.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    await there.store.patch(networking.Ingress, name, "default", {"metadata": {"annotations": named}})


def front(name: str = "web", **settings: str) -> Any:
    return ingress(name, ("/", "web", 80), **{"enable_frontend_nlb": "true", **settings})


def test_it_is_made_after_the_load_balancer_which_becomes_its_target_at_the_end() -> None:
    async def run() -> None:
        one = front(
            listen_ports='[{"HTTP": 80}, {"HTTP": 8080}]', frontend_nlb_scheme="internet-facing",
            frontend_nlb_tags="team=front", frontend_nlb_attributes="load_balancing.cross_zone.enabled=true",
            frontend_nlb_listener_port_mapping="80=8080,81=80", frontend_nlb_healthcheck_path="/live",
        )  # fmt: skip
        async with lab(service("web", 80), one) as there:
            await there.served("web")
            await there.quiet()
            balancers = await described(there)
            alb, nlb = balancers["application"], balancers["network"]
            assert nlb["LoadBalancerName"] == alb["LoadBalancerName"][:28] + "-nlb"
            assert (alb["Scheme"], nlb["Scheme"]) == ("internal", "internet-facing")
            assert nlb["SecurityGroups"] == alb["SecurityGroups"]
            assert await in_front(there) == {80: (alb["LoadBalancerArn"], 8080), 81: (alb["LoadBalancerArn"], 80)}
            assert await statuses(there, "web") == [(alb["DNSName"].lower(), [80, 8080]), (nlb["DNSName"].lower(), [])]
            arn = nlb["LoadBalancerArn"]
            answer = await there.aws.call("elbv2", "describe_tags", ResourceArns=[arn])
            tags = {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}
            assert tags == {
                "team": "front",
                "elbv2.k8s.aws/cluster": "lockgate",
                "ingress.k8s.aws/stack": "default/web",
                "ingress.k8s.aws/resource": "FrontendNlb",
            }
            made = [
                step
                for step, given in there.writes
                if step in ("create_load_balancer", "create_target_group", "create_listener")
                or (step == "register_targets" and given["Targets"][0]["Id"] == alb["LoadBalancerArn"])
            ]
            assert made == [
                *["create_target_group"] * 3,
                *["create_load_balancer", "create_listener", "create_listener"] * 2,
                *["register_targets"] * 2,
            ]

    asyncio.run(run())


def test_a_second_pass_changes_nothing() -> None:
    async def run() -> None:
        one = front(
            frontend_nlb_attributes="load_balancing.cross_zone.enabled=true", group__name="shared", tags="team=edge",
        )  # fmt: skip
        two = ingress("two", ("/c", "web", 80), group__name="shared", frontend_nlb_healthcheck_success_codes="200-399")
        async with lab(service("web", 80), one, two) as there:
            await there.served("web")
            await there.served("two")
            await there.another_pass("web")
            await there.quiet()
            there.writes.clear()
            await there.another_pass("web")
            await there.quiet()
            assert there.writes == []
            await there.restart()
            await there.another_pass("web")
            await there.quiet()
            assert there.writes == []

    asyncio.run(run())


def test_manual_changes_are_reverted() -> None:
    async def run() -> None:
        async with lab(
            service("web", 80), front(frontend_nlb_attributes="load_balancing.cross_zone.enabled=true")
        ) as there:
            await there.served("web")
            await there.quiet()
            nlb = (await described(there))["network"]
            arn = nlb["LoadBalancerArn"]
            [listener] = await there.aws.list("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
            group = listener["DefaultActions"][0]["TargetGroupArn"]
            vpc = {"Protocol": "TCP", "Port": 80, "VpcId": there.vpc_id}
            made = await there.aws.call("elbv2", "create_target_group", Name="other", **vpc)
            other = [{"Type": "forward", "TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}]
            await there.aws.call("elbv2", "modify_listener", ListenerArn=listener["ListenerArn"], DefaultActions=other)
            there.writes.clear()
            await there.another_pass("web")
            assert operations(there) == ["modify_listener"]

            off = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
            call = there.aws.call
            await call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=off)
            await call("elbv2", "add_tags", ResourceArns=[arn], Tags=[{"Key": "own", "Value": "tag"}])
            await call("elbv2", "modify_target_group", TargetGroupArn=group, HealthCheckPath="/other")
            [target] = await there.targets(group)
            gone = [{"Id": target[0], "Port": target[1]}]
            await call("elbv2", "delete_listener", ListenerArn=listener["ListenerArn"])
            await call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=gone)
            there.writes.clear()
            await there.another_pass("web")
            await there.quiet()
            assert operations(there) == [
                "modify_target_group",
                "remove_tags",
                "modify_load_balancer_attributes",
                "create_listener",
                "register_targets",
            ]
            assert list((await in_front(there)).values()) == [target]

    asyncio.run(run())


def test_a_foreign_load_balancer_as_its_target_conflicts() -> None:
    async def run() -> None:
        async with lab(service("web", 80), front(), ingress("two", ("/", "web", 80))) as there:
            await there.served("web")
            await there.served("two")
            await there.quiet()
            found = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            behind = (await in_front(there))[80][0]
            [other] = {item["LoadBalancerArn"] for item in found if item["Type"] == "application"} - {behind}
            [group] = [item for item in await there.target_groups() if item["TargetType"] == "alb"]
            arn = {"TargetGroupArn": group["TargetGroupArn"]}
            await there.aws.call("elbv2", "delete_listener", ListenerArn=await listener_arn(there))
            await there.aws.call("elbv2", "deregister_targets", **arn, Targets=[{"Id": behind, "Port": 80}])
            await there.aws.call("elbv2", "register_targets", **arn, Targets=[{"Id": other}])
            there.writes.clear()
            before = await there.successes("web")
            await there.store.patch(
                networking.Ingress, "web", "default", {"metadata": {"annotations": {"note": "again"}}}
            )

            async def tried() -> bool:
                return "register_targets" in operations(there)

            await there.until(tried)
            await there.quiet()
            assert await there.successes("web") == before

    asyncio.run(run())


async def listener_arn(there: Lab) -> str:
    """Of the network load balancer."""
    arn = (await described(there))["network"]["LoadBalancerArn"]
    [listener] = await there.aws.list("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    return str(listener["ListenerArn"])


def test_without_the_annotation_it_is_deleted_but_the_load_balancer_stays() -> None:
    async def run() -> None:
        async with lab(service("web", 80), front()) as there:
            before = await there.served("web")
            await there.quiet()
            there.writes.clear()
            await annotate(there, "web", enable_frontend_nlb=None)

            async def alone() -> bool:
                return len(await statuses(there, "web")) == 1

            await there.until(alone)
            await there.quiet()
            assert operations(there) == ["deregister_targets", "delete_load_balancer", "delete_target_group"]
            assert list(await described(there)) == ["application"]
            assert await there.served("web") == before

    asyncio.run(run())


def test_a_changed_target_port_deregisters_the_old_one_first() -> None:
    """AWS keeps a listener that is a target, so the order is what makes the change possible."""

    async def run() -> None:
        async with lab(service("web", 80), front()) as there:
            await there.served("web")
            await there.quiet()
            there.writes.clear()
            await annotate(there, "web", listen_ports='[{"HTTP": 8080}]')

            async def moved() -> bool:
                return [ports for _, ports in await statuses(there, "web")] == [[8080], []]

            await there.until(moved)
            await there.quiet()
            alb = (await described(there))["application"]["LoadBalancerArn"]
            assert await in_front(there) == {8080: (alb, 8080)}
            order = operations(there)
            assert order.index("deregister_targets") < order.index("delete_listener")

    asyncio.run(run())


def test_everything_is_deleted_with_the_last_ingress() -> None:
    async def run() -> None:
        async with lab(service("web", 80), front()) as there:
            await there.served("web")
            await there.quiet()
            there.writes.clear()
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            await there.quiet()
            assert await described(there) == {}
            assert await there.target_groups() == []
            deleted = [given["LoadBalancerArn"] for step, given in there.writes if step == "delete_load_balancer"]
            assert ["/net/" in arn for arn in deleted] == [True, False]

    asyncio.run(run())


def test_another_scheme_is_another_network_load_balancer() -> None:
    async def run() -> None:
        async with lab(service("web", 80), front()) as there:
            await there.served("web")
            await there.quiet()
            before = await described(there)
            await annotate(there, "web", frontend_nlb_scheme="internet-facing")

            async def other() -> bool:
                found = await described(there)
                return "network" in found and found["network"]["Scheme"] == "internet-facing"

            await there.until(other)
            await there.another_pass("web")
            await there.quiet()
            after = await described(there)
            assert after["application"] == before["application"]
            assert (await statuses(there, "web"))[1][0] == after["network"]["DNSName"].lower()
            assert list((await in_front(there)).values()) == [(after["application"]["LoadBalancerArn"], 80)]

    asyncio.run(run())


def test_a_target_that_aws_does_not_accept_yet_is_retried_without_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(perform, "REGISTERED_AGAIN_SECONDS", 0.05)
        async with lab(service("web", 80)) as there:
            there.refuse("register_targets", "InvalidTarget", "not active yet")
            await there.store.create(front())

            async def made() -> bool:
                return "network" in await described(there)

            await there.until(made)
            await asyncio.sleep(0.2)
            assert await statuses(there, "web") == []
            assert await there.successes("web") == 0
            there.refused.clear()
            await there.served("web")
            assert len(await statuses(there, "web")) == 2
            events = [event.reason for event in await there.store.list(core.Event)]
            assert "FailedDeployModel" not in events

    asyncio.run(run())
