"""Annotations that only AWS refuses: its own error becomes the event, and everything else goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import yaml
from aws_load_balancer_lab import CERTIFICATE, Lab, ingress, lab, service

from lockgate.resources import networking

CASES = Path(__file__).parents[1] / "cases" / "loadbalancer" / "refused_by_aws.yaml"
PREFIX = "alb.ingress.kubernetes.io/"


def test_a_refusal_of_aws_is_reported_in_its_words_and_others_go_on() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80))
        async with lab(service("web", 80), web, ingress("other", ("/", "web", 80))) as there:
            await there.served("web")
            for row in yaml.safe_load(CASES.read_text()):
                await annotate(there, row["annotations"])
                await there.event("FailedDeployModel", row["refused"])
                await there.another_pass("other")
                await annotate(there, dict.fromkeys(row["annotations"]))
                await there.another_pass("web")
            assert [listener["Port"] for listener in await there.listeners()] == [80, 80]

    asyncio.run(run())


def test_a_policy_that_aws_does_not_have() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), certificate_arn=CERTIFICATE, ssl_policy="ELBSecurityPolicy-None\n")
        async with lab(service("web", 80)) as there:
            await there.issue(CERTIFICATE, "web.example")
            await there.store.create(web)
            await there.event("FailedDeployModel", "SSLPolicyNotFound: ")

    asyncio.run(run())


def test_local_faults_are_reported_before_those_of_aws() -> None:
    async def run() -> None:
        for operation, setting, said in (
            (
                "create_rule",
                {},
                "failed to create listener rule: operation error Elastic Load Balancing v2: CreateRule",
            ),
            (
                "associate_web_acl",
                {"wafv2_acl_arn": "arn:acl"},
                "failed to create WAFv2 webACL association on LoadBalancer: operation error WAFV2: AssociateWebACL",
            ),
        ):
            async with lab(service("web", 80)) as there:
                there.refuse(operation, "Throttling", "Rate exceeded")
                await there.store.create(ingress("web", ("/", "web", 80), **setting))
                await there.event("FailedDeployModel", f"Failed deploy model due to {said}, api error Throttling: Rate")

    asyncio.run(run())


async def annotate(there: Lab, changed: dict[str, str | None]) -> None:
    metadata: dict[str, Any] = {"annotations": {PREFIX + key: value for key, value in changed.items()}}
    await there.store.patch(networking.Ingress, "web", "default", {"metadata": metadata})
