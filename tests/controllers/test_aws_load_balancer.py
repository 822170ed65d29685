"""The AWS Load Balancer Controller against the embedded APIs: what it makes, mends, leaves alone and takes away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import yaml
from aws_load_balancer_lab import CERTIFICATE, INSTANCE, Lab, add_node, ingress, lab, service

from lockgate.resources import core, elbv2, networking
from lockgate.resources.model import JsonObject

GUIDE: JsonObject = yaml.safe_load((Path(__file__).parent.parent / "cases/ingress/guide.yaml").read_text())


def operations(there: Lab) -> list[str]:
    return [operation for operation, _ in there.writes]


def test_the_guides_ingress_becomes_a_load_balancer() -> None:
    async def run() -> None:
        gateway = service("istio-ingressgateway", namespace="edge")
        gateway["spec"]["ports"] = [
            {"name": "status-port", "port": 15021, "nodePort": 30021},
            {"name": "https", "port": 443, "nodePort": 30443},
        ]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}}
        async with lab(namespace, gateway) as there:
            await there.issue(CERTIFICATE, "tidewater.example", "*.tidewater.example")
            await there.store.create(GUIDE)
            hostname = await there.served("edge-alb", "edge")

            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert balancer["DNSName"].lower() == hostname
            assert balancer["Scheme"] == "internet-facing"
            http, https = await there.listeners()
            assert (http["Port"], http["Protocol"]) == (80, "HTTP")
            assert [rule["Actions"][0]["Type"] for rule in http["Rules"]] == ["redirect"]
            assert (https["Port"], https["Protocol"]) == (443, "HTTPS")
            assert https["Certificates"] == [{"CertificateArn": CERTIFICATE}]
            assert [rule["Actions"][0]["Type"] for rule in https["Rules"]] == ["forward"]
            [group] = await there.target_groups()
            assert (group["Protocol"], group["Port"], group["HealthCheckPort"]) == ("HTTPS", 30443, "30021")

            async def registered() -> Any:
                return await there.targets(group["TargetGroupArn"])

            assert await there.until(registered) == [(INSTANCE, 30443)]
            [binding] = await there.store.list(elbv2.TargetGroupBinding)
            assert binding.spec.target_group_arn == group["TargetGroupArn"]
            assert binding.name == group["TargetGroupName"]
            status = (await there.store.get(networking.Ingress, "edge-alb", "edge")).status.load_balancer.ingress[0]
            assert [port.port for port in status.ports] == [80, 443]

    asyncio.run(run())


def test_a_second_pass_changes_nothing() -> None:
    async def run() -> None:
        one = ingress(
            "one", ("/a", "web", 80), ("/b", "web", 81), group__name="shared",
            tags="team=edge", load_balancer_attributes="idle_timeout.timeout_seconds=120",
            target_group_attributes="deregistration_delay.timeout_seconds=10",
        )  # fmt: skip
        two = ingress("two", ("/c", "web", 80), group__name="shared", scheme="internal")
        async with lab(service("web", 80, 81), one, two) as there:
            await there.served("one")
            await there.served("two")
            assert [rule["Priority"] for rule in (await there.listeners())[0]["Rules"]] == ["1", "2", "3"]
            for _ in range(2):
                await there.another_pass("one")
            await there.quiet()
            there.writes.clear()
            await there.another_pass("one")
            await there.another_pass("two")
            await there.quiet()
            assert there.writes == []

    asyncio.run(run())


def test_manual_drift_is_reverted() -> None:
    async def run() -> None:
        web = ingress("web", ("/a", "web", 80), ("/b", "web", 81))
        async with lab(service("web", 80, 81), web) as there:
            await there.served("web")
            [listener] = await there.listeners()
            first, second = listener["Rules"]
            call = there.aws.call
            await call("elbv2", "delete_rule", RuleArn=first["RuleArn"])
            other = [{"Type": "fixed-response", "Order": 1, "FixedResponseConfig": {"StatusCode": "200"}}]
            path = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/mine"]}}]
            await call(
                "elbv2", "create_rule", ListenerArn=listener["ListenerArn"], Priority=9, Conditions=path, Actions=other
            )
            await call("elbv2", "modify_listener", ListenerArn=listener["ListenerArn"], DefaultActions=other)
            [group, *_] = await there.target_groups()
            await call("elbv2", "modify_target_group", TargetGroupArn=group["TargetGroupArn"], HealthCheckPath="/no")
            await call(
                "elbv2", "remove_tags", ResourceArns=[listener["ListenerArn"]], TagKeys=["elbv2.k8s.aws/cluster"]
            )
            await there.another_pass("web")
            [listener] = await there.listeners()
            assert listener["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
            assert [
                (rule["Priority"], rule["Conditions"][0]["PathPatternConfig"]["Values"]) for rule in listener["Rules"]
            ] == [
                ("1", ["/a", "/a/*"]),
                ("2", ["/b", "/b/*"]),
            ]
            assert second["RuleArn"] in {rule["RuleArn"] for rule in listener["Rules"]}
            assert {item["HealthCheckPath"] for item in await there.target_groups()} == {"/"}
            tags = await there.aws.call("elbv2", "describe_tags", ResourceArns=[listener["ListenerArn"]])
            assert {tag["Key"] for tag in tags["TagDescriptions"][0]["Tags"]} >= {"elbv2.k8s.aws/cluster"}

    asyncio.run(run())


def test_deletion_takes_everything_away_in_order_and_nothing_else() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            foreign = await there.aws.call(
                "elbv2", "create_target_group", Name="foreign", Protocol="HTTP", Port=80, VpcId=there.vpc_id
            )
            await there.quiet()
            there.writes.clear()
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            assert [op for op in operations(there) if op.startswith("de")] == [
                "delete_load_balancer",
                "deregister_targets",
                "delete_target_group",
                "delete_security_group",
                "delete_security_group",
            ]
            assert await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers") == []
            assert [group["TargetGroupArn"] for group in await there.target_groups()] == [
                foreign["TargetGroups"][0]["TargetGroupArn"]
            ]
            assert await there.store.list(elbv2.TargetGroupBinding) == []
            groups = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
            assert not [group for group in groups if group["GroupName"].startswith("k8s-")]

    asyncio.run(run())


def test_a_member_that_leaves_removes_only_its_own_rules() -> None:
    async def run() -> None:
        one = ingress("one", ("/a", "web", 80), group__name="shared")
        two = ingress("two", ("/b", "web", 80), group__name="shared")
        async with lab(service("web", 80), one, two) as there:
            assert await there.served("one") == await there.served("two")
            await there.store.delete(networking.Ingress, "one", "default")
            await there.gone("one")
            [listener] = await there.listeners()
            values = [rule["Conditions"][0]["PathPatternConfig"]["Values"] for rule in listener["Rules"]]
            assert values == [["/b", "/b/*"]]
            assert [rule["Priority"] for rule in listener["Rules"]] == ["1"]
            assert len(await there.target_groups()) == 1

    asyncio.run(run())


def test_a_fault_is_reported_on_every_member_and_keeps_serving_the_last_state() -> None:
    async def run() -> None:
        one = ingress("one", ("/a", "web", 80), group__name="shared")
        two = ingress("two", ("/b", "web", 80), group__name="shared")
        async with lab(service("web", 80), one, two) as there:
            await there.served("one")
            await there.served("two")
            await there.quiet()
            there.writes.clear()
            bad = {"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internet-facing\n"}}}
            await there.store.patch(networking.Ingress, "two", "default", bad)
            event = await there.event("FailedBuildModel", "unknown scheme: internet-facing\n")
            assert event.type == "Warning"
            assert event.message == "Failed build model due to unknown scheme: internet-facing\n"
            assert there.writes == []
            fixed = {"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internal"}}}
            await there.store.patch(networking.Ingress, "two", "default", fixed)
            await there.another_pass("two")
            assert len(await there.listeners()) == 1

    asyncio.run(run())


def test_a_refusal_of_aws_is_reported_and_retried() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), certificate_arn=CERTIFICATE)
        async with lab(service("web", 80), web) as there:
            event = await there.event("FailedDeployModel", "CertificateNotFound", count=2)
            assert event.message.startswith(
                "Failed deploy model due to operation error Elastic Load Balancing v2: CreateListener"
            )
            await there.issue(CERTIFICATE, "web.example")
            await there.served("web")

    asyncio.run(run())


def test_another_scheme_is_another_load_balancer() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), load_balancer_attributes="deletion_protection.enabled=true")
        async with lab(service("web", 80), web) as there:
            before = await there.served("web")
            facing = {"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internet-facing"}}}
            await there.store.patch(networking.Ingress, "web", "default", facing)

            async def moved() -> bool:
                return await there.served("web") != before

            await there.until(moved)
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert balancer["Scheme"] == "internet-facing"

    asyncio.run(run())


def test_a_protected_load_balancer_keeps_its_ingress() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), load_balancer_attributes="deletion_protection.enabled=true")
        async with lab(service("web", 80), web) as there:
            await there.served("web")
            await there.quiet()
            there.writes.clear()
            await there.store.delete(networking.Ingress, "web", "default")
            await there.another_look("web")
            assert len(await there.listeners()) == 1
            assert there.writes == []
            free = {"metadata": {"annotations": {"alb.ingress.kubernetes.io/load-balancer-attributes": ""}}}
            await there.store.patch(networking.Ingress, "web", "default", free)
            await there.gone("web")

    asyncio.run(run())


def test_targets_follow_nodes_and_services() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            [group] = await there.target_groups()
            arn = group["TargetGroupArn"]
            zone = (await there.api.default_vpc())[2][1]
            await there.api.create_instance("i-0fedcba9876543210", "172.31.16.11", zone)
            await add_node(there.store, "node-2", "i-0fedcba9876543210", zone)
            port = group["Port"]

            async def both() -> bool:
                return await there.targets(arn) == [(INSTANCE, port), ("i-0fedcba9876543210", port)]

            await there.until(both)
            await there.store.patch_status(
                core.Node, "node-1", "", {"conditions": [{"type": "Ready", "status": "False"}]}
            )

            async def second() -> bool:
                return await _registered(there, arn) == [("i-0fedcba9876543210", port)]

            await there.until(second)
            await there.store.delete(core.Service, "web", "default")
            await there.event("BackendNotFound", 'backend not found: Service "web" not found')

            async def none() -> bool:
                return await _registered(there, arn) == []

            await there.until(none)

    asyncio.run(run())


def test_pods_are_targets_by_their_own_ports() -> None:
    async def run() -> None:
        web = service("web", 80, type="ClusterIP")
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "web-1",
                "namespace": "default",
                "labels": {
                    "kubernetes.io/service-name": "web",
                    "endpointslice.kubernetes.io/managed-by": "nodes.lockgate.dev",
                },
            },
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["172.31.5.5"]},
                {"addresses": ["172.31.5.6"], "conditions": {"ready": False}},
                {"addresses": ["10.9.0.5"]},
            ],
            "ports": [{"name": "p80", "port": 8080}],
        }
        async with lab(web, endpoints, ingress("web", ("/", "web", 80), target_type="ip")) as there:
            await there.served("web")
            [group] = await there.target_groups()
            assert (group["TargetType"], group["Port"]) == ("ip", 80)

            async def registered() -> Any:
                return await there.targets(group["TargetGroupArn"])

            assert await there.until(registered) == [("10.9.0.5", 8080), ("172.31.5.5", 8080)]
            [call] = [parameters for operation, parameters in there.writes if operation == "register_targets"]
            zones = {target["Id"]: target.get("AvailabilityZone") for target in call["Targets"]}
            assert zones == {"172.31.5.5": None, "10.9.0.5": "all"}, "what is outside of the VPC is in every zone"

    asyncio.run(run())


async def _registered(there: Lab, arn: str) -> list[tuple[str, int]]:
    answer = await there.aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)
    return [
        (item["Target"]["Id"], item["Target"]["Port"])
        for item in answer["TargetHealthDescriptions"]
        if item["TargetHealth"]["State"] != "draining"
    ]
