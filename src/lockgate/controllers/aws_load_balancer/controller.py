"""The controller: reconciles groups of Ingresses and Services to load balancers, and bindings to registered targets.

Source: aws-load-balancer-controller `controllers/ingress/group_controller.go`, `eventhandlers/`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.aws_load_balancer import security_groups
from lockgate.controllers.aws_load_balancer.account import AccountReader
from lockgate.controllers.aws_load_balancer.certificates import NotIssued
from lockgate.controllers.aws_load_balancer.cluster import Cluster
from lockgate.controllers.aws_load_balancer.deploy import deploy
from lockgate.controllers.aws_load_balancer.finalizers import add_finalizer, remove_finalizer
from lockgate.controllers.aws_load_balancer.inventory import Inventory, Unexpected
from lockgate.controllers.aws_load_balancer.metrics import ControllerMetrics
from lockgate.controllers.aws_load_balancer.perform import TooManyAttached
from lockgate.controllers.aws_load_balancer.services import Services
from lockgate.controllers.aws_load_balancer.site import Deployed, LookAgain, Site, sdk_message
from lockgate.controllers.aws_load_balancer.targets import Bindings
from lockgate.controllers.aws_load_balancer.triggers import Triggers
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import EventRecorder, Queue
from lockgate.ingress.build import build
from lockgate.ingress.group import (
    Group,
    InvalidClass,
    InvalidGroup,
    NotOurs,
    Owned,
    assemble,
    finalizer,
    ownership,
)
from lockgate.ingress.references import lookups
from lockgate.ingress.refusal import Refused
from lockgate.ingress.stack import GroupId, Stack
from lockgate.ingress.world import Name, Settings
from lockgate.loadbalancer.elbv2 import UnknownShape
from lockgate.resources import networking
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.status import ApiError

log = logging.getLogger("lockgate.controllers.aws_load_balancer")


def _now() -> datetime:
    return datetime.now(UTC)


class AwsLoadBalancerController:
    """`settings` are the controller's flags, to which the cluster's name is added."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        aws: Aws,
        *,
        cluster_name: str,
        vpc_id: str,
        now: Callable[[], datetime] = _now,
        settings: Settings | None = None,
        metrics: ControllerMetrics | None = None,
    ) -> None:
        self._kubernetes = kubernetes
        metrics = metrics or ControllerMetrics()
        aws = aws.for_caller(metrics.called)
        self._cluster = Cluster()
        self._settings = replace(settings or Settings(), cluster_name=cluster_name)
        self._reader = AccountReader(aws, self._settings, vpc_id=vpc_id)
        self._inventory = Inventory(aws, cluster_name=cluster_name)
        self._site = Site(kubernetes, aws, self._cluster, self._inventory, self._settings, vpc_id, now)
        self._events = EventRecorder(kubernetes, "ingress")
        self._services = Services(
            self._site, self._reader, EventRecorder(kubernetes, "service"), lambda stack: self._triggers.others(stack)
        )
        self._bindings = Bindings(self._site, EventRecorder(kubernetes, "targetGroupBinding"))
        self._groups: Queue[GroupId] = Queue(max_delay=5.0, done=partial(metrics.reconciled, "ingress"))
        self._service_names: Queue[Name] = Queue(max_delay=5.0, done=partial(metrics.reconciled, "service"))
        self._binding_names: Queue[Name] = Queue(max_delay=5.0, done=partial(metrics.reconciled, "targetGroupBinding"))
        self._ungrouped: Queue[Name] = Queue()
        self._triggers = Triggers(
            self._cluster,
            self._settings,
            self._groups.add,
            self._service_names.add,
            self._binding_names.add,
            self._ungrouped.add,
        )

    async def run(self) -> None:
        """Runs until cancelled: watches the cluster, and makes AWS match it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cluster.follow(self._kubernetes, self._changed))
            await self._cluster.synced.wait()
            self._triggers.everything()
            tasks.create_task(self._groups.run(self._reconcile_group, name="ingress group", workers=3))
            tasks.create_task(self._service_names.run(self._reconcile_service, name="service", workers=3))
            tasks.create_task(self._binding_names.run(self._reconcile_binding, name="target group binding", workers=3))
            tasks.create_task(self._ungrouped.run(self._report_ungrouped, name="ingress"))
            while self._settings.sync_seconds:
                await asyncio.sleep(self._settings.sync_seconds)
                self._inventory.forget()
                self._triggers.everything()

    def _changed(self, before: Resource | None, after: Resource | None) -> None:
        self._triggers.changed(before, after)

    # --- groups --------------------------------------------------------------------------------------------------

    async def _reconcile_group(self, group_id: GroupId) -> None:
        """Reconciles one group. An error becomes an event on each member, and is raised so that it is retried."""
        candidates = self._triggers.candidates(group_id)
        try:
            group = assemble(group_id, candidates, self._cluster.objects, self._settings)
        except Refused as refused:
            for ingress in candidates:
                if refused.origin is None or refused.origin.key == ingress.key:
                    await self._warn([ingress], "FailedLoadGroupID", f"failed load groupID due to {refused.message}")
            raise
        members = [member.ingress for member in group.members]
        name = finalizer(group_id)
        try:
            for ingress in members:
                await add_finalizer(self._kubernetes, ingress, name)
        except ApiError as error:
            await self._warn(members, "FailedAddFinalizer", f"Failed add finalizer due to {error.message}")
            raise
        try:
            deployed = await self._make(group)
        except LookAgain as again:
            log.info("%s; retry in %.0f s", again, again.seconds)
            self._groups.add_after(group_id, again.seconds)
            return
        if deployed is not None:
            await self._report(members, deployed)
        else:
            await security_groups.release_backend(self._site, lambda: self._triggers.others(group_id))
        try:
            for ingress in group.leaving:
                await remove_finalizer(self._kubernetes, ingress, name)
        except ApiError as error:
            await self._warn(members, "FailedRemoveFinalizer", f"Failed remove finalizer due to {error.message}")
            raise
        for ingress in members:
            await self._events.event(ingress, "Normal", "SuccessfullyReconciled", "Successfully reconciled")

    async def _make(self, group: Group) -> _Live | None:
        members = [member.ingress for member in group.members]
        try:
            existing = await self._inventory.of(group.id)
            account = await self._reader.choices(lookups(group, self._settings, existing.summary), existing)
            built = build(group, self._cluster.objects, account, self._settings)
            if isinstance(built, Refused):
                raise built
        except (Refused, AwsError) as error:
            await self._warn(members, "FailedBuildModel", f"Failed build model due to {sdk_message(error)}")
            raise
        except (Unexpected, UnknownShape) as error:
            await self._warn(members, "FailedDeployModel", f"Failed deploy model due to {sdk_message(error)}")
            raise
        try:
            deployed = await deploy(self._site, built, existing)
        except (AwsError, ApiError, NotIssued, TooManyAttached, TimeoutError) as error:
            await self._warn(members, "FailedDeployModel", f"Failed deploy model due to {sdk_message(error)}")
            raise
        return _Live(built, deployed) if deployed else None

    async def _report(self, members: list[networking.Ingress], live: _Live) -> None:
        balancer = live.stack.load_balancer
        assert balancer is not None
        ports: list[JsonObject] = [{"port": listener.port, "protocol": "TCP"} for listener in balancer.listeners]
        entries: list[JsonObject] = [{"hostname": each.dns_name.lower()} for each in live.deployed]
        entries[0]["ports"] = ports
        for ingress in members:
            shown = [
                {"hostname": item.hostname}
                | ({"ports": [{"port": port.port, "protocol": "TCP"} for port in item.ports]} if item.ports else {})
                for item in ingress.status.load_balancer.ingress
            ]
            if shown == entries:
                continue
            status = {"loadBalancer": {"ingress": entries}}
            try:
                await self._kubernetes.patch_status(networking.Ingress, ingress.name, ingress.namespace, status)
            except ApiError as error:
                about = f"failed to update ingress status: {ingress.namespace}/{ingress.name}: {error.message}"
                await self._warn(members, "FailedUpdateStatus", f"Failed update status due to {about}")
                raise

    async def _warn(self, about: list[networking.Ingress], reason: str, message: str) -> None:
        for ingress in about:
            await self._events.event(ingress, "Warning", reason, message)

    async def _report_ungrouped(self, name: Name) -> None:
        """Reports why an Ingress is in no group: its class or its group's name does not resolve."""
        ingress = self._cluster.ingresses.get(name)
        if ingress is None:
            return
        match ownership(ingress, self._cluster.objects, self._settings):
            case InvalidClass(message) | InvalidGroup(message):
                await self._warn([ingress], "FailedLoadGroupID", f"failed load groupID due to {message}")
            case Owned() | NotOurs():
                pass

    # --- Services and bindings ---------------------------------------------------------------------------------------

    async def _reconcile_service(self, name: Name) -> None:
        again = await self._services.reconcile(name)
        if again:
            self._service_names.add_after(name, again)

    async def _reconcile_binding(self, name: Name) -> None:
        again = await self._bindings.reconcile(name)
        if again:
            self._binding_names.add_after(name, again)


@dataclass(frozen=True, slots=True)
class _Live:
    stack: Stack
    deployed: tuple[Deployed, ...]
