"""The hosts that need records, and their targets: from Ingresses, Gateways, VirtualServices and Services.

Source: kubernetes-sigs/external-dns `source/ingress.go`, `istio_gateway.go`, `istio_virtualservice.go`, `service.go`.
Lockgate extends it in one respect: a Gateway whose Service is behind an Ingress gets the Ingress's load balancer as its
target, without the ``…/ingress`` annotation that external-dns requires.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from lockgate.dns.plan import Endpoint
from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.fronts import Fronts
from lockgate.gateway.hosts import gateway_name, server_hosts
from lockgate.resources import core, istio, networking
from lockgate.resources.meta import LoadBalancerStatus
from lockgate.resources.model import Resource


@dataclass(frozen=True, slots=True)
class Objects:
    ingresses: Collection[networking.Ingress]
    gateways: Collection[istio.Gateway]
    virtual_services: Collection[istio.VirtualService]
    services: Collection[core.Service]


def endpoints(objects: Objects) -> tuple[Endpoint, ...]:
    """Endpoints in the order of their resources' names, independent of the order of objects."""
    fronts = Fronts(objects.ingresses, objects.services)
    found = [
        *_of_ingresses(objects.ingresses),
        *_of_gateways(objects.gateways, fronts),
        *_of_virtual_services(objects, fronts),
        *_of_services(objects.services),
    ]
    return tuple(sorted(found, key=lambda endpoint: (endpoint.resource, endpoint.host)))


def _of_ingresses(ingresses: Iterable[networking.Ingress]) -> Iterator[Endpoint]:
    for ingress in ingresses:
        if annotation.handled(ingress.metadata.annotations):
            hosts = annotation.ingress_hosts(ingress)
            yield from _endpoints(ingress, hosts, _own_targets(ingress) or _addresses(ingress))


def _of_gateways(gateways: Iterable[istio.Gateway], fronts: Fronts) -> Iterator[Endpoint]:
    for gateway in gateways:
        if not annotation.handled(gateway.metadata.annotations):
            continue
        hosts = [
            host.host
            for server in gateway.spec.servers
            for host in server_hosts(server.hosts, gateway.namespace)
            if host.host != "*"
        ]
        yield from _endpoints(gateway, [*hosts, *annotation.hostnames(gateway)], _targets(gateway, fronts))


def _of_virtual_services(objects: Objects, fronts: Fronts) -> Iterator[Endpoint]:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in objects.gateways}
    found: dict[str, tuple[str, ...]] = {}

    def targets(gateway: istio.Gateway) -> tuple[str, ...]:
        name = f"{gateway.namespace}/{gateway.name}"
        if name not in found:
            found[name] = _targets(gateway, fronts)
        return found[name]

    for service in objects.virtual_services:
        if not annotation.handled(service.metadata.annotations):
            continue
        names = (gateway_name(name, service.namespace) for name in service.spec.gateways)
        bound = [gateways[name] for name in dict.fromkeys(names) if name in gateways]
        hosts = [*service.spec.hosts, *annotation.hostnames(service)]
        own = _own_targets(service)
        for host in dict.fromkeys(hosts):
            serving = [gateway for gateway in bound if fronts.serves(gateway, service.namespace, host)]
            led = own or tuple(dict.fromkeys(target for each in serving for target in targets(each)))
            if serving:
                yield from _endpoints(service, [host], led)


def _of_services(services: Iterable[core.Service]) -> Iterator[Endpoint]:
    """Those with a load balancer: a node or a Pod of this machine has no public address."""
    for service in services:
        if service.spec.type == "LoadBalancer":
            targets = _own_targets(service) or tuple(_service_addresses(service))
            yield from _endpoints(service, annotation.hostnames(service), targets)


def _targets(gateway: istio.Gateway, fronts: Fronts) -> tuple[str, ...]:
    """The targets in annotations, else those of the load balancer in front of the Gateway's Services."""
    if own := _own_targets(gateway):
        return own
    front = fronts.of(gateway)
    if front.named is not None:
        ingress = fronts.ingress(front.named)
        return _addresses(ingress) if ingress is not None else ()
    found = [address for service in front.services for address in _service_addresses(service)]
    found += [address for ingress in front.ingresses for address in _addresses(ingress)]
    return tuple(dict.fromkeys(found))


def _service_addresses(service: core.Service) -> Iterator[str]:
    yield from service.spec.external_ips
    yield from _status(service.status.load_balancer)


def _addresses(ingress: networking.Ingress) -> tuple[str, ...]:
    return tuple(_status(ingress.status.load_balancer))


def _status(status: LoadBalancerStatus) -> Iterator[str]:
    for entry in status.ingress:
        if address := entry.hostname or entry.ip:
            yield address


def _own_targets(resource: Resource) -> tuple[str, ...]:
    return annotation.items(resource.metadata.annotations, "target")


def _endpoints(resource: Resource, hosts: Iterable[str], targets: tuple[str, ...]) -> Iterator[Endpoint]:
    noted = resource.metadata.annotations
    identifier, policy = annotation.routing(noted)
    for host in dict.fromkeys(host.lower().rstrip(".") for host in hosts):
        if targets and "." in host:
            yield Endpoint(
                host,
                targets,
                f"{resource.KIND.kind.lower()}/{resource.namespace}/{resource.name}",
                ttl=annotation.ttl(noted),
                alias=annotation.value(noted, "alias") != "false",
                evaluate_target_health=annotation.value(noted, "aws-evaluate-target-health") != "false",
                policy=policy,
                set_identifier=identifier,
            )
