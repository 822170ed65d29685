"""Which Services this controller makes a load balancer for.

Source: aws-load-balancer-controller `pkg/service/service_utils.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lockgate.ingress.annotations import services as a
from lockgate.ingress.world import Settings
from lockgate.resources import core
from lockgate.resources.model import JsonObject, Resource

FINALIZER: Final = "service.k8s.aws/resources"
_WEBHOOK: Final = "mservice.elbv2.k8s.aws"


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


def calls_webhook(configurations: Iterable[JsonObject]) -> bool:
    """Whether a MutatingWebhookConfiguration, as the controller's chart brings it, has the webhook of new Services."""
    lists = (each.get("webhooks") for each in configurations)
    webhooks = [each for one in lists if isinstance(one, list) for each in one]
    return any(isinstance(each, dict) and each.get("name") == _WEBHOOK for each in webhooks)


def needs_class(spec_type: Any, spec_class: Any) -> bool:
    """Whether that webhook gives the Service this controller's class."""
    return spec_type == "LoadBalancer" and not spec_class


def with_class(resource: Resource, name: str) -> Resource:
    """A new Service as that webhook leaves it; other resources as they are."""
    if not isinstance(resource, core.Service):
        return resource
    spec = resource.spec
    if not needs_class(spec.type, spec.load_balancer_class):
        return resource
    return resource.model_copy(update={"spec": spec.model_copy(update={"load_balancer_class": name})})


def has_resources(service: core.Service) -> bool:
    """Whether the controller made resources for the Service, which it deletes first."""
    return FINALIZER in service.metadata.finalizers
