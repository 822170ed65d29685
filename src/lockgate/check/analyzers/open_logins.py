"""Authenticate actions that let unauthenticated requests through."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources import core, networking
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.LOGIN_ALLOWS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in (*edge.objects.all(networking.Ingress), *edge.objects.all(core.Service)):
        annotations = each.metadata.annotations
        asked = annotations.get(a.AUTH_TYPE.key) in ("oidc", "cognito")
        if asked and annotations.get(a.AUTH_ON_UNAUTHENTICATED_REQUEST.key) == "allow":
            yield codes.LOGIN_ALLOWS.at(Origin(each.key, a.AUTH_ON_UNAUTHENTICATED_REQUEST.path()))
