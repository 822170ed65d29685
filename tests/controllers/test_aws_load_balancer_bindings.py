"""TargetGroupBindings: users' own, shared target groups, readiness gates, the nodes' security groups."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_load_balancer_lab import INSTANCE, Lab, add_node, ingress, lab, service

from lockgate.resources import core, elbv2, networking
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject

LABEL = "elbv2.k8s.aws/targetGroupBinding=shared"


def binding(name: str, arn: str, to: str, port: int, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"targetGroupARN": arn, "serviceRef": {"name": to, "port": port}, **spec},
    }


async def target_group(there: Lab, name: str, **parameters: Any) -> str:
    made = await there.aws.call(
        "elbv2", "create_target_group", Name=name, Protocol="HTTP", Port=80, VpcId=there.vpc_id, **parameters
    )
    arn: str = made["TargetGroups"][0]["TargetGroupArn"]
    return arn


async def registered(there: Lab, arn: str) -> list[tuple[str, int]]:
    answer = await there.aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)
    return sorted(
        (item["Target"]["Id"], item["Target"]["Port"])
        for item in answer["TargetHealthDescriptions"]
        if item["TargetHealth"]["State"] != "draining"
    )


async def until_registered(there: Lab, arn: str, expected: list[tuple[str, int]]) -> None:
    async def equal() -> bool:
        return await registered(there, arn) == expected

    await there.until(equal, f"targets {expected}")


def web_with_node_port() -> JsonObject:
    web = service("web")
    web["spec"]["ports"] = [{"name": "http", "port": 80, "nodePort": 30080}]
    return web


def test_a_users_own_binding() -> None:
    async def run() -> None:
        async with lab(web_with_node_port()) as there:
            arn = await target_group(there, "own", TargetType="instance")
            await there.store.create(binding("own", arn, "web", 80))
            await until_registered(there, arn, [(INSTANCE, 30080)])
            await there.quiet()
            own = await there.store.get(elbv2.TargetGroupBinding, "own", "default")
            assert (own.spec.target_type, own.spec.vpc_id) == ("instance", there.vpc_id)
            assert own.status.observed_generation == own.metadata.generation
            event = await there.event("SuccessfullyReconciled")
            assert event.involved_object.name == "own"
            await there.store.delete(elbv2.TargetGroupBinding, "own", "default")
            await until_registered(there, arn, [])
            assert [item["TargetGroupArn"] for item in await there.target_groups()] == [arn], "not ours to delete"

    asyncio.run(run())


def test_a_binding_that_contradicts_its_target_group_registers_nothing() -> None:
    async def run() -> None:
        async with lab(web_with_node_port()) as there:
            arn = await target_group(there, "own", TargetType="instance")
            for name, spec, said in (
                ("family", {"ipAddressType": "ipv6"}, f"invalid IP address type ipv4 for TargetGroup {arn}"),
                (
                    "vpc",
                    {"vpcID": "vpc-01234567"},
                    f"invalid VpcID vpc-01234567 doesnt match VpcID from TargetGroup {arn}",
                ),
                (
                    "http",
                    {"targetGroupProtocol": "TCP"},
                    f"TargetGroup {arn} protocol differs (got TCP, expected HTTP)",
                ),
            ):
                await there.store.create(binding(name, arn, "web", 80, **spec))
                event = await there.event("FailedReconcile", said)
                assert event.involved_object.name == name
                await there.store.delete(elbv2.TargetGroupBinding, name, "default")
                await there.quiet()
            assert await there.targets(arn) == []

    asyncio.run(run())


def test_a_binding_to_nothing_is_reported_and_tried_again() -> None:
    async def run() -> None:
        async with lab(web_with_node_port()) as there:
            arn = await target_group(there, "own")
            await there.aws.call("elbv2", "delete_target_group", TargetGroupArn=arn)
            await there.store.create(binding("own", arn, "web", 80, targetType="instance"))
            event = await there.event("FailedReconcile", "TargetGroupNotFound", count=2)
            assert event.involved_object.kind == "TargetGroupBinding"
            await there.store.delete(elbv2.TargetGroupBinding, "own", "default")

            async def gone() -> bool:
                return await there.store.list(elbv2.TargetGroupBinding) == []

            await there.until(gone)

    asyncio.run(run())


def test_a_clean_up_that_fails_is_reported_and_tried_again() -> None:
    async def run() -> None:
        async with lab(web_with_node_port()) as there:
            arn = await target_group(there, "own")
            await there.store.create(binding("own", arn, "web", 80))
            await until_registered(there, arn, [(INSTANCE, 30080)])
            await there.quiet()
            there.refuse("deregister_targets", "Throttling", "Rate exceeded")
            await there.store.delete(elbv2.TargetGroupBinding, "own", "default")
            await there.event("FailedCleanup", "api error Throttling: Rate exceeded", count=2)
            own = await there.store.get(elbv2.TargetGroupBinding, "own", "default")
            ready = condition(own.status.conditions, "Ready")
            assert ready is not None
            assert (ready.status, ready.reason) == ("False", "FailedCleanup")
            there.refused.clear()
            await until_registered(there, arn, [])

            async def gone() -> bool:
                return await there.store.list(elbv2.TargetGroupBinding) == []

            await there.until(gone)

    asyncio.run(run())


def test_a_shared_target_group_keeps_the_targets_of_others() -> None:
    async def run() -> None:
        async with lab(web_with_node_port()) as there:
            zone = (await there.api.default_vpc())[2][1]
            await there.api.create_instance("i-0fedcba9876543210", "172.31.16.11", zone)
            arn = await target_group(there, "shared")
            theirs = {"Id": "i-0fedcba9876543210", "Port": 31000}
            await there.aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=[theirs])
            await there.store.create(binding("shared", arn, "web", 80, multiClusterTargetGroup=True))
            both = [(INSTANCE, 30080), ("i-0fedcba9876543210", 31000)]
            await until_registered(there, arn, both)
            remembered = await there.store.get(core.ConfigMap, "aws-lbc-targets-shared", "default")
            assert remembered.data["targets"] == f"{INSTANCE}:30080"
            await there.quiet()
            await there.store.delete(elbv2.TargetGroupBinding, "shared", "default")
            await until_registered(there, arn, [("i-0fedcba9876543210", 31000)])
            await there.quiet()
            assert await there.store.list(core.ConfigMap) == []

    asyncio.run(run())


def test_a_gated_pod_is_ready_when_its_target_is_healthy() -> None:
    async def run() -> None:
        web = service("web", 80, type="ClusterIP")
        async with lab(web, ingress("web", ("/", "web", 80), target_type="ip")) as there:
            await there.served("web")
            [group] = await there.target_groups()
            gate = f"target-health.elbv2.k8s.aws/{group['TargetGroupName']}"
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web-0", "namespace": "default"},
                "spec": {
                    "nodeName": "node-1",
                    "containers": [{"name": "web", "image": "web"}],
                    "readinessGates": [{"conditionType": gate}],
                },
            }
            await there.store.create(pod)
            ready = {"conditions": [{"type": "ContainersReady", "status": "True"}]}
            await there.store.patch_status(core.Pod, "web-0", "default", ready)
            endpoint = {
                "addresses": ["172.31.5.5"],
                "conditions": {"ready": False},
                "targetRef": {"kind": "Pod", "name": "web-0", "namespace": "default"},
            }
            await there.store.create(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": "web-1",
                        "namespace": "default",
                        "labels": {"kubernetes.io/service-name": "web"},
                    },
                    "addressType": "IPv4",
                    "endpoints": [endpoint],
                    "ports": [{"name": "p80", "port": 8080}],
                }
            )
            arn = group["TargetGroupArn"]
            await until_registered(there, arn, [("172.31.5.5", 8080)])
            await there.quiet()

            async def state() -> tuple[str, str]:
                found = condition((await there.store.get(core.Pod, "web-0", "default")).status.conditions, gate)
                return (found.status, found.message) if found else ("", "")

            assert await state() == ("False", "Target registration is in progress")
            assert condition((await there.store.get(core.Pod, "web-0", "default")).status.conditions, "ContainersReady")
            await there.api.report_target_health(arn, "172.31.5.5", 8080, "healthy")
            there.look_at_bindings()

            async def healthy() -> bool:
                return (await state())[0] == "True"

            await there.until(healthy)

    asyncio.run(run())


def test_nodes_admit_the_load_balancers_with_one_port_range() -> None:
    async def run() -> None:
        web = service("web")
        web["spec"]["ports"] = [
            {"name": "http", "port": 80, "nodePort": 30080},
            {"name": "status", "port": 15021, "nodePort": 30021},
        ]
        async with lab(web, ingress("web", ("/", "web", 80), healthcheck_port="status")) as there:
            await there.served("web")
            await there.quiet()

            async def ranges() -> list[tuple[int, int]]:
                groups = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
                return [
                    (permission["FromPort"], permission["ToPort"])
                    for group in groups
                    for permission in group["IpPermissions"]
                    for pair in permission["UserIdGroupPairs"]
                    if pair.get("Description") == LABEL
                ]

            assert await ranges() == [(30021, 30080)]
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            assert await ranges() == []

    asyncio.run(run())


def test_a_node_whose_instance_is_unknown_is_reported() -> None:
    async def run() -> None:
        async with lab(web_with_node_port(), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            await there.quiet()
            await add_node(there.store, "metal", "mi-1", "rack")
            event = await there.event("FailedReconcile", "providerID aws:///rack/mi-1 is invalid for EC2 instances")
            assert event.type == "Warning"

    asyncio.run(run())
