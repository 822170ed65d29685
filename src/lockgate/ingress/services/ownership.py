"""Which Services this controller makes a load balancer for.

Source: aws-load-balancer-controller `pkg/service/service_utils.go`.
"""

from __future__ import annotations

from typing import Final

from lockgate.ingress.annotations import services as a
from lockgate.ingress.world import Settings
from lockgate.resources import core

FINALIZER: Final = "service.k8s.aws/resources"


def is_ours(service: core.Service, settings: Settings) -> bool:
    """Its class decides. Without a class, its annotations do. Its type does not, unless a gate says so."""
    if settings.watch_namespace not in ("", service.namespace) or "EnableServiceController" not in settings.gates:
        return False
    if "ServiceTypeLoadBalancerOnly" in settings.gates and service.spec.type != "LoadBalancer":
        return False
    if service.spec.load_balancer_class is not None:
        return service.spec.load_balancer_class == settings.load_balancer_class
    noted = service.metadata.annotations
    match noted.get(a.TYPE.key):
        case "nlb-ip":
            return True
        case "external":
            return noted.get(a.TARGET_TYPE.key) in a.TARGET_TYPE.values
        case _:
            return False


def has_resources(service: core.Service) -> bool:
    """Whether the controller made resources for the Service, which it deletes first."""
    return FINALIZER in service.metadata.finalizers
