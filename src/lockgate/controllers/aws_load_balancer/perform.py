"""Performs changes in order, and records the resulting IDs. Stops at the first error.

Most changes are one call each. The exceptions are here: calls for which AWS is not ready yet are retried, shared
resources are created once, and if a load balancer is full, rules are deleted and created in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer import certificates, security_groups
from lockgate.controllers.aws_load_balancer.site import MANAGER, LookAgain, Site, failing, retrying
from lockgate.ingress.changes.addons import AssociateWebAcl, CreateProtection, DeleteProtection, DisassociateWebAcl
from lockgate.ingress.changes.bindings import ApplyBinding, DeleteBinding
from lockgate.ingress.changes.certificates import DeleteCertificate, RequestCertificate, ValidateCertificate
from lockgate.ingress.changes.change import Change, Creation, is_pending
from lockgate.ingress.changes.listeners import AddListenerCertificates, CreateRule, DeleteRule
from lockgate.ingress.changes.load_balancers import CreateLoadBalancer, DeleteLoadBalancer
from lockgate.ingress.changes.security_groups import CreateSecurityGroup, DeleteSecurityGroup
from lockgate.ingress.changes.target_groups import CreateTargetGroup, DeleteTargetGroup, RegisterTargets
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, StackId
from lockgate.resources import elbv2
from lockgate.resources.status import ApiError

REGISTERED_AGAIN_SECONDS = 15.0


class TooManyAttached(Exception):
    """The load balancer has too many rules, and no pending deletion makes room."""


@dataclass(slots=True)
class Performed:
    """The results of the changes: IDs, and the host names of load balancers, by reference."""

    ids: dict[str, str] = field(default_factory=dict)
    dns_names: dict[str, str] = field(default_factory=dict)


async def perform(site: Site, stack: StackId, changes: Iterable[Change]) -> Performed:
    """Raises `AwsError`, `ApiError`, `NotIssued`, `TooManyAttached`, `TimeoutError` and `LookAgain`."""
    return await _Performance(site, stack, deque(changes)).run()


@dataclass(slots=True)
class _Performance:
    site: Site
    stack: StackId
    pending: deque[Change]
    done: Performed = field(default_factory=Performed)
    full: bool = False
    """Whether the error means that the load balancer has the maximum number of rules."""

    async def run(self) -> Performed:
        while self.pending:
            change = self.pending.popleft()
            with _explained(change):
                await self._perform(change)
        return self.done

    async def _perform(self, change: Change) -> None:
        match change:
            case ApplyBinding():
                await self.site.kubernetes.apply(change.parameters(self._resolved), manager=MANAGER)
            case DeleteBinding():
                await self._delete_bindings(change)
            case RequestCertificate():
                await certificates.check_zones(self.site, change.request)
                await self._create(change)
            case ValidateCertificate():
                await certificates.validate(self.site, self._resolved(change.certificate))
            case DeleteCertificate():
                await certificates.delete(self.site, change.arn)
            case CreateSecurityGroup() if change.makes == BACKEND_SECURITY_GROUP:
                self.done.ids[change.makes] = await security_groups.create_backend(self.site, change)
            case CreateSecurityGroup() | CreateTargetGroup() | CreateLoadBalancer():
                self.site.inventory.made(await self._create(change), self.stack)
            case CreateRule():
                await self._create_rule(change)
            case Creation():
                await self._create(change)
            case DeleteLoadBalancer(arn):
                await self._call(change)
                self.site.inventory.gone(arn, self.stack)
            case DeleteTargetGroup(arn):
                await retrying(lambda: self._call(change), "ResourceInUse", every=2, within=20)
                self.site.inventory.gone(arn, self.stack)
            case DeleteSecurityGroup(identifier):
                await security_groups.delete(self.site, identifier, within=10)
                self.site.inventory.gone(identifier, self.stack)
            case RegisterTargets():
                await self._register(change)
            case _:
                await self._call(change)

    def _resolved(self, reference: str) -> str:
        return self.done.ids.get(reference, reference)

    async def _call(self, change: Change) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await self.site.aws.call(
            change.service, change.operation, **change.parameters(self._resolved)
        )
        return answer

    async def _create(self, change: Creation) -> str:
        answer = await self._call(change)
        made = self.done.ids[change.makes] = change.made(answer)
        if isinstance(change, CreateLoadBalancer):
            self.done.dns_names[change.makes] = answer["LoadBalancers"][0]["DNSName"]
        return made

    async def _create_rule(self, change: CreateRule) -> None:
        """Creates new rules before old ones are deleted. On a full load balancer, one is deleted for each new one."""
        if self.full:
            await self._make_room(change)
        try:
            await retrying(lambda: self._create(change), "ListenerNotFound", every=2, within=20)
        except AwsError as error:
            if error.code != "TooManyRules" or self.full:
                raise
            self.full = True
            await self._make_room(change)
            await self._create(change)

    async def _make_room(self, change: CreateRule) -> None:
        """Performs the deletion of one of the listener's rules early."""
        for index, later in enumerate(self.pending):
            if isinstance(later, DeleteRule) and later.listener == change.listener:
                del self.pending[index]
                await self._call(later)
                return
        raise TooManyAttached("Unable to synthesize listener rules, there's too many attached.")

    async def _register(self, change: RegisterTargets) -> None:
        try:
            await self._call(change)
        except AwsError as error:
            balancer, group = self._resolved(change.load_balancer), self._resolved(change.group)
            raise LookAgain(f"cannot register {balancer} in {group}: {error}", REGISTERED_AGAIN_SECONDS) from error

    async def _delete_bindings(self, first: DeleteBinding) -> None:
        """Deletes this binding and the following ones, and waits for the deregistration of their targets."""
        deletions = [first]
        while self.pending and isinstance(self.pending[0], DeleteBinding):
            deletions.append(self.pending.popleft())  # type: ignore[arg-type]  # the line above has checked the type
        for each in deletions:
            try:
                await self.site.kubernetes.delete(elbv2.TargetGroupBinding, each.name, each.namespace)
            except ApiError as error:
                if error.code != 404:
                    raise
        bindings, names = self.site.cluster.bindings, [(each.namespace, each.name) for each in deletions]
        if not await self.site.cluster.until(lambda: not any(name in bindings for name in names), 60):
            raise TimeoutError("timed out waiting for TargetGroupBindings to be deleted")


@contextmanager
def _explained(change: Change) -> Iterator[None]:
    """The controller's text for a failed change, which precedes AWS's error."""
    words = _words(change)
    with failing(words) if words else nullcontext():
        yield


def _words(change: Change) -> str:
    match change:
        case AddListenerCertificates(listener) if is_pending(listener):
            return "failed to update extra certificates on listener"
        case CreateRule():
            return "failed to create listener rule"
        case DeleteTargetGroup():
            return "failed to delete targetGroup"
        case AssociateWebAcl():
            return f"failed to {'update' if change.replaces else 'create'} WAFv2 webACL association on LoadBalancer"
        case DisassociateWebAcl():
            return "failed to delete WAFv2 webACL association on LoadBalancer"
        case CreateProtection():
            return "failed to create shield protection on LoadBalancer"
        case DeleteProtection():
            return "failed to delete shield protection on LoadBalancer"
        case _:
            return ""
