"""The load balancer in front of an Istio Gateway: the Services of its Pods, and the Ingresses for those Services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.objects import Name
from lockgate.gateway.hosts import ServerHost, server_hosts, within
from lockgate.ingress.references import services_of
from lockgate.resources import core, istio, networking


@dataclass(frozen=True, slots=True)
class Front:
    """`named` is the Ingress in the Gateway's annotation; if it is set, the other fields are empty."""

    named: Name | None = None
    services: tuple[core.Service, ...] = ()
    ingresses: tuple[networking.Ingress, ...] = ()


class Fronts:
    """Indexed once, with one cached result per Gateway: thousands of VirtualServices share a few Gateways."""

    def __init__(self, ingresses: Iterable[networking.Ingress], services: Iterable[core.Service]) -> None:
        self._ingresses: dict[Name, networking.Ingress] = {}
        self._by_backend: dict[Name, list[networking.Ingress]] = {}
        for ingress in ingresses:
            self._ingresses[ingress.namespace, ingress.name] = ingress
            for name in services_of(ingress):
                self._by_backend.setdefault((ingress.namespace, name), []).append(ingress)
        self._by_label: dict[tuple[str, str], list[core.Service]] = {}
        for service in services:
            for label in service.spec.selector.items():
                self._by_label.setdefault(label, []).append(service)
        self._answers: dict[Name, Front] = {}
        self._served: dict[Name, ServedHosts] = {}

    def ingress(self, name: Name) -> networking.Ingress | None:
        return self._ingresses.get(name)

    def of(self, gateway: istio.Gateway) -> Front:
        at = gateway.namespace, gateway.name
        if at not in self._answers:
            self._answers[at] = self._find(gateway)
        return self._answers[at]

    def serves(self, gateway: istio.Gateway, namespace: str, host: str) -> bool:
        """Whether a server of the Gateway has the host, for VirtualServices of the namespace."""
        at = gateway.namespace, gateway.name
        if at not in self._served:
            self._served[at] = ServedHosts.of(gateway)
        return self._served[at].has(host.lower(), namespace)

    def _find(self, gateway: istio.Gateway) -> Front:
        if named := annotation.value(gateway.metadata.annotations, "ingress"):
            namespace, slash, name = named.rpartition("/")
            return Front(named=(namespace if slash else gateway.namespace, name))
        services = tuple(self._selecting(gateway.spec.selector))
        leading = {
            (ingress.namespace, ingress.name): ingress
            for service in services
            for ingress in self._by_backend.get((service.namespace, service.name), ())
        }
        return Front(services=services, ingresses=tuple(leading.values()))

    def _selecting(self, selector: Mapping[str, str]) -> Iterator[core.Service]:
        """The Services whose selector is a subset of the Gateway's selector."""
        candidates = min((self._by_label.get(label, []) for label in selector.items()), key=len, default=[])
        return (service for service in candidates if selector.items() <= service.spec.selector.items())


@dataclass(frozen=True, slots=True)
class ServedHosts:
    """The hosts of a Gateway's servers, with the namespaces that may use them ("" means all)."""

    exact: Mapping[str, frozenset[str]]
    wildcards: tuple[ServerHost, ...]

    @staticmethod
    def of(gateway: istio.Gateway) -> ServedHosts:
        every = [host for server in gateway.spec.servers for host in server_hosts(server.hosts, gateway.namespace)]
        exact: dict[str, set[str]] = {}
        for each in every:
            exact.setdefault(each.host, set()).add(each.namespace)
        wildcards = dict.fromkeys(each for each in every if each.host.startswith("*"))
        return ServedHosts({host: frozenset(among) for host, among in exact.items()}, tuple(wildcards))

    def has(self, host: str, namespace: str) -> bool:
        if self.exact.get(host, frozenset()) & {"", namespace}:
            return True
        return any(each.namespace in ("", namespace) and within(host, each.host) for each in self.wildcards)
