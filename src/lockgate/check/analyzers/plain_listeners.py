"""HTTP listeners that forward: in clear text over the internet, or without the authentication of HTTPS listeners."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import forwards, members, written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources import networking
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.PLAIN_LISTENER, codes.LOGIN_ON_PLAIN_LISTENER)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            if listener.protocol != "HTTP":
                continue
            rules = [rule for rule, _ in forwards(balancer, listener.port)]
            if rules and balancer.scheme == "internet-facing":
                origin = written(edge, balancer, a.LISTEN_PORTS)
                yield codes.PLAIN_LISTENER.at(origin, port=listener.port, balancer=balancer.name)
            forwarding = {rule.origin.key for rule in rules if rule and rule.origin}
            for ingress in members(edge, balancer):
                if ingress.key in forwarding and (asked := _authentication(ingress)) is not None:
                    path, what = asked
                    yield codes.LOGIN_ON_PLAIN_LISTENER.at(
                        Origin(ingress.key, path), port=listener.port, balancer=balancer.name, what=what
                    )


def _authentication(ingress: networking.Ingress) -> tuple[tuple[str, str, str], str] | None:
    """The annotation that asks for authentication, and what it asks for."""
    annotations = ingress.metadata.annotations
    if annotations.get(a.AUTH_TYPE.key, "none") != "none":
        return a.AUTH_TYPE.path(), "a login"
    if a.JWT_VALIDATION.key in annotations:
        return a.JWT_VALIDATION.path(), "a valid token"
    return None
