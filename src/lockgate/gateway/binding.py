"""Binds VirtualServices to Gateways, in order of precedence, with their delegates.

Source: istio/istio `pilot/pkg/model/push_context.go`, `virtualservice.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lockgate.gateway.delegates import merged, qualified
from lockgate.gateway.hosts import gateway_name, visible
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.routes import HttpRule, Rules, named_hosts
from lockgate.resources import istio
from lockgate.resources.codes import istio as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo


class Bindings:
    """VirtualServices by the Gateway (``namespace/name``) that they name, in the order of their routes."""

    def __init__(self, services: Sequence[istio.VirtualService], mesh: Mesh, viewer: str, memo: Memo) -> None:
        self._bound: dict[str, list[Rules]] = {}
        delegates: dict[tuple[str, str], Rules] = {}
        roots: list[tuple[int, str, str, str, _Facts]] = []
        for facts in memo.each("VirtualServices", _facts, services, mesh, viewer):
            if facts.rank is None:
                continue
            service = facts.rules.service
            meta = service.metadata
            if service.spec.hosts:
                roots.append((facts.rank, meta.creation_timestamp, meta.name, meta.namespace, facts))
            else:
                delegates[meta.namespace, meta.name] = facts.rules
        roots.sort(key=lambda root: root[:4])
        for *_, facts in roots:
            rules = facts.rules
            if facts.delegates:
                found = tuple(delegates.get(name) for name in facts.delegates)
                rules = memo.made(_with_delegates, rules, facts.delegates, found, mesh.domain)
            for name in facts.gateways:
                self._bound.setdefault(name, []).append(rules)

    @property
    def gateways(self) -> Iterable[str]:
        return self._bound

    def to(self, gateway: str) -> list[Rules]:
        return self._bound.get(gateway, [])


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """The facts about one VirtualService that depend on no other. `rank` None means that it is not visible."""

    rank: int | None
    gateways: tuple[str, ...]
    delegates: tuple[tuple[str, str], ...]
    rules: Rules


def _facts(service: istio.VirtualService, mesh: Mesh, viewer: str) -> _Facts:
    names = (gateway_name(name, service.namespace) for name in service.spec.gateways)
    rules = tuple(
        HttpRule(route, Origin(service.key, ("spec", "http", index))) for index, route in enumerate(service.spec.http)
    )
    return _Facts(
        rank=_rank(service, mesh, viewer),
        gateways=tuple(dict.fromkeys(name for name in names if name != "mesh")),
        delegates=tuple(
            (route.delegate.namespace or service.namespace, route.delegate.name)
            for route in service.spec.http
            if route.delegate
        ),
        rules=Rules(service, rules, named_hosts(rules, mesh.domain)),
    )


def _rank(service: istio.VirtualService, mesh: Mesh, viewer: str) -> int | None:
    """Private services first, then those exported to this namespace by name, then public ones."""
    export_to = service.spec.export_to or mesh.export_virtual_services
    if not visible(export_to, service.namespace, viewer):
        return None
    if "*" in export_to:
        return 2
    own = service.namespace == viewer and ("." in export_to or viewer in export_to)
    return 0 if own else 1


def _with_delegates(
    own: Rules, names: tuple[tuple[str, str], ...], found: tuple[Rules | None, ...], domain: str
) -> Rules:
    delegates = dict(zip(names, found, strict=True))
    rules: list[HttpRule] = []
    faults: list[Fault] = []
    for rule in own.rules:
        reference = rule.route.delegate
        if reference is None:
            rules.append(rule)
            continue
        name = (reference.namespace or rule.namespace, reference.name)
        delegate = delegates[name]
        if delegate is None:
            faults.append(codes.DELEGATE_NOT_FOUND.at(rule.origin.under("delegate"), delegate=f"{name[0]}/{name[1]}"))
            continue
        outer = qualified(rule.route, rule.namespace, domain)
        rules += (
            HttpRule(both, inner.origin) for inner in delegate.rules if (both := merged(outer, inner.route)) is not None
        )
    return Rules(own.service, tuple(rules), named_hosts(tuple(rules), domain), tuple(faults))
