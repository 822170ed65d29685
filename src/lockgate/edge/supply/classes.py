"""IngressClasses that come with a controller's chart, and are in no application's repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Object
from lockgate.ingress.group import CONTROLLER
from lockgate.resources.kinds import Ingress, IngressClass

ALB: Final = "alb"
"""The class that the AWS Load Balancer Controller's chart makes."""

# Those that the charts of other controllers make, with their controllers' names.
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
    """A class of any other name is left to the controller's webhook, which refuses the Ingress."""
    there = {each.name for each in objects.all(IngressClass)}
    users: dict[str, Ingress] = {}
    for ingress in objects.all(Ingress):
        if (name := ingress.spec.ingress_class_name) and name not in there:
            users.setdefault(name, ingress)
    for name, ingress in users.items():
        if name == ALB or name in _OTHERS:
            named = f"because Ingress {ingress.namespace}/{ingress.name} names it"
            what = "as the AWS Load Balancer Controller's chart creates it"
            if name != ALB:
                what = f"for {_OTHERS[name]}, which does not run here"
            yield Object(_class(name, _OTHERS.get(name, CONTROLLER)), f"IngressClass {name}: created {what}, {named}")


def _class(name: str, controller: str) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "labels": {LABEL: "true"}},
        "spec": {"controller": controller},
    }
