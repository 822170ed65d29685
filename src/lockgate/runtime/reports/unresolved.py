"""Why a host has no DNS record: the object that the record depends on is refused, foreign, missing, or pending.

external-dns creates a record for an Ingress's host once the Ingress has a load balancer, and for a VirtualService's or
Gateway's host once an Ingress with a load balancer references a Service of the Gateway's Pods. This module follows the
same chain, with `edge.fronts`, and stops at the first missing link.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.exposure import may_have_address
from lockgate.edge.fronts import Fronts
from lockgate.edge.supply.hosts import hosts_of
from lockgate.gateway.hosts import gateway_name
from lockgate.ingress.group import InvalidClass, InvalidGroup, NotOurs, Owned, ownership
from lockgate.ingress.manifests import DEFAULTS
from lockgate.ingress.references import services_of
from lockgate.ingress.services.ownership import is_ours
from lockgate.ingress.world import Objects
from lockgate.resources import core, eks, elbv2, istio, networking
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource
from lockgate.resources.reader import Document
from lockgate.runtime.observed import State
from lockgate.runtime.pace import Steps
from lockgate.runtime.parts import Readiness
from lockgate.runtime.reports.gateways import services


@dataclass(frozen=True, slots=True)
class Why:
    """`state` is WAITING, FAILED or UNSERVED; `lack` names what the host lacks, for a summary."""

    state: Readiness
    text: str
    lack: str = "load balancer"


_STEP = 100  # hosts or objects
_HOPE = (Readiness.WAITING, Readiness.FAILED, Readiness.UNSERVED)
_RECORD = Why(Readiness.WAITING, "its record is being made")


def why_unresolved(state: State, hosts: Sequence[str], memo: Memo) -> Steps[dict[Why, list[str]]]:
    """The hosts by reason. If several objects have a host, the most hopeful reason counts."""
    found: dict[Why, list[str]] = {}
    if not hosts:
        return found
    documents = memo.stable("documents", list(state.documents.values()))
    named = memo.facts("hosts of documents", _hosts, documents)
    yield
    known = _known(state, documents, memo)
    sources = _Sources(state, memo.made(_by_host, documents, named))
    for number, host in enumerate(hosts):
        if (why := known.get(host)) is None:
            why = known[host] = sources.why(host)
        found.setdefault(why, []).append(host)
        if number % _STEP == 0:
            yield
    return found


def _known(state: State, documents: Sequence[Document], memo: Memo) -> dict[str, Why]:
    """The reasons found before, if nothing that they hang on has changed."""
    inputs: list[object] = [
        memo.stable(name, value)
        for name, value in (
            ("zones", list(state.zones)),
            ("refused", dict(state.refused)),
            ("warnings", dict(state.cluster.warnings)),
            ("settings", state.stacks.settings if state.stacks else None),
        )
    ]
    return memo.depending("reasons", [*inputs, documents, *map(state.cluster.objects_of, _KINDS)], dict[str, Why])


_KINDS: Final[tuple[type[Resource], ...]] = (
    networking.Ingress,
    networking.IngressClass,
    elbv2.IngressClassParams,
    eks.AutoIngressClassParams,
    istio.Gateway,
    istio.VirtualService,
    istio.IstioOperator,
    core.Service,
    core.Namespace,
)


def _hosts(document: Document) -> frozenset[str]:
    if document.resource is None or not document.accepted:
        return frozenset()
    return frozenset(hosts_of(document.resource))


def _by_host(documents: Sequence[Document], hosts: Sequence[frozenset[str]]) -> dict[str, list[Resource]]:
    """The objects that have each host."""
    found: dict[str, list[Resource]] = {}
    for document, named in zip(documents, hosts, strict=True):
        for host in named:
            assert document.resource is not None
            found.setdefault(host, []).append(document.resource)
    return found


class _Sources:
    def __init__(self, state: State, by_host: Mapping[str, Sequence[Resource]]) -> None:
        cluster = state.cluster
        self._state = state
        self._zones = frozenset(state.zones)
        self._fronts = Fronts(cluster.all(networking.Ingress), services(cluster))
        self._objects = Objects(
            classes={each.name: each for each in cluster.all(networking.IngressClass)},
            class_params={each.name: each for each in cluster.all(elbv2.IngressClassParams)},
            auto_params={each.name: each for each in cluster.all(eks.AutoIngressClassParams)},
            namespaces={each.name: each.metadata.labels for each in cluster.all(core.Namespace)},
        )
        self._by_host = by_host
        self._gateways: dict[tuple[str, str], Why] = {}

    def why(self, host: str) -> Why:
        if not self._has_zone(host.removeprefix("*.")):
            return Why(Readiness.UNSERVED, "no hosted zone of the account has it", "hosted zone")
        return _best(self._of_source(source, host) for source in self._by_host.get(host, ()))

    def _has_zone(self, host: str) -> bool:
        while host and host not in self._zones:
            host = host.partition(".")[2]
        return bool(host)

    def _of_source(self, source: Resource, host: str) -> Why:
        if not annotation.handled(source.metadata.annotations):
            return Why(Readiness.UNSERVED, f"{source.key} leaves its records to another controller")
        if source.key in self._state.refused and source.key not in self._state.cluster:
            return Why(Readiness.UNSERVED, self._refusal(source))
        if annotation.items(source.metadata.annotations, "target"):
            return _RECORD
        match source:
            case networking.Ingress():
                return self._of_ingress(source)
            case istio.Gateway():
                return self._of_gateway(source)
            case istio.VirtualService():
                return self._of_virtual_service(source, host)
            case core.Service():
                return self._of_service(source)
            case _:
                return _RECORD

    def _of_virtual_service(self, service: istio.VirtualService, host: str) -> Why:
        return _best(self._through(service, name, host) for name in service.spec.gateways if name != "mesh")

    def _through(self, service: istio.VirtualService, written: str, host: str) -> Why:
        namespace, _, name = gateway_name(written, service.namespace).partition("/")
        gateway = self._state.cluster.get(istio.Gateway, name, namespace)
        if gateway is None:
            return Why(Readiness.UNSERVED, f"Gateway {namespace}/{name} of {service.key} does not exist")
        if not self._fronts.serves(gateway, service.namespace, host):
            return Why(Readiness.UNSERVED, f"no server of {gateway.key} has this host for {service.key}")
        return self._of_gateway(gateway)

    def _of_service(self, service: core.Service) -> Why:
        current = self._state.cluster.get(core.Service, service.name, service.namespace)
        if current is None or current.spec.external_ips or current.status.load_balancer.ingress:
            return _RECORD
        if self._is_ours(current):
            return self._unfinished(current)
        return Why(Readiness.UNSERVED, f"no network load balancer is made for {service.key}")

    def _is_ours(self, service: core.Service) -> bool:
        return is_ours(service, self._state.stacks.settings if self._state.stacks else DEFAULTS)

    def _unfinished(self, owner: Resource) -> Why:
        if warning := self._state.cluster.warnings.get(owner.metadata.uid):
            return Why(Readiness.FAILED, f"the load balancer of {owner.key} is not made: {warning}")
        return Why(Readiness.WAITING, f"the load balancer of {owner.key} is being made")

    def _of_gateway(self, gateway: istio.Gateway) -> Why:
        at = gateway.namespace, gateway.name
        if at not in self._gateways:
            self._gateways[at] = self._behind(gateway)
        return self._gateways[at]

    def _behind(self, gateway: istio.Gateway) -> Why:
        front = self._fronts.of(gateway)
        if front.named is not None:
            ingress = self._fronts.ingress(front.named)
            if ingress is None:
                namespace, name = front.named
                return Why(Readiness.UNSERVED, f"Ingress {namespace}/{name}, named by {gateway.key}, does not exist")
            return self._of_ingress(ingress)
        if not front.services:
            return Why(Readiness.UNSERVED, f"no load balancer: no Service selects the Pods of {gateway.key}")
        if any(service.spec.external_ips or service.status.load_balancer.ingress for service in front.services):
            return _RECORD
        if ours := list(filter(self._is_ours, front.services)):
            return _best((*map(self._of_ingress, front.ingresses), *map(self._unfinished, ours)))
        if not front.ingresses and any(map(may_have_address, front.services)):
            return Why(Readiness.WAITING, "its gateway's Service gets an address", "address")
        if not front.ingresses:
            lost = [each for each in self._refused_ingresses() if self._leads_to(each, front.services)]
            if lost:
                return Why(Readiness.UNSERVED, f"no load balancer: {self._refusal(lost[0])}")
            services = " or ".join(f"{service.namespace}/{service.name}" for service in front.services)
            return Why(Readiness.UNSERVED, f"no load balancer: no Ingress leads to Service {services}")
        return _best(map(self._of_ingress, front.ingresses))

    def _of_ingress(self, ingress: networking.Ingress) -> Why:
        state = self._state
        if ingress.status.load_balancer.ingress:
            return _RECORD
        if ingress.key in state.refused:
            return Why(Readiness.UNSERVED, f"no load balancer: {self._refusal(ingress)}")
        match ownership(ingress, self._objects, state.stacks.settings if state.stacks else DEFAULTS):
            case NotOurs():
                return Why(Readiness.UNSERVED, f"no load balancer: {_class(ingress)}")
            case InvalidClass(message) | InvalidGroup(message):
                return Why(Readiness.UNSERVED, f"no load balancer: {ingress.key}: {message}")
            case Owned():
                return self._unfinished(ingress)
            case never:
                assert_never(never)

    def _refusal(self, resource: Resource) -> str:
        """For an Ingress, the refused object may be another member of its group."""
        fault = self._state.refused[resource.key]
        return f"{fault.subject or resource.key} is refused [{fault.code.id}]"

    def _refused_ingresses(self) -> Iterator[networking.Ingress]:
        for key in self._state.refused:
            document = self._state.documents.get(key)
            if document is not None and isinstance(document.resource, networking.Ingress):
                yield document.resource

    @staticmethod
    def _leads_to(ingress: networking.Ingress, services: Iterable[core.Service]) -> bool:
        named = {(ingress.namespace, name) for name in services_of(ingress)}
        return any((service.namespace, service.name) in named for service in services)


def _best(reasons: Iterable[Why]) -> Why:
    return min(reasons, key=lambda each: _HOPE.index(each.state), default=_RECORD)


def _class(ingress: networking.Ingress) -> str:
    """The owner of an Ingress that does not belong to the AWS Load Balancer Controller."""
    name = ingress.metadata.annotations.get("kubernetes.io/ingress.class") or ingress.spec.ingress_class_name
    if not name:
        return f"{ingress.key} has no class"
    return f"{ingress.key} has the class {name}, which is another controller's"
