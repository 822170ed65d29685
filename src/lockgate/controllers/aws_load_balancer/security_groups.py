"""The security group that all load balancers of the cluster share, and how security groups are deleted.

Source: aws-load-balancer-controller `pkg/networking/backend_sg_provider.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.site import Site, failing, retrying
from lockgate.ingress.changes.security_groups import CreateSecurityGroup, backend_tags


async def create_backend(site: Site, change: CreateSecurityGroup) -> str:
    """Its id. Another group may have made it since this one was observed."""
    async with site.turn:
        found = await find_backend(site)
        if not found:
            answer = await site.aws.call(change.service, change.operation, **change.parameters(str))
            found = change.made(answer)
        site.inventory.backend = found
        return found


async def release_backend(site: Site, needed: Callable[[], bool]) -> None:
    """Delete the shared group if no load balancer of the cluster is left, or about to be made."""
    async with site.turn:
        if not needed() and (found := await find_backend(site)):
            await delete(site, found, within=120)


async def find_backend(site: Site) -> str:
    """Its id, by its tags; "" if there is none."""
    if (cached := site.inventory.backend) is not None and await _exists(site, cached):
        return cached
    filters = [
        {"Name": "vpc-id", "Values": [site.vpc_id]},
        *({"Name": f"tag:{key}", "Values": [value]} for key, value in backend_tags(site.settings).items()),
    ]
    found = await site.aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=filters)
    site.inventory.backend = found[0]["GroupId"] if found else None
    return site.inventory.backend or ""


async def delete(site: Site, identifier: str, *, within: float) -> None:
    async def call() -> None:
        try:
            await site.aws.call("ec2", "delete_security_group", GroupId=identifier)
        except AwsError as error:
            if error.code != "InvalidGroup.NotFound":
                raise

    with failing("failed to delete securityGroup"):
        await retrying(call, "DependencyViolation", every=2, within=within)


async def _exists(site: Site, identifier: str) -> bool:
    try:
        await site.aws.call("ec2", "describe_security_groups", GroupIds=[identifier])
    except AwsError as error:
        if error.code != "InvalidGroup.NotFound":
            raise
        return False
    return True
