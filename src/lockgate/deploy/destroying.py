"""Deletes an edge from an account and a cluster. What is gone already is passed over, so a second run goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from lockgate.controllers.aws import AwsError
from lockgate.controllers.elbv2 import read_tags
from lockgate.controllers.external_dns.route53 import read_zone, write_records
from lockgate.deploy import helm, identities
from lockgate.deploy.account import is_denied
from lockgate.deploy.cluster import Refused
from lockgate.deploy.observing import plural_of, version_of
from lockgate.deploy.planning.destruction import Destruction, destruction
from lockgate.deploy.planning.plan import Plan
from lockgate.deploy.planning.seen import OWNER_LABEL, Acm
from lockgate.deploy.session import Session
from lockgate.deploy.waiting import StepFailed, until
from lockgate.dns.plan import Change
from lockgate.ingress.stack import CLUSTER_TAG, StackId
from lockgate.resources.model import ObjectKey

_LONG: Final = 20 * 60.0  # seconds; ACM calls a certificate in use for ten minutes after its load balancer has gone


class Progress(Protocol):
    def noted(self, text: str) -> None: ...

    def gone(self, text: str) -> None: ...


async def planned(session: Session, *, installed: bool = False) -> tuple[Plan, Destruction]:
    """With `installed`, the Helm releases that `apply --install` made, too."""
    plan = await session.plan()
    edge = session.options.name
    choices = []
    for choice in plan.choices:
        found = choice.found
        choices.append(choice if found is None else replace(choice, found=await _tagged(session, found, edge)))
    zones = [each.id for each in plan.seen.zones if await _zone_is_ours(session, each.id, edge)]
    try:
        granted, bearer = await identities.granted(session.account, session.cluster, plan.seen, edge)
    except (AwsError, Refused) as error:
        raise StepFailed(error.message) from error
    return plan, destruction(plan.intent, plan.seen, choices, zones, granted, bearer, installed=installed)


async def destroy(session: Session, plan: Plan, wanted: Destruction, progress: Progress) -> None:
    """Raises `StepFailed`, `Unreachable`."""
    work = _Work(session, plan, progress)
    try:
        for zone, changes in wanted.records:
            await work.delete_records(zone, changes)
        for key in wanted.balanced:
            await work.delete_object(key)
        for key in wanted.balanced:
            await work.wait_gone(key)
        for arn in wanted.load_balancers:
            await work.wait_balancer(arn)
            await work.wait_network(arn)
        for stack in wanted.stacks:
            await work.wait_groups(stack)
        for key in wanted.objects:
            await work.delete_object(key)
        for key in wanted.objects:
            await work.wait_gone(key)
        for release in wanted.releases:
            await helm.uninstall(release, session.cluster.context)
            progress.gone(f"Helm release {release.namespace}/{release.name}")
        if wanted.bearer is not None and not wanted.releases:
            await identities.annotate(session.cluster, wanted.bearer, "")
            progress.gone(f"annotation of {wanted.bearer}")
        for certificate in wanted.certificates:
            await work.delete_certificate(certificate)
        for zone, changes in wanted.validations:
            await work.delete_records(zone, changes)
        async for text in identities.revoke(session.account, plan.seen.place.cluster, wanted.granted):
            progress.gone(text)
        for each in wanted.zones:
            await session.account.call("route53", "delete_hosted_zone", Id=each.id)
            progress.gone(f"hosted zone {each.name.rstrip('.')}: its delegation in the zone above is lame now")
    except AwsError as error:
        raise StepFailed(error.message if is_denied(error) else str(error)) from error
    except Refused as error:
        raise StepFailed(error.message) from error


class _Work:
    def __init__(self, session: Session, plan: Plan, progress: Progress) -> None:
        self._cluster = session.cluster
        self._account = session.account
        self._plan = plan
        self._progress = progress

    async def delete_records(self, zone: str, changes: Sequence[Change]) -> None:
        """With exactly their current values; those that have gone are passed over."""
        self._account.forget()
        there = {each.key: each for each in (await read_zone(self._account, zone, "")).record_sets}
        current = [Change("DELETE", there[each.record_set.key]) for each in changes if each.record_set.key in there]
        if not current:
            return
        await write_records(self._account, zone, current)
        for change in current:
            self._progress.gone(f"record {change.record_set.name.rstrip('.')} {change.record_set.type}")

    async def delete_object(self, key: ObjectKey) -> None:
        if await self._cluster.delete(self._version(key), self._plural(key), key.name, key.namespace):
            self._progress.gone(str(key))

    async def wait_gone(self, key: ObjectKey) -> None:
        async def there() -> str:
            raw = await self._cluster.get(self._version(key), self._plural(key), key.name, key.namespace)
            if raw is None:
                return ""
            finalizers = raw["metadata"].get("finalizers") or ()
            why = await self._referred(key)
            return f"held by {', '.join(finalizers)}{why}" if finalizers else "not deleted yet"

        await self._until(there, str(key))

    async def wait_balancer(self, arn: str) -> None:
        async def there() -> str:
            self._account.forget()
            listed = await self._account.list("elbv2", "describe_load_balancers", "LoadBalancers")
            return "still there" if any(each["LoadBalancerArn"] == arn for each in listed) else ""

        await self._until(there, f"load balancer {arn.rpartition('loadbalancer/')[2]}")

    async def wait_network(self, arn: str) -> None:
        """Its network interfaces, which go minutes after it, and its security groups, which go after these."""
        name = arn.rpartition("loadbalancer/")[2]

        async def there() -> str:
            self._account.forget()
            found = await self._account.list(
                "ec2",
                "describe_network_interfaces",
                "NetworkInterfaces",
                Filters=[{"Name": "description", "Values": [f"ELB {name}"]}],
            )
            return f"{', '.join(each['NetworkInterfaceId'] for each in found)} still there" if found else ""

        await self._until(there, f"the network interfaces of {name}")

    async def wait_groups(self, stack: StackId) -> None:
        """The security groups that the AWS Load Balancer Controller made for it."""

        async def there() -> str:
            return "; ".join([f"{name} is still there{why}" async for name, why in self._security_groups(stack)])

        await self._until(there, f"the security groups of {stack}")

    async def _referred(self, key: ObjectKey) -> str:
        """Which rules keep the security group of an Ingress, and with it the Ingress."""
        for group in self._plan.seen.groups if key.kind == "Ingress" else ():
            if group.stack is not None and (key.namespace, key.name) in group.stack.members:
                return "".join([why async for _, why in self._security_groups(group.group)])
        return ""

    async def _security_groups(self, stack: StackId) -> AsyncIterator[tuple[str, str]]:
        """Those that are left, each with the groups that refer to it."""
        self._account.forget()
        tags = {CLUSTER_TAG: self._plan.seen.place.cluster, stack.STACK_TAG: str(stack)}
        for each in await self._groups([{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]):
            users = await self._groups([{"Name": "ip-permission.group-id", "Values": [each["GroupId"]]}])
            named = ", ".join(f"{user['GroupId']} ({user['GroupName']})" for user in users)
            yield each["GroupId"], f": rules of {named} refer to {each['GroupId']}" if named else ""

    async def _groups(self, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return await self._account.list("ec2", "describe_security_groups", "SecurityGroups", Filters=filters)

    async def delete_certificate(self, certificate: Acm) -> None:
        async def deleted() -> str:
            self._account.forget()
            try:
                await self._account.call("acm", "delete_certificate", CertificateArn=certificate.arn)
            except AwsError as error:
                if error.code == "ResourceNotFoundException":
                    return ""
                if error.code != "ResourceInUseException":
                    raise
                return error.message
            return ""

        await self._until(deleted, f"ACM certificate {certificate.arn}")
        self._progress.gone(f"ACM certificate {certificate.arn}")

    async def _until(self, open_: Callable[[], Awaitable[str]], what: str) -> None:
        await until(open_, what, self._progress.noted, longest=_LONG)

    def _plural(self, key: ObjectKey) -> str:
        found = plural_of(key, self._plan.seen.served)
        assert found is not None, "it was listed"
        return found

    def _version(self, key: ObjectKey) -> str:
        return version_of(key, self._plan.seen.served)


async def _tagged(session: Session, found: Acm, edge: str) -> Acm:
    try:
        tags = read_tags(await session.account.call("acm", "list_tags_for_certificate", CertificateArn=found.arn))
        answer = await session.account.call("acm", "describe_certificate", CertificateArn=found.arn)
    except AwsError as error:
        raise StepFailed(error.message) from error
    options = answer["Certificate"].get("DomainValidationOptions", ())
    records = [
        (each["ResourceRecord"]["Name"], each["ResourceRecord"]["Value"])
        for each in options
        if "ResourceRecord" in each
    ]
    return replace(found, ours=tags.get(OWNER_LABEL) == edge, records=tuple(dict.fromkeys(records)))


async def _zone_is_ours(session: Session, zone: str, edge: str) -> bool:
    try:
        answer = await session.account.call(
            "route53", "list_tags_for_resource", ResourceType="hostedzone", ResourceId=zone
        )
    except AwsError as error:
        raise StepFailed(error.message) from error
    return read_tags(answer["ResourceTagSet"]).get(OWNER_LABEL) == edge
