"""The Service ports that are reached with TLS, where the echo answers with TLS in place of the application.

Load balancers use TLS for `backend-protocol: HTTPS`, gateways for a DestinationRule, and clients where a gateway passes
their TLS through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lockgate.edge.objects import Name
from lockgate.edge.supply.services import service_of
from lockgate.gateway.destinations import Rule
from lockgate.gateway.hosts import best_match, fully_qualified
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.references import services_of, targets_of
from lockgate.ingress.refusal import Refused
from lockgate.resources import core, elbv2, istio, networking
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey

User: TypeAlias = networking.Ingress | elbv2.TargetGroupBinding | istio.VirtualService | istio.DestinationRule
_DOMAIN = "cluster.local"


def tls_ports(service: core.Service, users: Iterable[User]) -> Mapping[int, tuple[str, ...]]:
    """The ports of a Service that its `users` reach with TLS, each with the names that they verify."""
    users = list(users)
    rules = _rules(service, users)
    found: dict[int, tuple[str, ...]] = {}
    for port in service.spec.ports:
        names = _verified(rules, port.port)
        if names is not None or any(_uses_tls(each, service, port) for each in users):
            found[port.port] = tuple(dict.fromkeys((*_names(service), *(names or ()))))
    return found


def used_services(user: User) -> frozenset[Name]:
    """The Services that an object may reach with TLS. The name `*` is any Service: of a DestinationRule for many."""
    match user:
        case networking.Ingress():
            return frozenset((user.namespace, name) for name in services_of(user))
        case elbv2.TargetGroupBinding():
            return frozenset({(user.namespace, user.spec.service_ref.name)})
        case istio.VirtualService():
            found = (service_of(host, user.namespace) for host, _ in _passed_through(user))
            return frozenset(each for each in found if each)
        case istio.DestinationRule():
            named = service_of(user.spec.host, user.namespace)
            return frozenset({ANY} if "*" in user.spec.host else {named} if named else ())


ANY: Name = ("", "*")


@dataclass(slots=True)
class Users:
    """The objects that may reach each Service with TLS, kept up to date by `change`."""

    _services: dict[ObjectKey, frozenset[Name]] = field(default_factory=dict)
    _of: dict[Name, dict[ObjectKey, User]] = field(default_factory=dict)

    def change(self, before: User | None, after: User | None) -> frozenset[Name]:
        """The Services whose users change; `ANY` among them means all."""
        changed = after or before
        if changed is None:
            return frozenset()
        same = before is not None and after is not None and _relevant(before) == _relevant(after)
        earlier = self._services.pop(changed.key, frozenset())
        for name in earlier:
            self._of[name].pop(changed.key)
            if not self._of[name]:
                del self._of[name]
        now = used_services(after) if after is not None else frozenset()
        for name in now:
            self._of.setdefault(name, {})[changed.key] = changed
        if now:
            self._services[changed.key] = now
        return frozenset() if same else earlier | now

    def of(self, service: core.Service) -> tuple[User, ...]:
        own = self._of.get((service.namespace, service.name), {})
        return (*own.values(), *self._of.get(ANY, {}).values())

    def ingresses(self, name: Name) -> bool:
        """Whether an Ingress forwards to the Service."""
        return any(isinstance(each, networking.Ingress) for each in self._of.get(name, {}).values())


def _relevant(user: User) -> tuple[object, object]:
    return user.spec, user.metadata.annotations


def _uses_tls(user: User, service: core.Service, port: core.ServicePort) -> bool:
    names = (port.port, port.name or None)
    match user:
        case networking.Ingress():
            ports = [each.port for each in targets_of(user) if each.service == service.name]
            return any(each in names for each in ports) and _backend_protocol(user, service) == "HTTPS"
        case elbv2.TargetGroupBinding():
            return user.spec.target_group_protocol in ("HTTPS", "TLS") and user.spec.service_ref.port in names
        case istio.VirtualService():
            here = (service.namespace, service.name)
            return any(
                service_of(host, user.namespace) == here and number in (None, port.port)
                for host, number in _passed_through(user)
            )
        case istio.DestinationRule():
            return False  # `_verified` reads them together


def _backend_protocol(ingress: networking.Ingress, service: core.Service) -> str | None:
    try:
        return a.BACKEND_PROTOCOL.read(service, ingress)
    except Refused:
        return None


def _passed_through(service: istio.VirtualService) -> Iterable[tuple[str, int | None]]:
    """The destinations of routes by SNI: gateways use them where a server's mode is PASSTHROUGH."""
    for route in service.spec.tls:
        for weighted in route.route:
            port = weighted.destination.port
            yield weighted.destination.host, port.number if port else None


def _rules(service: core.Service, users: Iterable[User]) -> list[Rule]:
    """The DestinationRules for the Service with the most specific host."""
    rules: dict[str, list[Rule]] = {}
    for each in users:
        if isinstance(each, istio.DestinationRule):
            host = fully_qualified(each.spec.host, each.namespace, _DOMAIN).lower()
            subsets = {subset.name: subset for subset in each.spec.subsets}
            rules.setdefault(host, []).append(Rule(each.spec.traffic_policy, subsets, Origin(each.key)))
    best = best_match(f"{service.name}.{service.namespace}.svc.{_DOMAIN}", rules)
    return rules[best] if best is not None else []


def _verified(rules: Iterable[Rule], port: int) -> tuple[str, ...] | None:
    """The names that gateways verify on a port; None if no rule asks for TLS there. Source: `gateway.clusters`."""
    names: list[str] | None = None
    for rule in rules:
        for subset in ("", *rule.subsets):
            settings = rule.blocks(port, subset).tls
            if settings is not None and settings.mode in ("SIMPLE", "MUTUAL"):
                names = [*(names or ()), *filter(None, (settings.sni, *settings.subject_alt_names))]
    return None if names is None else tuple(names)


def _names(service: core.Service) -> tuple[str, ...]:
    """The names that a Service has in the cluster's DNS."""
    name = f"{service.name}.{service.namespace}"
    return (f"{name}.svc.{_DOMAIN}", f"{name}.svc", name, service.name)
