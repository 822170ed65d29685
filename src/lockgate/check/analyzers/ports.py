"""The ports that an Ingress listens on, where they are not what a browser expects."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.listeners import parse_listen_ports
from lockgate.ingress.refusal import Refused
from lockgate.resources import networking
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.HTTP_ON_443, codes.HTTPS_ALONE)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        ports = {listener.port for listener in balancer.listeners}
        for ingress in members(edge, balancer):
            if _listens(ingress).get(443) == "HTTP":
                yield codes.HTTP_ON_443.at(Origin(ingress.key, a.LISTEN_PORTS.path()))
            annotations = ingress.metadata.annotations
            if a.CERTIFICATE_ARN.key in annotations and a.LISTEN_PORTS.key not in annotations and ports == {443}:
                yield codes.HTTPS_ALONE.at(Origin(ingress.key, a.CERTIFICATE_ARN.path()))


def _listens(ingress: networking.Ingress) -> dict[int, str]:
    try:
        return dict(a.LISTEN_PORTS.parse(parse_listen_ports, ingress) or {})
    except Refused:
        return {}
