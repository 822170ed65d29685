"""Default actions that redirect a request to where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.loadbalancer.model import Listener, Redirect
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.REDIRECT_TO_ITSELF,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            action = listener.default_actions[-1]
            if isinstance(action, Redirect) and _leads_back(listener, action):
                having = (each for each in members(edge, balancer) if each.spec.default_backend is not None)
                ingress = next(having, None)
                origin = Origin(ingress.key, ("spec", "defaultBackend")) if ingress else listener.origin
                yield codes.REDIRECT_TO_ITSELF.at(origin, port=listener.port, balancer=balancer.name)


def _leads_back(listener: Listener, redirect: Redirect) -> bool:
    return (
        redirect.protocol in ("#{protocol}", listener.protocol)
        and redirect.port in ("#{port}", str(listener.port))
        and (redirect.host, redirect.path, redirect.query) == ("#{host}", "/#{path}", "#{query}")
    )
