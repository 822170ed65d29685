"""Rights are denied one by one: what needs one fails with its name, and what can do without says what is lacking."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lockgate.deploy.account import Denied
from lockgate.deploy.applying import apply
from lockgate.deploy.planning import iam
from lockgate.deploy.waiting import StepFailed
from lockgate.embedded.faults import rule
from lockgate.errors import CommandError
from tests.deploy.deploy_rig import Quiet, no_requests, rig

# The reads without which nothing is right; each other read costs a part of the plan.
NEEDED = (
    "acm:ListCertificates",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "elbv2:DescribeLoadBalancers",
    "elbv2:DescribeTargetGroups",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
)
OPTIONAL = ("eks:DescribeCluster", "elbv2:DescribeAccountLimits")
# In the order in which `apply` needs them: here nobody issues a certificate, so it would wait for one.
WRITES = (
    "acm:RequestCertificate",
    "acm:DescribeCertificate",
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
)


def action(name: str) -> str:
    return name.replace("elbv2:", "elasticloadbalancing:")


def test_each_denied_read_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            allowed = iam.actions(iam.policy((await made.session.plan()).needs, write=False))
            for name in NEEDED:
                assert action(name) in allowed
                made.aws.faults.rules = (rule(f"{name}=AccessDenied"),)
                with pytest.raises(Denied, match=f"not authorized to perform: {action(name)}"):
                    await made.session.plan()
            for name in OPTIONAL:
                assert action(name) in allowed
                made.aws.faults.rules = (rule(f"{name}=AccessDenied"),)
                plan = await made.session.plan()
                assert any(name.partition(":")[2] in each.what for each in plan.seen.unread)

    asyncio.run(asyncio.wait_for(run(), 120))


def test_each_denied_write_stops_with_its_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            allowed = iam.actions(iam.policy((await made.session.plan()).needs))
            for name in WRITES:
                assert action(name) in allowed
                made.aws.faults.rules = (rule(f"{name}=AccessDenied"),)
                with pytest.raises((StepFailed, Denied), match=f"not authorized to perform: {action(name)}"):
                    await apply(made.session, Quiet(), confirm=lambda _: True, prober=no_requests)

    asyncio.run(asyncio.wait_for(run(), 120))


def test_a_zone_is_created_with_the_rights_for_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, zones=False) as made:
            plan = await made.session.plan()
            assert [each.text for each in plan.problems] == [
                "the account 123456789012 has no hosted zone Z08765432TOWPATH0001, which an issuer names for "
                "towpath.example"
            ]

    asyncio.run(asyncio.wait_for(run(), 120))


def test_without_the_right_to_patch_a_plan_merges_and_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            made.kubernetes.faults.rules = tuple(
                rule(f"kubernetes:patch/{kind}=Forbidden")
                for kind in ("ingresses", "certificates", "clusterissuers", "gateways", "virtualservices", "services")
            )
            plan = await made.session.plan()
            assert not plan.problems
            assert len(plan.objects) == 7
            assert any(each.what == "server-side dry runs" for each in plan.seen.unread)

    asyncio.run(asyncio.wait_for(run(), 120))


def test_kinds_that_may_not_be_listed_are_named(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            made.kubernetes.faults.rules = (rule("kubernetes:list/envoyfilters=Forbidden"),)
            plan = await made.session.plan()
            assert [each.what for each in plan.seen.unread] == ["list envoyfilters"]

    asyncio.run(asyncio.wait_for(run(), 120))


def test_credentials_that_nobody_accepts_are_one_line(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as made:
            made.aws.faults.rules = (rule("sts:GetCallerIdentity=ExpiredToken"),)
            with pytest.raises(CommandError, match="ExpiredToken"):
                await made.session.plan()
            made.aws.faults.rules = ()
            made.kubernetes.faults.rules = (rule("kubernetes:get/version=Unauthorized"),)
            with pytest.raises(CommandError, match="credentials"):
                await made.session.plan()

    asyncio.run(asyncio.wait_for(run(), 120))
