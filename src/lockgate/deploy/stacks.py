"""What the AWS Load Balancer Controller will build of a cluster's objects, what there is of it, and what changes.

The controller's own code decides; it reads the account through `Account`, and nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, cast

from lockgate.controllers.aws_load_balancer.account import AccountReader
from lockgate.controllers.aws_load_balancer.cluster import Cluster as Cache
from lockgate.controllers.aws_load_balancer.inventory import Inventory, Unexpected
from lockgate.controllers.aws_load_balancer.observe import observe as observe_group
from lockgate.controllers.aws_load_balancer.observe import observe_addons
from lockgate.controllers.aws_load_balancer.site import Site
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.deploy.account import Account, Denied
from lockgate.deploy.planning.seen import GroupSeen, Place, Unread
from lockgate.edge.objects import Objects
from lockgate.ingress.build import build
from lockgate.ingress.changes import addons, changes
from lockgate.ingress.existing import Existing
from lockgate.ingress.flags import controller
from lockgate.ingress.group import Owned, assemble, groups_held, ownership
from lockgate.ingress.manifests import DEFAULTS
from lockgate.ingress.references import Lookup, lookups, service_lookups
from lockgate.ingress.refusal import Refused as NotBuilt
from lockgate.ingress.services.build import build as build_service
from lockgate.ingress.services.ownership import has_resources, is_ours
from lockgate.ingress.stack import GroupId, ServiceId, Stack, StackId
from lockgate.loadbalancer.elbv2 import UnknownShape
from lockgate.resources import core, networking, workloads
from lockgate.resources.model import ObjectKey, Resource

_LOOKUPS: Final = {
    Lookup.VPC: "ec2:DescribeVpcs",
    Lookup.TRUST_STORES: "elasticloadbalancing:DescribeTrustStores",
    Lookup.WEB_ACLS: "wafv2:ListWebACLs",
}
_DELETED: Final = {"deletion_timestamp": "1970-01-01T00:00:00Z"}  # any time: the controller asks only whether it is set


async def stacks(
    account: Account,
    overlay: Objects,
    written: Collection[ObjectKey],
    pruned: Iterable[Resource],
    place: Place,
    unread: list[Unread],
) -> tuple[GroupSeen, ...]:
    """The groups that an Ingress of the manifests is in, and the manifests' Services with a load balancer.

    `written` are the manifests' objects. `pruned` are objects that `apply` deletes: the controller deletes what it made
    for them. What may not be read is added to `unread`.
    """
    leaving = [each.model_copy(update={"metadata": each.metadata.model_copy(update=_DELETED)}) for each in pruned]
    settings = controller(overlay.all(workloads.Deployment), DEFAULTS).settings
    if place.cluster and settings.cluster_name == DEFAULTS.cluster_name:
        settings = replace(settings, cluster_name=place.cluster)
    cache = Cache()
    for resource in overlay:
        cache.take(resource)
    groups: dict[GroupId, list[networking.Ingress]] = {}
    for ingress in overlay.all(networking.Ingress):
        match ownership(ingress, cache.objects, settings):
            case Owned(group):
                groups.setdefault(group, []).append(ingress)
    for each in leaving:
        if isinstance(each, networking.Ingress):
            for group in groups_held(each):
                groups.setdefault(group, []).append(each)
    touched = {*written, *(each.key for each in leaving)}
    ours = [each for each in sorted(groups.items()) if any(member.key in touched for member in each[1])]
    services = [
        each
        for each in (*overlay.all(core.Service), *leaving)
        if isinstance(each, core.Service)
        if each.key in touched and (is_ours(each, settings) or has_resources(each))
    ]
    if not (ours or services):
        return ()
    inventory = Inventory(account, cluster_name=settings.cluster_name)
    kubernetes = cast("Kubernetes", None)  # reading calls nothing of it
    site = Site(kubernetes, account, cache, inventory, settings, place.vpc_id, lambda: datetime.now(UTC))
    reader = _Reader(site, AccountReader(account, settings, vpc_id=place.vpc_id), unread)
    of_groups = (reader.group(group, members) for group, members in ours)
    return tuple(await asyncio.gather(*of_groups, *map(reader.service, services)))


class _Reader:
    def __init__(self, site: Site, reader: AccountReader, unread: list[Unread]) -> None:
        self._site = site
        self._reader = reader
        self._unread = unread

    async def group(self, group_id: GroupId, members: Iterable[networking.Ingress]) -> GroupSeen:
        existing = await self._existing(group_id)
        objects, settings = self._site.cluster.objects, self._site.settings
        try:
            group = assemble(group_id, members, objects, settings)
        except NotBuilt as refused:
            return GroupSeen(group_id, None, existing, refused=refused.message)
        wanted = lookups(group, settings, existing.summary)
        account = await self._reader.choices(wanted, existing)
        return await self._compared(group_id, lambda: build(group, objects, account, settings), wanted, existing)

    async def service(self, service: core.Service) -> GroupSeen:
        id_ = ServiceId(service.namespace, service.name)
        existing = await self._existing(id_)
        wanted = service_lookups(service, existing.summary)
        account = await self._reader.choices(wanted, existing)
        services = self._site.cluster.objects.services
        named = services.get((service.namespace, service.name), service)
        return await self._compared(
            id_, lambda: build_service(named, account, self._site.settings, services), wanted, existing
        )

    async def _existing(self, id_: StackId) -> Existing:
        try:
            return await self._site.inventory.of(id_)
        except (Unexpected, UnknownShape) as error:
            raise Denied(str(error)) from error

    async def _compared(
        self,
        id_: StackId,
        made: Callable[[], Stack | NotBuilt],
        wanted: Iterable[Lookup],
        existing: Existing,
    ) -> GroupSeen:
        try:
            built = made()
        except NotBuilt as refused:
            built = refused
        reads = [_LOOKUPS[each] for each in sorted(wanted) if each in _LOOKUPS]
        if isinstance(built, NotBuilt):
            return GroupSeen(id_, None, existing, refused=built.message, reads=tuple(reads))
        reads += [
            action
            for manages, action in (
                (addons.manages_web_acl(built, self._site.settings), "wafv2:GetWebACLForResource"),
                (addons.manages_protection(built, self._site.settings), "shield:GetSubscriptionState"),
                (addons.manages_protection(built, self._site.settings), "shield:DescribeProtection"),
                (
                    addons.manages_capacity(built, self._site.settings),
                    "elasticloadbalancing:DescribeCapacityReservation",
                ),
            )
            if manages
        ]
        stack, existing, refused_read = await observe_addons(
            self._site, built, await observe_group(self._site, built, existing)
        )
        if refused_read is not None:
            lacks = f"what an add-on of {id_} is, and whether it changes"
            self._unread.append(Unread(refused_read.operation, refused_read.message, lacks))
        found = changes(stack, existing, self._site.settings, vpc_id=self._site.vpc_id)
        return GroupSeen(id_, stack, existing, found, reads=tuple(reads))
