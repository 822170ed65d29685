"""Outdated ways to install and annotate, and versions out of support.

Source: istio.io's page "Supported releases" as of August 2026; Kubernetes' documentation of Ingress.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.resources import istio, networking, workloads
from lockgate.resources.codes import guide as codes
from lockgate.resources.faults import Fault, Origin, Remove, Set

CODES = (codes.OUT_OF_SUPPORT, codes.OPERATOR_REMOVED, codes.CLASS_ANNOTATION)

_CLASS: Final = "kubernetes.io/ingress.class"
_ENDED: Final = {17: "October 2023", 27: "April 2026", 28: "July 2026"}
_OLDEST_SUPPORTED: Final = 29
_IMAGE: Final = re.compile(r"(?:^|/)(?:proxyv2|pilot|install-cni|ztunnel):v?(\d+\.\d+[\w.-]*)")


def analyze(edge: Edge) -> Iterator[Fault]:
    for operator in edge.objects.all(istio.IstioOperator):
        yield codes.OPERATOR_REMOVED.at(Origin(operator.key))
        yield from _version(str(operator.spec.tag), Origin(operator.key, ("spec", "tag")))
    for deployment in edge.objects.all(workloads.Deployment):
        containers = deployment.spec.template.spec.get("containers")
        for index, container in enumerate(containers if isinstance(containers, list) else ()):
            image = str(container.get("image", "")) if isinstance(container, dict) else ""
            if (found := _IMAGE.search(image)) is not None:
                path = ("spec", "template", "spec", "containers", index, "image")
                yield from _version(found[1], Origin(deployment.key, path))
    for balancer in edge.application_load_balancers:
        for ingress in members(edge, balancer):
            if (name := ingress.metadata.annotations.get(_CLASS)) is not None:
                yield _class_annotation(edge, ingress, name)


def _class_annotation(edge: Edge, ingress: networking.Ingress, name: str) -> Fault:
    """The field needs an IngressClass; the annotation does not, so only one in the manifests makes it safe to move."""
    origin = Origin(ingress.key, ("metadata", "annotations", _CLASS))
    fault = codes.CLASS_ANNOTATION.at(origin, name=name)
    known = edge.objects.get(networking.IngressClass, "", name)
    if known is None or known.key in edge.supplied or ingress.spec.ingress_class_name:
        return fault
    return fault.fixed_by(Set(Origin(ingress.key, ("spec", "ingressClassName")), name), Remove(origin))


def _version(tag: str, origin: Origin) -> Iterator[Fault]:
    found = re.match(r"v?1\.(\d{1,3})(?:\D|$)", tag)
    if found is not None and int(found[1]) < _OLDEST_SUPPORTED:
        minor = int(found[1])
        later = min((each for each in _ENDED if each >= minor), default=max(_ENDED))
        ended = _ENDED[minor] if minor in _ENDED else f"before {_ENDED[later]}"
        yield codes.OUT_OF_SUPPORT.at(origin, version=tag, ended=ended)
