"""IngressClasses that controllers' charts create and application repositories do not contain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Object
from lockgate.ingress import auto_mode
from lockgate.ingress.group import CONTROLLER, CONTROLLERS
from lockgate.resources import eks, elbv2, networking
from lockgate.resources.model import JsonObject

ALB: Final = "alb"
"""The class that the AWS Load Balancer Controller's chart creates."""

# The classes of other controllers' charts, with their controller names.
_OTHERS: Final = {
    "nginx": "k8s.io/ingress-nginx",
    "traefik": "traefik.io/ingress-controller",
    "haproxy": "haproxy.org/ingress-controller",
    "kong": "ingress-controllers.konghq.com/kong",
    "istio": "istio.io/ingress-controller",
    "contour": "projectcontour.io/projectcontour/contour",
    "cilium": "cilium.io/ingress-controller",
    "tailscale": "tailscale.com/ts-ingress",
    "cloudflare-tunnel": "strrl.dev/cloudflare-tunnel-ingress-controller",
}


def ingress_classes(objects: Objects) -> Iterator[Object]:
    """Classes with any other name are not supplied: the controller's webhook refuses the Ingress."""
    there = {each.name for each in objects.all(networking.IngressClass)}
    users: dict[str, networking.Ingress] = {}
    for ingress in objects.all(networking.Ingress):
        if (name := ingress.spec.ingress_class_name) and name not in there:
            users.setdefault(name, ingress)
    for name, ingress in users.items():
        named = f"because Ingress {ingress.namespace}/{ingress.name} names it"
        if name == ALB:
            yield _alb(objects, named)
        elif name in _OTHERS:
            why = f"IngressClass {name}: created for {_OTHERS[name]}, which does not run here, {named}"
            yield Object(_class(name, {"controller": _OTHERS[name]}), why)


def _alb(objects: Objects, named: str) -> Object:
    """The parameters with this name decide which controller the class belongs to."""
    of_auto_mode = objects.get(eks.AutoIngressClassParams, "", ALB) is not None
    controller = auto_mode.CONTROLLER if of_auto_mode else CONTROLLER
    spec: JsonObject = {"controller": controller}
    if of_auto_mode or objects.get(elbv2.IngressClassParams, "", ALB) is not None:
        spec["parameters"] = {"apiGroup": CONTROLLERS[controller], "kind": "IngressClassParams", "name": ALB}
    whose = "for EKS Auto Mode" if of_auto_mode else "as the AWS Load Balancer Controller's chart creates it"
    return Object(_class(ALB, spec), f"IngressClass {ALB}: created {whose}, {named}")


def _class(name: str, spec: JsonObject) -> JsonObject:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "labels": {LABEL: "true"}},
        "spec": spec,
    }
