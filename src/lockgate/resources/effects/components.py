"""The cluster components that Lockgate replaces, recognised by their images and webhooks.

Manifests that install such a component have an effect although they do not run: for example the Deployment of the AWS
Load Balancer Controller, or cert-manager's webhook configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lockgate.resources.model import JsonObject

COMPONENTS = {
    "the AWS Load Balancer Controller": ("aws-load-balancer-controller",),
    "cert-manager": (
        "cert-manager-controller",
        "cert-manager-webhook",
        "cert-manager-cainjector",
        "cert-manager-acmesolver",
        "cert-manager-startupapicheck",
        "cert-manager-ctl",
    ),
    "istiod and its gateways": ("pilot", "proxyv2", "install-cni", "ztunnel", "operator"),
    "external-dns": ("external-dns",),
    "Reflector": ("kubernetes-reflector",),
}
_IMAGES = frozenset(image for images in COMPONENTS.values() for image in images)
WEBHOOKS = {
    "aws-load-balancer-controller": ".elbv2.k8s.aws",
    "cert-manager": ".cert-manager.io",
    "istiod": ".istio.io",
}
"""Endings of the names of these components' webhooks. The API has their checks itself, and does not call them."""


def is_component(workload: JsonObject) -> bool:
    """Whether a workload runs one of the components, recognised by its image from any registry."""
    return any(_image(container) in _IMAGES for container in _containers(workload)) or _is_injected(workload)


def runs_an_application(workload: JsonObject) -> bool:
    return not is_component(workload)


def calls_another_webhook(configuration: JsonObject) -> bool:
    """Whether a webhook configuration has a webhook of another component."""
    webhooks = configuration.get("webhooks")
    names = [
        str(webhook.get("name", ""))
        for webhook in (webhooks if isinstance(webhooks, list) else ())
        if isinstance(webhook, dict)
    ]
    return any(not name.endswith(tuple(WEBHOOKS.values())) for name in names)


def _containers(workload: JsonObject) -> Iterator[JsonObject]:
    spec = _object(workload, "spec")
    for pod in (spec, _object(_object(spec, "template"), "spec"), _job(spec)):
        containers = pod.get("containers")
        for container in containers if isinstance(containers, list) else ():
            if isinstance(container, dict):
                yield container


def _job(spec: JsonObject) -> JsonObject:
    """The Pod of a CronJob's Job."""
    job = _object(_object(spec, "jobTemplate"), "spec")
    return _object(_object(job, "template"), "spec")


def _image(container: JsonObject) -> str:
    return str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]


def _is_injected(workload: JsonObject) -> bool:
    """Istio's gateway charts leave the image to injection: it is `auto` until istiod's webhook sets it."""
    return any(container.get("image") == "auto" for container in _containers(workload))


def _object(value: JsonObject, name: str) -> JsonObject:
    found: Any = value.get(name)
    return found if isinstance(found, dict) else {}
