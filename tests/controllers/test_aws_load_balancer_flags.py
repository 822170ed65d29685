"""What the controller's flags change in the account, beyond what they change in a build."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_load_balancer_lab import CERTIFICATE, Lab, add_node, ingress, lab, service

from lockgate.ingress.flags import read_arguments
from lockgate.ingress.world import Settings
from lockgate.resources import elbv2, networking

PREFIX = "alb.ingress.kubernetes.io/"


def flags(*arguments: str) -> Settings:
    return read_arguments(arguments, Settings()).settings


async def tags(there: Lab, *arns: str) -> list[dict[str, str]]:
    answer = await there.aws.call("elbv2", "describe_tags", ResourceArns=list(arns))
    return [{tag["Key"]: tag["Value"] for tag in item["Tags"]} for item in answer["TagDescriptions"]]


def test_the_number_of_targets_is_limited() -> None:
    async def run() -> None:
        settings = flags("--max-targets-per-target-group=1")
        async with lab(service("web", 80), ingress("web", ("/", "web", 80)), settings=settings) as there:
            await there.served("web")
            _, _, zones = await there.api.default_vpc()
            other = "i-0fedcba9876543210"
            await there.api.create_instance(other, "172.31.0.11", zones[0])
            await add_node(there.store, "node-2", other, zones[0])
            await there.quiet()
            [group] = await there.target_groups()
            assert len(await there.targets(group["TargetGroupArn"])) == 1

    asyncio.run(run())


def test_a_backend_security_group_of_ones_own_is_neither_made_nor_deleted() -> None:
    async def run() -> None:
        async with lab(service("web", 80)) as there:
            shared = {"GroupName": "shared", "Description": "shared", "VpcId": there.vpc_id}
            group: str = (await there.aws.call("ec2", "create_security_group", **shared))["GroupId"]
            await there.restart(flags(f"--backend-security-group={group}"))
            await there.store.create(ingress("web", ("/", "web", 80)))
            await there.served("web")
            await there.quiet()
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert group in balancer["SecurityGroups"]
            assert len(balancer["SecurityGroups"]) == 2
            [binding] = await there.store.list(elbv2.TargetGroupBinding)
            assert binding.spec.networking is not None
            assert group in str(binding.spec.networking)
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            left = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
            assert sorted(item["GroupName"] for item in left) == ["default", "shared"]

    asyncio.run(run())


def test_listeners_and_rules_may_have_no_tags() -> None:
    async def run() -> None:
        settings = flags("--feature-gates=ListenerRulesTagging=false")
        web = ingress("web", ("/", "web", 80), tags="team=edge")
        async with lab(service("web", 80), web, settings=settings) as there:
            await there.served("web")
            await there.quiet()
            [listener] = await there.listeners()
            arns = listener["ListenerArn"], listener["Rules"][0]["RuleArn"], listener["LoadBalancerArn"]
            of_listener, of_rule, of_balancer = await tags(there, *arns)
            assert (of_listener, of_rule, of_balancer["team"]) == ({}, {}, "edge")
            await there.aws.call("elbv2", "add_tags", ResourceArns=list(arns[:2]), Tags=[{"Key": "own", "Value": "1"}])
            await there.another_pass("web")
            assert await tags(there, *arns[:2]) == [{"own": "1"}, {"own": "1"}]

    asyncio.run(run())


def test_client_certificates_are_no_longer_requested() -> None:
    """Without EnhancedDefaultBehavior, an annotation taken away leaves the listener as it was."""

    async def run() -> None:
        for arguments, expected in (((), "passthrough"), (("--feature-gates=EnhancedDefaultBehavior=true",), "off")):
            mutual = '[{"port": 443, "mode": "passthrough"}]'
            web = ingress("web", ("/", "web", 80), certificate_arn=CERTIFICATE, mutual_authentication=mutual)
            async with lab(service("web", 80), settings=flags(*arguments)) as there:
                await there.issue(CERTIFICATE, "web.example")
                await there.store.create(web)
                await there.served("web")
                await there.quiet()
                gone: dict[str, Any] = {"metadata": {"annotations": {PREFIX + "mutual-authentication": None}}}
                await there.store.patch(networking.Ingress, "web", "default", gone)
                await there.quiet()
                [listener] = await there.listeners()
                assert listener["MutualAuthentication"]["Mode"] == expected
                there.writes.clear()
                await there.another_pass("web")
                assert there.writes == []

    asyncio.run(run())


def test_certificates_of_other_authorities_are_not_found() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), listen_ports='[{"HTTPS": 443}]')
        web["spec"]["rules"][0]["host"] = "shop.example"
        settings = flags("--allowed-certificate-authority-arns=arn:aws:acm-pca:us-east-1:1:certificate-authority/a")
        async with lab(service("web", 80), settings=settings) as there:
            await there.issue(CERTIFICATE, "shop.example")
            await there.store.create(web)
            await there.event("FailedBuildModel", "no certificate found for host: shop.example")

    asyncio.run(run())


def test_web_acls_belong_to_another_owner() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), wafv2_acl_arn="none")
        async with lab(service("web", 80), web, settings=flags("--enable-wafv2=false")) as there:
            await there.served("web")
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            arn = balancer["LoadBalancerArn"]
            acl = await there.aws.call(
                "wafv2",
                "create_web_acl",
                Name="firewall",
                Scope="REGIONAL",
                DefaultAction={"Allow": {}},
                VisibilityConfig={
                    "SampledRequestsEnabled": False,
                    "CloudWatchMetricsEnabled": False,
                    "MetricName": "firewall",
                },
                Rules=[],
            )
            await there.aws.call("wafv2", "associate_web_acl", WebACLArn=acl["Summary"]["ARN"], ResourceArn=arn)
            await there.another_pass("web")
            kept = await there.aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=arn)
            assert kept["WebACL"]["Name"] == "firewall"

    asyncio.run(run())


def test_without_a_period_there_is_no_resync() -> None:
    async def run() -> None:
        settings = flags("--sync-period=0", "--targetgroupbinding-requeue-duration=-1s")
        async with lab(service("web", 80), ingress("web", ("/", "web", 80)), settings=settings) as there:
            await there.served("web")
            await there.quiet()

    asyncio.run(run())


def test_other_namespaces_are_not_watched() -> None:
    async def run() -> None:
        settings = flags("--watch-namespace=shop")
        async with lab(service("web", 80), ingress("web", ("/", "web", 80)), settings=settings) as there:
            made = await there.aws.call(
                "elbv2", "create_target_group", Name="own", Protocol="HTTP", Port=80, VpcId=there.vpc_id
            )
            arn = made["TargetGroups"][0]["TargetGroupArn"]
            spec = {"targetGroupARN": arn, "targetType": "instance", "serviceRef": {"name": "web", "port": 80}}
            kind = {"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding"}
            await there.store.create({**kind, "metadata": {"name": "own", "namespace": "default"}, "spec": spec})
            await there.quiet()
            assert await there.targets(arn) == []
            assert await there.listeners() == []

    asyncio.run(run())
