"""Finds what a change in the cluster affects: groups, Services and bindings. The controller's own writes affect none.

Source: aws-load-balancer-controller `controllers/ingress/eventhandlers/`, `controllers/service/eventhandlers/`,
`controllers/elbv2/eventhandlers/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain

from lockgate.controllers.aws_load_balancer.cluster import Cluster, service_of
from lockgate.ingress.group import InvalidClass, InvalidGroup, Owned, groups_held, ownership
from lockgate.ingress.references import secrets_of, services_of
from lockgate.ingress.services.ownership import has_resources, is_ours
from lockgate.ingress.stack import GroupId, ServiceId, StackId
from lockgate.ingress.world import Name, Settings
from lockgate.resources import core, eks, elbv2, networking
from lockgate.resources.meta import condition
from lockgate.resources.model import Resource


class Triggers:
    """Indexes the Ingresses that may be in each group, and the users of each Service and Secret."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        group: Callable[[GroupId], None],
        service: Callable[[Name], None],
        binding: Callable[[Name], None],
        ungrouped: Callable[[Name], None],
    ) -> None:
        """`ungrouped` is called with Ingresses whose class or group does not resolve."""
        self._cluster = cluster
        self._settings = settings
        self._group = group
        self._service = service
        self._wake = binding
        self._ungrouped = ungrouped
        self._groups_of: dict[Name, frozenset[GroupId]] = {}
        self._members: defaultdict[GroupId, set[Name]] = defaultdict(set)
        self._service_users: defaultdict[Name, set[Name]] = defaultdict(set)
        self._services_of: dict[Name, tuple[str, ...]] = {}
        self._balanced: set[Name] = set()  # Services that have, or need, a load balancer of their own

    def _binding(self, name: Name) -> None:
        if self._settings.watch_namespace in ("", name[0]):
            self._wake(name)

    def candidates(self, group: GroupId) -> list[networking.Ingress]:
        """The Ingresses that are, or were, in the group."""
        ingresses = self._cluster.ingresses
        return [ingresses[name] for name in sorted(self._members.get(group, ())) if name in ingresses]

    def others(self, stack: StackId) -> bool:
        """Whether another group or Service has, or needs, a load balancer."""
        balanced = (ServiceId(*name) for name in self._balanced)
        return any(other != stack for other in chain[StackId](self._members, balanced))

    def everything(self) -> None:
        for name in list(self._cluster.ingresses):
            self._index(name)
        for group in list(self._members):
            self._group(group)
        for name in list(self._cluster.services):
            self._service_changed(name)
        for name in self._cluster.bindings:
            self._binding(name)

    def changed(self, before: Resource | None, after: Resource | None) -> None:
        now = after or before
        if not self._cluster.synced.is_set() or now is None:
            return  # everything is reconciled once after the start
        name = (now.namespace, now.name)
        match now:
            case networking.Ingress():
                if _asked(before) != _asked(after) or before is None or after is None:
                    groups = self._groups_of.get(name, frozenset()) | self._index(name)
                    self._enqueue(groups)
            case core.Service():
                if _asked(before) != _asked(after):
                    self._service_changed(name)
                    self._enqueue_users(self._service_users.get(name, ()))
                    self._enqueue_bindings(name)
            case core.Secret():
                if _data(before) != _data(after):
                    self._secret_changed(now)
            case (
                networking.IngressClass() | elbv2.IngressClassParams() | eks.AutoIngressClassParams() | core.Namespace()
            ):
                if _asked(before) != _asked(after) or _labels(before) != _labels(after):
                    self._classes_changed()
            case core.Node():
                if _node(before) != _node(after):
                    self._enqueue_targets("instance")
                    self._enqueue_targets("ip")
            case core.EndpointSlice():
                self._enqueue_bindings((now.namespace, service_of(now)))
            case core.Pod():
                if _pod(before) != _pod(after):
                    self._enqueue_targets("ip", now.namespace)
            case elbv2.TargetGroupBinding():
                if _asked(before) != _asked(after) or after is None:
                    self._binding(name)

    def _index(self, name: Name) -> frozenset[GroupId]:
        """Updates an Ingress in the index: the groups that it joins or leaves."""
        ingress = self._cluster.ingresses.get(name)
        groups: set[GroupId] = set()
        services: tuple[str, ...] = ()
        if ingress is not None:
            groups.update(groups_held(ingress))
            owner = ownership(ingress, self._cluster.objects, self._settings)
            if isinstance(owner, InvalidClass | InvalidGroup):
                self._ungrouped(name)
            elif isinstance(owner, Owned) and not ingress.metadata.deletion_timestamp:
                groups.add(owner.group)
            if groups:
                services = services_of(ingress)
        for group in self._groups_of.pop(name, ()):
            self._members[group].discard(name)
            if not self._members[group]:
                del self._members[group]
        for service in self._services_of.pop(name, ()):
            users = self._service_users[name[0], service]
            users.discard(name)
            if not users:
                del self._service_users[name[0], service]
        if groups:
            self._groups_of[name] = frozenset(groups)
            self._services_of[name] = services
            for group in groups:
                self._members[group].add(name)
            for service in services:
                self._service_users[(name[0], service)].add(name)
        return frozenset(groups)

    def _service_changed(self, name: Name) -> None:
        service = self._cluster.services.get(name)
        if service is not None and (has_resources(service) or is_ours(service, self._settings)):
            self._balanced.add(name)
            self._service(name)
        else:
            self._balanced.discard(name)

    def _enqueue(self, groups: Iterable[GroupId]) -> None:
        for group in groups:
            self._group(group)

    def _enqueue_users(self, ingresses: Iterable[Name]) -> None:
        for name in ingresses:
            self._enqueue(self._groups_of.get(name, ()))

    def _enqueue_bindings(self, service: Name) -> None:
        for name, binding in self._cluster.bindings.items():
            if (binding.namespace, binding.spec.service_ref.name) == service:
                self._binding(name)

    def _enqueue_targets(self, target_type: str, namespace: str = "") -> None:
        for name, binding in self._cluster.bindings.items():
            if binding.spec.target_type == target_type and namespace in ("", binding.namespace):
                self._binding(name)

    def _secret_changed(self, secret: core.Secret) -> None:
        for name in self._groups_of:
            ingress = self._cluster.ingresses.get(name)
            if name[0] != secret.namespace or ingress is None:
                continue
            if secret.name in secrets_of(ingress, self._cluster.services):
                self._enqueue(self._groups_of[name])

    def _classes_changed(self) -> None:
        for name in list(self._cluster.ingresses):
            self._enqueue(self._groups_of.get(name, frozenset()) | self._index(name))


def _asked(resource: Resource | None) -> object:
    """The user's part of an object, without its status and the controller's own changes."""
    if resource is None:
        return None
    return (getattr(resource, "spec", None), resource.metadata.annotations, resource.metadata.deletion_timestamp)


def _labels(resource: Resource | None) -> object:
    return resource.metadata.labels if resource else None


def _data(resource: Resource | None) -> object:
    return resource.decoded if isinstance(resource, core.Secret) else None


def _node(resource: Resource | None) -> object:
    if not isinstance(resource, core.Node):
        return None
    ready = condition(resource.status.conditions, "Ready")
    return (resource.metadata.labels, resource.spec, ready.status if ready else None)


def _pod(resource: Resource | None) -> object:
    if not isinstance(resource, core.Pod):
        return None
    states = {item.type: item.status for item in resource.status.conditions}
    return (states, resource.spec.readiness_gates, resource.spec.node_name)
