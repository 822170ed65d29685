"""The security group that all load balancers of the cluster share, and the deletion of security groups.

Source: aws-load-balancer-controller `pkg/networking/backend_sg_provider.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.site import Site, failing, retrying
from lockgate.ingress.changes.security_groups import CreateSecurityGroup, backend_tags


async def create_backend(site: Site, change: CreateSecurityGroup) -> str:
    """Its ID. Another group may have created it since this one was observed."""
    async with site.turn:
        found = await find_backend(site)
        if not found:
            answer = await site.aws.call(change.service, change.operation, **change.parameters(str))
            found = change.made(answer)
        site.inventory.backend = found
        return found


async def release_backend(site: Site, needed: Callable[[], bool]) -> None:
    """Deletes the shared group if the cluster has no load balancer, and none is about to be created."""
    async with site.turn:
        if not needed() and (found := await find_backend(site)):
            await delete(site, found, within=120)


async def find_backend(site: Site) -> str:
    """Its ID, found by tags; "" if it does not exist."""
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
