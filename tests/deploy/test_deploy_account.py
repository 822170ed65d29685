"""The account's calls: within the rate that AWS accepts, and each question once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lockgate.embedded.faults import rule
from tests.deploy.deploy_rig import rig


def test_calls_keep_to_the_rate_and_items_of_a_listing_are_not_asked_for_again(tmp_path: Path) -> None:
    """Of 600 calls at `elbv2:*=rate:20`, botocore's standard mode fails 302, and its adaptive mode none."""

    async def run() -> None:
        async with rig(tmp_path) as made:
            made.aws.faults.rules = (rule("ec2:DescribeSecurityGroups=RequestLimitExceeded*1"),)
            account = made.session.account
            groups = await account.list("ec2", "describe_security_groups", "SecurityGroups")
            assert account._client("ec2").meta.config.retries["mode"] == "adaptive"
            ids = [each["GroupId"] for each in groups]
            before = account.calls.total()
            assert await account.list("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids) == groups
            assert account.calls.total() == before
            account.forget()
            await account.list("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids)
            assert account.calls.total() == before + 1

    asyncio.run(asyncio.wait_for(run(), 120))
