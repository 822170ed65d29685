"""The load balancer's own security group, and the one that all load balancers of the cluster share for their targets.

Source: aws-load-balancer-controller `pkg/deploy/ec2/`, `pkg/networking/backend_sg_provider.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.existing import Existing, read_tags
from lockgate.controllers.aws_load_balancer.site import Site, failing, retrying, spare_tags
from lockgate.ingress import shapes
from lockgate.ingress.names import backend_security_group_name
from lockgate.ingress.stack import (
    BACKEND_RESOURCE_TAG,
    BACKEND_SECURITY_GROUP,
    CLUSTER_TAG,
    MANAGED_SECURITY_GROUP,
    GroupId,
    Permission,
    SecurityGroup,
)

Json = Mapping[str, Any]


async def ensure_managed(site: Site, group: GroupId, desired: SecurityGroup, existing: Existing) -> str:
    """The id. Foreign permissions on it are revoked; name and description never change."""
    found = next((item for resource, item in existing.security_groups if resource == MANAGED_SECURITY_GROUP), None)
    if found is None:
        identifier = await _create(site, desired.name, desired.description, desired.tags)
        site.inventory.made(identifier, group)
        current: set[Permission | _Foreign] = set()
    else:
        identifier = found["GroupId"]
        current = set(_permissions(found.get("IpPermissions", ())))
        await _set_tags(site, identifier, desired.tags, read_tags(found))
    wanted = set(desired.permissions)
    if spare := [item for item in current if item not in wanted]:
        await site.aws.call(
            "ec2", "revoke_security_group_ingress", GroupId=identifier, IpPermissions=[_shape(item) for item in spare]
        )
    if missing := [item for item in desired.permissions if item not in current]:
        await site.aws.call(
            "ec2",
            "authorize_security_group_ingress",
            GroupId=identifier,
            IpPermissions=[_shape(item) for item in missing],
        )
    return identifier


async def ensure_backend(site: Site) -> str:
    """The shared group's id: found by its tags, or made, with no permissions of its own."""
    async with site.turn:
        site.inventory.backend = await _find_backend(site) or await _create_backend(site)
        return site.inventory.backend


async def _create_backend(site: Site) -> str:
    name = backend_security_group_name(site.settings.cluster_name)
    tags = dict(site.settings.default_tags) | _backend_tags(site)
    return await _create(site, name, "[k8s] Shared Backend SecurityGroup for LoadBalancer", tags)


async def release_backend(site: Site, needed: Callable[[], bool]) -> None:
    """Delete the shared group if no load balancer of the cluster is left, or about to be made."""
    async with site.turn:
        if not needed() and (found := await _find_backend(site)) is not None:
            await _delete(site, found, within=120)


async def delete_spare(site: Site, group: GroupId, desired: SecurityGroup | None, existing: Existing) -> None:
    kept = False
    for resource, item in existing.security_groups:
        if desired is not None and resource == MANAGED_SECURITY_GROUP and not kept:
            kept = True
            continue
        await _delete(site, item["GroupId"], within=10)
        site.inventory.gone(item["GroupId"], group)


async def _find_backend(site: Site) -> str | None:
    if (known := site.inventory.backend) is not None and await _exists(site, known):
        return known
    filters = [
        {"Name": "vpc-id", "Values": [site.vpc_id]},
        *({"Name": f"tag:{key}", "Values": [value]} for key, value in _backend_tags(site).items()),
    ]
    found = await site.aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=filters)
    return found[0]["GroupId"] if found else None


async def _exists(site: Site, identifier: str) -> bool:
    try:
        await site.aws.call("ec2", "describe_security_groups", GroupIds=[identifier])
    except AwsError as error:
        if error.code != "InvalidGroup.NotFound":
            raise
        return False
    return True


def _backend_tags(site: Site) -> dict[str, str]:
    return {CLUSTER_TAG: site.settings.cluster_name, BACKEND_RESOURCE_TAG: BACKEND_SECURITY_GROUP}


async def _create(site: Site, name: str, description: str, tags: Mapping[str, str]) -> str:
    answer = await site.aws.call(
        "ec2",
        "create_security_group",
        GroupName=name,
        Description=description,
        VpcId=site.vpc_id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": shapes.tags(tags)}],
    )
    identifier: str = answer["GroupId"]
    return identifier


async def _delete(site: Site, identifier: str, *, within: float) -> None:
    async def delete() -> None:
        try:
            await site.aws.call("ec2", "delete_security_group", GroupId=identifier)
        except AwsError as error:
            if error.code != "InvalidGroup.NotFound":
                raise

    with failing("failed to delete securityGroup"):
        await retrying(delete, "DependencyViolation", every=2, within=within)


async def _set_tags(site: Site, identifier: str, desired: Mapping[str, str], current: Mapping[str, str]) -> None:
    missing = {key: value for key, value in desired.items() if current.get(key) != value}
    if missing:
        await site.aws.call("ec2", "create_tags", Resources=[identifier], Tags=shapes.tags(missing))
    if spare := spare_tags(site, desired, current):
        await site.aws.call("ec2", "delete_tags", Resources=[identifier], Tags=[{"Key": key} for key in spare])


class _Foreign(tuple[str, int, int, str, str]):
    """A permission that we never make: protocol, ports, kind of source and source."""

    __slots__ = ()


def _permissions(answer: Iterable[Json]) -> Iterable[Permission | _Foreign]:
    for item in answer:
        protocol, first, last = item["IpProtocol"], item.get("FromPort", -1), item.get("ToPort", -1)
        sources = [("cidr", entry["CidrIp"]) for entry in item.get("IpRanges", ())]
        sources += [("cidr-v6", entry["CidrIpv6"]) for entry in item.get("Ipv6Ranges", ())]
        sources += [("prefix-list", entry["PrefixListId"]) for entry in item.get("PrefixListIds", ())]
        sources += [("group", entry["GroupId"]) for entry in item.get("UserIdGroupPairs", ())]
        for kind, value in sources:
            if protocol == "tcp" and first == last and kind != "group":
                yield Permission(first, kind, value)  # type: ignore[arg-type]  # one of the three literals
            else:
                yield _Foreign((protocol, first, last, kind, value))


def _shape(item: Permission | _Foreign) -> dict[str, Any]:
    if isinstance(item, Permission):
        protocol, first, last, kind, value = "tcp", item.port, item.port, str(item.source), item.value
    else:
        protocol, first, last, kind, value = item
    shape: dict[str, Any] = {"IpProtocol": protocol}
    if first != -1:
        shape |= {"FromPort": first, "ToPort": last}
    match kind:
        case "cidr":
            shape["IpRanges"] = [{"CidrIp": value}]
        case "cidr-v6":
            shape["Ipv6Ranges"] = [{"CidrIpv6": value}]
        case "prefix-list":
            shape["PrefixListIds"] = [{"PrefixListId": value}]
        case _:
            shape["UserIdGroupPairs"] = [{"GroupId": value}]
    return shape
