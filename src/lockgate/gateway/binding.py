"""Binds VirtualServices to Gateways, in order of precedence, with their delegates.

Source: istio/istio `pilot/pkg/model/push_context.go`, `virtualservice.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """VirtualServices by the Gateway (``namespace/name``) that they name, in the order of their routes.

    The order hangs on few facts of each. While those stay, so does the order, whatever changes in the routes.
    """

    def __init__(self, services: Sequence[istio.VirtualService], mesh: Mesh, viewer: str, memo: Memo) -> None:
        self._rules: Sequence[Rules] = memo.each("rules", _rules, services, mesh)
        self._order = memo.made(_ordered, memo.facts("bound", _facts, services, mesh, viewer))
        self._bound: dict[str, list[Rules]] = {}
        if self._order.delegating:
            self._rules = list(self._rules)
            for at, names in self._order.delegating:
                delegates = (self._order.delegates.get(name) for name in names)
                found = tuple(None if each is None else self._rules[each] for each in delegates)
                self._rules[at] = memo.made(_with_delegates, self._rules[at], names, found, mesh.domain)

    @property
    def gateways(self) -> Iterable[str]:
        return self._order.bound

    def to(self, gateway: str) -> list[Rules]:
        if gateway not in self._bound:
            self._bound[gateway] = list(map(self._rules.__getitem__, self._order.bound.get(gateway, ())))
        return self._bound[gateway]


@dataclass(frozen=True, slots=True)
class _Facts:
    """The facts about one VirtualService on which its place depends. `rank` None means that it is not visible."""

    rank: int | None
    created: str
    name: str
    namespace: str
    has_hosts: bool
    gateways: tuple[str, ...]
    delegates: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """The places of VirtualServices: bound ones by Gateway, delegates by name, and who names which of those."""

    bound: Mapping[str, Sequence[int]]
    delegates: Mapping[tuple[str, str], int]
    delegating: Sequence[tuple[int, tuple[tuple[str, str], ...]]]


def _facts(service: istio.VirtualService, mesh: Mesh, viewer: str) -> _Facts:
    names = (gateway_name(name, service.namespace) for name in service.spec.gateways)
    meta = service.metadata
    return _Facts(
        rank=_rank(service, mesh, viewer),
        created=meta.creation_timestamp,
        name=meta.name,
        namespace=meta.namespace,
        has_hosts=bool(service.spec.hosts),
        gateways=tuple(dict.fromkeys(name for name in names if name != "mesh")),
        delegates=tuple(
            (route.delegate.namespace or service.namespace, route.delegate.name)
            for route in service.spec.http
            if route.delegate
        ),
    )


def _rules(service: istio.VirtualService, mesh: Mesh) -> Rules:
    rules = tuple(
        HttpRule(route, Origin(service.key, ("spec", "http", index))) for index, route in enumerate(service.spec.http)
    )
    return Rules(service, rules, named_hosts(rules, mesh.domain))


def _ordered(every: Sequence[_Facts]) -> _Order:
    visible = [(at, facts) for at, facts in enumerate(every) if facts.rank is not None]
    roots = [(facts.rank, facts.created, facts.name, facts.namespace, at) for at, facts in visible if facts.has_hosts]
    bound: dict[str, list[int]] = {}
    for *_, at in sorted(roots):
        for name in every[at].gateways:
            bound.setdefault(name, []).append(at)
    return _Order(
        bound,
        {(facts.namespace, facts.name): at for at, facts in visible if not facts.has_hosts},
        [(at, facts.delegates) for at, facts in visible if facts.has_hosts and facts.delegates],
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
