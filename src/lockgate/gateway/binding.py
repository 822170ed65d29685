"""Which VirtualServices belong to which Gateway, in what order, and with which delegates.

Source: istio/istio `pilot/pkg/model/push_context.go`, `virtualservice.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.gateway import faults
from lockgate.gateway.faults import Fault, fault
from lockgate.gateway.hosts import gateway_name, visible
from lockgate.gateway.memo import Memo
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Origin
from lockgate.gateway.routes import HttpRule, Rules, named_hosts
from lockgate.resources import kinds

_REFERENCE = "VirtualService {}/{}"


class Bindings:
    """VirtualServices by the Gateway (``namespace/name``) that they name, in the order in which their routes go."""

    def __init__(self, services: Iterable[kinds.VirtualService], mesh: Mesh, viewer: str, memo: Memo) -> None:
        self._mesh = mesh
        self._viewer = viewer
        self._memo = memo
        self._delegates: dict[tuple[str, str], kinds.VirtualService] = {}
        self._bound: dict[str, list[kinds.VirtualService]] = {}
        roots: list[tuple[int, str, str, str, kinds.VirtualService]] = []
        for service in services:
            rank = self._rank(service)
            if rank is None:
                continue
            if service.spec.hosts:
                meta = service.metadata
                roots.append((rank, meta.creation_timestamp, meta.name, meta.namespace, service))
            else:
                self._delegates[service.namespace, service.name] = service
        roots.sort(key=lambda root: root[:4])
        for *_, service in roots:
            for name in memo.made(_gateways, service):
                self._bound.setdefault(name, []).append(service)

    @property
    def gateways(self) -> Iterable[str]:
        return self._bound

    def to(self, gateway: str) -> list[kinds.VirtualService]:
        return self._bound.get(gateway, [])

    def rules(self, service: kinds.VirtualService) -> Rules:
        """Its http rules, those of its delegates in the place where it names them."""
        wanted = self._memo.made(_delegate_names, service)
        if not wanted:
            return self._memo.made(_own_rules, service, self._mesh.domain)
        found = tuple(
            self._memo.made(_own_rules, self._delegates[name], self._mesh.domain) if name in self._delegates else None
            for name in wanted
        )
        return self._memo.made(_with_delegates, service, wanted, found, self._mesh.domain)

    def _rank(self, service: kinds.VirtualService) -> int | None:
        """Private ones first, then those exported to this namespace by name, then public ones. None is invisible."""
        export_to = service.spec.export_to or self._mesh.export_virtual_services
        if not visible(export_to, service.namespace, self._viewer):
            return None
        if "*" in export_to:
            return 2
        own = service.namespace == self._viewer and ("." in export_to or self._viewer in export_to)
        return 0 if own else 1


def _gateways(service: kinds.VirtualService) -> tuple[str, ...]:
    names = (gateway_name(name, service.namespace) for name in service.spec.gateways)
    return tuple(dict.fromkeys(name for name in names if name != "mesh"))


def _delegate_names(service: kinds.VirtualService) -> tuple[tuple[str, str], ...]:
    return tuple(
        (route.delegate.namespace or service.namespace, route.delegate.name)
        for route in service.spec.http
        if route.delegate
    )


def _own_rules(service: kinds.VirtualService, domain: str) -> Rules:
    rules = tuple(
        HttpRule(route, Origin(service.key, ("spec", "http", index))) for index, route in enumerate(service.spec.http)
    )
    return Rules(rules, named_hosts(rules, domain))


def _with_delegates(
    service: kinds.VirtualService,
    wanted: tuple[tuple[str, str], ...],
    found: tuple[Rules | None, ...],
    domain: str,
) -> Rules:
    delegates = dict(zip(wanted, found, strict=True))
    rules: list[HttpRule] = []
    told: list[Fault] = []
    for index, root in enumerate(service.spec.http):
        origin = Origin(service.key, ("spec", "http", index))
        if root.delegate is None:
            rules.append(HttpRule(root, origin))
            continue
        name = (root.delegate.namespace or service.namespace, root.delegate.name)
        delegate = delegates[name]
        if delegate is None:
            told.append(fault(faults.DELEGATE_NOT_FOUND, origin, "delegate", delegate=f"{name[0]}/{name[1]}"))
            continue
        rules += (
            HttpRule(merged, rule.origin)
            for rule in delegate.rules
            if (merged := _merged(root, rule.route)) is not None
        )
    return Rules(tuple(rules), named_hosts(tuple(rules), domain), tuple(told))


def _merged(root: kinds.HTTPRoute, delegate: kinds.HTTPRoute) -> kinds.HTTPRoute | None:
    """A delegate's rule under a root's. None where their matches exclude each other."""
    matches = _merged_matches(root.match, delegate.match)
    if matches is None:
        return None
    inherited = {
        name: getattr(root, name)
        for name in (
            "rewrite", "direct_response", "timeout", "retries", "fault", "mirror", "mirror_percent",
            "mirror_percentage", "mirrors", "cors_policy", "headers",
        )
        if not getattr(delegate, name)
    }  # fmt: skip
    name = "-".join(part for part in (root.name, delegate.name) if part)
    return delegate.model_copy(update={**inherited, "name": name, "match": matches})


def _merged_matches(
    root: tuple[kinds.HTTPMatchRequest, ...], delegate: tuple[kinds.HTTPMatchRequest, ...]
) -> tuple[kinds.HTTPMatchRequest, ...] | None:
    if not root or not delegate:
        return root or delegate
    merged: list[kinds.HTTPMatchRequest] = []
    for inner in delegate:
        pairs = [_merged_match(outer, inner) for outer in root]
        if None in pairs:
            return None  # one conflict leaves the whole rule out
        merged += [pair for pair in pairs if pair is not None]
    return tuple(merged)


def _merged_match(root: kinds.HTTPMatchRequest, delegate: kinds.HTTPMatchRequest) -> kinds.HTTPMatchRequest | None:
    update: dict[str, object] = {}
    for name in ("uri", "scheme", "method", "authority"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if outer is not None and inner is not None and not _contains(outer, inner):
            return None
        update[name] = inner if inner is not None else outer
    for name in ("headers", "query_params", "without_headers", "source_labels"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if any(key in inner and inner[key] != value for key, value in outer.items()):
            return None
        update[name] = {**outer, **inner}
    for name in ("port", "source_namespace"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if outer and inner and outer != inner:
            return None
        update[name] = inner or outer
    update["gateways"] = delegate.gateways or root.gateways
    update["ignore_uri_case"] = root.ignore_uri_case or delegate.ignore_uri_case
    update["stat_prefix"] = delegate.stat_prefix or root.stat_prefix
    update["name"] = "-".join(part for part in (root.name, delegate.name) if part)
    return delegate.model_copy(update=update)


def _contains(outer: kinds.StringMatch, inner: kinds.StringMatch) -> bool:
    """Whether all that the delegate's text matches is matched by the root's."""
    if outer.regex is not None or inner.regex is not None:
        return outer.regex == inner.regex
    if outer.prefix is not None:
        return (inner.exact if inner.exact is not None else inner.prefix or "").startswith(outer.prefix)
    return inner.exact == outer.exact
