"""The hosts that need records, and their targets: from Ingresses, Gateways, VirtualServices and Services.

Source: kubernetes-sigs/external-dns `source/ingress.go`, `istio_gateway.go`, `istio_virtualservice.go`, `service.go`.
Lockgate extends it in one respect: a Gateway whose Service is behind an Ingress gets the Ingress's load balancer as its
target, without the ``…/ingress`` annotation that external-dns requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from lockgate.dns.plan import Endpoint
from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.fronts import Fronts, ServedHosts
from lockgate.edge.objects import Objects
from lockgate.gateway.hosts import gateway_name, server_hosts
from lockgate.resources import core, istio, networking
from lockgate.resources.memo import Memo
from lockgate.resources.meta import LoadBalancerStatus
from lockgate.resources.model import Resource


def endpoints(objects: Objects, memo: Memo | None = None) -> Sequence[Endpoint]:
    """Endpoints in the order of their resources' names, independent of the order of objects.

    With the same `memo`, the list stays the same object while no endpoint changes.
    """
    memo = memo or Memo()
    memo.turn()
    views = [objects.view(kind) for kind in (networking.Ingress, istio.Gateway, core.Service)]
    of_gateways, serving = memo.depending("gateways", views, lambda: _gateways(objects))
    return memo.made(
        _in_order,
        memo.facts("endpoints of Ingresses", _of_ingress, objects.all(networking.Ingress)),
        memo.stable("endpoints of Gateways", of_gateways),
        memo.facts(
            "endpoints of VirtualServices",
            _of_virtual_service,
            objects.all(istio.VirtualService),
            memo.stable("serving", serving),
        ),
        memo.facts("endpoints of Services", _of_service, objects.all(core.Service)),
    )


def _in_order(*found: Sequence[tuple[Endpoint, ...]]) -> list[Endpoint]:
    every = chain.from_iterable(chain.from_iterable(found))
    return sorted(every, key=lambda endpoint: (endpoint.resource, endpoint.host))


def _of_ingress(ingress: networking.Ingress) -> tuple[Endpoint, ...]:
    if not annotation.handled(ingress.metadata.annotations):
        return ()
    hosts = annotation.ingress_hosts(ingress)
    return tuple(_endpoints(ingress, hosts, _own_targets(ingress) or _addresses(ingress)))


@dataclass(frozen=True, slots=True)
class _Serving:
    """What VirtualServices need to know of a Gateway."""

    hosts: ServedHosts
    targets: tuple[str, ...]


def _gateways(objects: Objects) -> tuple[list[tuple[Endpoint, ...]], dict[str, _Serving]]:
    """The endpoints of Gateways, and what they serve, by name."""
    fronts = Fronts(objects.all(networking.Ingress), objects.all(core.Service))
    found: list[tuple[Endpoint, ...]] = []
    serving: dict[str, _Serving] = {}
    for gateway in objects.all(istio.Gateway):
        targets = _targets(gateway, fronts)
        serving[f"{gateway.namespace}/{gateway.name}"] = _Serving(ServedHosts.of(gateway), targets)
        if annotation.handled(gateway.metadata.annotations):
            own = (host for server in gateway.spec.servers for host in server_hosts(server.hosts, gateway.namespace))
            hosts = [host.host for host in own if host.host != "*"]
            found.append(tuple(_endpoints(gateway, [*hosts, *annotation.hostnames(gateway)], targets)))
    return found, serving


def _of_virtual_service(service: istio.VirtualService, gateways: Mapping[str, _Serving]) -> tuple[Endpoint, ...]:
    if not annotation.handled(service.metadata.annotations):
        return ()
    names = (gateway_name(name, service.namespace) for name in service.spec.gateways)
    bound = [gateways[name] for name in dict.fromkeys(names) if name in gateways]
    own = _own_targets(service)
    found: list[Endpoint] = []
    for host in dict.fromkeys((*service.spec.hosts, *annotation.hostnames(service))):
        serving = [each for each in bound if each.hosts.has(host.lower(), service.namespace)]
        led = own or tuple(dict.fromkeys(target for each in serving for target in each.targets))
        if serving:
            found += _endpoints(service, [host], led)
    return tuple(found)


def _of_service(service: core.Service) -> tuple[Endpoint, ...]:
    """Those of a load balancer: a node or a Pod of this machine has no public address."""
    if service.spec.type != "LoadBalancer":
        return ()
    targets = _own_targets(service) or tuple(_service_addresses(service))
    return tuple(_endpoints(service, annotation.hostnames(service), targets))


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
