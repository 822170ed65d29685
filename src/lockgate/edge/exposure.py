"""Gateways that are reached without a load balancer of this edge, by an address of their Service.

On AWS, a Service of type LoadBalancer that the AWS Load Balancer Controller leaves alone has a load balancer of the
in-tree provider, which forwards connections unchanged. So an address of this machine can replace it, unless it ends TLS
or adds the PROXY protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from lockgate.edge.objects import Name, Objects
from lockgate.edge.workloads import GatewayWorkload, gateway_workloads
from lockgate.ingress.manifests import DEFAULTS
from lockgate.ingress.references import services_of
from lockgate.ingress.services.ownership import is_ours
from lockgate.resources import core, istio, networking
from lockgate.resources.meta import LoadBalancerIngress, LoadBalancerStatus
from lockgate.resources.model import Resource

_CHANGES_BYTES: Final = (
    "service.beta.kubernetes.io/aws-load-balancer-ssl-cert",
    "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol",
    "service.beta.kubernetes.io/aws-load-balancer-backend-protocol",
)


def exposed(resources: Objects | Iterable[Resource]) -> frozenset[Name]:
    """The gateways' Services that get an address."""
    objects = resources if isinstance(resources, Objects) else Objects(resources)
    workloads = gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway))
    fronted = led_to(objects.all(networking.Ingress))
    services = [each for each in objects.all(core.Service) if may_have_address(each)] if workloads else ()
    return frozenset((each.namespace, each.name) for each in services if is_exposed(each, workloads, fronted))


def reached(resources: Objects | Iterable[Resource]) -> frozenset[Name]:
    """The Services that get an address or a load balancer."""
    objects = resources if isinstance(resources, Objects) else Objects(resources)
    ours = ((each.namespace, each.name) for each in objects.all(core.Service) if is_ours(each, DEFAULTS))
    return exposed(objects) | frozenset(ours)


def addresses(objects: Objects) -> dict[Name, str]:
    """The addresses of gateways' Services."""
    return {name: address(number) for number, name in enumerate(sorted(exposed(objects)))}


def address(number: int) -> str:
    """This machine's address with this number, from 0. Load balancers have addresses from 127.0.0.1."""
    return f"127.1.{number // 254}.{number % 254 + 1}"


def addressed(service: core.Service, ip: str) -> core.Service:
    """The Service with an address in its status."""
    status = LoadBalancerStatus(ingress=(LoadBalancerIngress(ip=ip),))
    return service.model_copy(update={"status": service.status.model_copy(update={"load_balancer": status})})


def led_to(ingresses: Iterable[networking.Ingress]) -> frozenset[Name]:
    """The Services that Ingresses forward to."""
    return frozenset((ingress.namespace, name) for ingress in ingresses for name in services_of(ingress))


def is_exposed(service: core.Service, workloads: Iterable[GatewayWorkload], fronted: Collection[Name]) -> bool:
    """Whether the Service is a gateway's and gets an address. `fronted` are the Services behind Ingresses."""
    return (
        may_have_address(service)
        and (service.namespace, service.name) not in fronted
        and any(workload.serves(service) for workload in workloads)
    )


def may_have_address(service: core.Service) -> bool:
    """Whether an address can replace the Service's load balancer."""
    if service.spec.type != "LoadBalancer" or is_ours(service, DEFAULTS):
        return False
    return not any(name in service.metadata.annotations for name in _CHANGES_BYTES)
