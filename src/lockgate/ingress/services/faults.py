"""Faults of a Service's annotations that the controller itself does not report."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from lockgate.ingress.annotations.services import SERVICES
from lockgate.ingress.annotations.spec import SERVICE_PREFIX, AnyAnnotation
from lockgate.resources import core
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin

_STEM: Final = "aws-load-balancer-"


def annotation_faults(service: core.Service) -> Iterator[Fault]:
    """Unknown annotations with the controller's prefix, with the nearest valid name, and those without effect."""
    for key in service.metadata.annotations:
        name = key.removeprefix(SERVICE_PREFIX)
        if name == key:
            continue
        origin = Origin(service.key, ("metadata", "annotations", key))
        spec = spec_of(name)
        if spec is not None:
            if spec.limits:
                yield codes.WITHOUT_EFFECT.at(origin, annotation=key, limits=spec.limits)
        elif name.startswith(_STEM) or _nearest(name):
            if near := _nearest(name):
                yield codes.MISSPELT_ANNOTATION.at(origin, annotation=key, near=SERVICE_PREFIX + near)
            else:
                yield codes.UNKNOWN_ANNOTATION.at(origin, annotation=key)


def spec_of(name: str) -> AnyAnnotation | None:
    """The registry's entry for an annotation's name without prefix."""
    if (spec := SERVICES.get(name)) is not None:
        return None if "{" in name else spec
    return next((family for family in _FAMILIES if name.startswith(family.stem) and name != family.stem), None)


def _nearest(name: str) -> str:
    close = get_close_matches(name.lower().replace("_", "-"), [each for each in SERVICES if "{" not in each], 1, 0.85)
    return close[0] if close else ""


_FAMILIES: Final = tuple(spec for spec in SERVICES.values() if "{" in spec.name)
