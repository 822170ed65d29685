"""Reconciles Services to Network Load Balancers.

Source: aws-load-balancer-controller `controllers/service/service_controller.go`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer import security_groups
from lockgate.controllers.aws_load_balancer.account import AccountReader
from lockgate.controllers.aws_load_balancer.certificates import NotIssued
from lockgate.controllers.aws_load_balancer.deploy import deploy
from lockgate.controllers.aws_load_balancer.finalizers import add_finalizer, remove_finalizer
from lockgate.controllers.aws_load_balancer.inventory import Unexpected
from lockgate.controllers.aws_load_balancer.perform import TooManyAttached
from lockgate.controllers.aws_load_balancer.site import Deployed, LookAgain, Site, sdk_message
from lockgate.controllers.runtime import EventRecorder
from lockgate.ingress.existing import Existing
from lockgate.ingress.references import service_lookups
from lockgate.ingress.refusal import Refused
from lockgate.ingress.services.build import build
from lockgate.ingress.services.ownership import FINALIZER, has_resources, is_ours
from lockgate.ingress.stack import ServiceId, Stack, StackId
from lockgate.ingress.world import Name
from lockgate.loadbalancer.elbv2 import UnknownShape
from lockgate.loadbalancer.network import NetworkListener
from lockgate.resources import core
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

log = logging.getLogger("lockgate.controllers.aws_load_balancer")


class Services:
    """`others` says whether the security group that all load balancers share is needed without a stack."""

    def __init__(
        self, site: Site, reader: AccountReader, events: EventRecorder, others: Callable[[StackId], bool]
    ) -> None:
        self._site = site
        self._reader = reader
        self._events = events
        self._others = others

    async def reconcile(self, name: Name) -> float | None:
        """Returns the seconds until the next reconciliation; None to wait for a change. An error becomes an event, and
        is raised so that it is retried."""
        service = self._site.cluster.services.get(name)
        if service is None:
            return None
        ours = not service.metadata.deletion_timestamp and is_ours(service, self._site.settings)
        if not ours and not has_resources(service):
            return None
        try:
            stack, existing = await self._build(service)
            if stack.network is None:
                await self._clean_up(service, stack, existing)
                return None
            try:
                await add_finalizer(self._site.kubernetes, service, FINALIZER)
            except ApiError as error:
                await self._warn(service, "FailedAddFinalizer", f"Failed add finalizer due to {error.message}")
                raise
            (live,) = await self._deploy(service, stack, existing)
        except LookAgain as again:
            log.info("%s; retry in %.0f s", again, again.seconds)
            return again.seconds
        if not stack.needs_backend_security_group:
            await self._release(stack)
        await self._report(service, stack.network.listeners, live)
        await self._events.event(service, "Normal", "SuccessfullyReconciled", "Successfully reconciled")
        return None

    async def _build(self, service: core.Service) -> tuple[Stack, Existing]:
        try:
            existing = await self._site.inventory.of(ServiceId(service.namespace, service.name))
            account = await self._reader.choices(service_lookups(service, existing.summary), existing)
            built = build(service, account, self._site.settings, self._site.cluster.services)
            if isinstance(built, Refused):
                raise built
        except (Refused, AwsError) as error:
            await self._warn(service, "FailedBuildModel", f"Failed build model due to {sdk_message(error)}")
            raise
        except (Unexpected, UnknownShape) as error:
            await self._warn(service, "FailedDeployModel", f"Failed deploy model due to {sdk_message(error)}")
            raise
        return built, existing

    async def _deploy(self, service: core.Service, stack: Stack, existing: Existing) -> tuple[Deployed, ...]:
        try:
            return await deploy(self._site, stack, existing)
        except (AwsError, ApiError, NotIssued, TooManyAttached, TimeoutError) as error:
            await self._warn(service, "FailedDeployModel", f"Failed deploy model due to {sdk_message(error)}")
            raise

    async def _clean_up(self, service: core.Service, stack: Stack, existing: Existing) -> None:
        await self._deploy(service, stack, existing)
        await self._release(stack)
        try:
            await self._write(service, None)
        except ApiError as error:
            if error.code != 404:
                await self._warn(service, "FailedCleanupStatus", f"Failed update status due to {error.message}")
                raise
        try:
            await remove_finalizer(self._site.kubernetes, service, FINALIZER)
        except ApiError as error:
            await self._warn(service, "FailedRemoveFinalizer", f"Failed remove finalizer due to {error.message}")
            raise

    async def _release(self, stack: Stack) -> None:
        await security_groups.release_backend(self._site, lambda: self._others(stack.id))

    async def _report(self, service: core.Service, listeners: tuple[NetworkListener, ...], live: Deployed) -> None:
        entry = {"hostname": live.dns_name.lower(), "ports": [port for each in listeners for port in _ports(each)]}
        shown = [
            {
                "hostname": item.hostname,
                "ports": [{"port": port.port, "protocol": port.protocol} for port in item.ports],
            }
            for item in service.status.load_balancer.ingress
        ]
        if shown == [entry]:
            return
        try:
            await self._write(service, [entry])
        except ApiError as error:
            about = f"failed to update service status: {service.namespace}/{service.name}: {error.message}"
            await self._warn(service, "FailedUpdateStatus", f"Failed update status due to {about}")
            raise

    async def _write(self, service: core.Service, entries: list[JsonObject] | None) -> None:
        status = {"loadBalancer": {"ingress": entries}}
        await self._site.kubernetes.patch_status(core.Service, service.name, service.namespace, status)

    async def _warn(self, service: core.Service, reason: str, message: str) -> None:
        await self._events.event(service, "Warning", reason, message)


def _ports(listener: NetworkListener) -> list[JsonObject]:
    protocols = _CARRIED.get(listener.protocol, ("TCP",))
    return [{"port": listener.port, "protocol": protocol} for protocol in protocols]


_CARRIED: Final = {"UDP": ("UDP",), "TCP_UDP": ("TCP", "UDP")}
