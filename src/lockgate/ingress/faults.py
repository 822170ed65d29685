"""Faults of an Ingress that the controller itself does not report."""

from __future__ import annotations

from difflib import get_close_matches
from re import sub
from typing import Final

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import PREFIX, AnyAnnotation
from lockgate.ingress.refusal import Refused
from lockgate.ingress.world import Settings
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import Resource


def unknown_annotations(resource: Resource) -> list[Fault]:
    """A warning for each unknown annotation with the controller's prefix, with the nearest valid name."""
    found = []
    for key in resource.metadata.annotations:
        if key.startswith(PREFIX) and spec_of(name := key.removeprefix(PREFIX)) is None:
            origin = Origin(resource.key, ("metadata", "annotations", key))
            if near := nearest(name):
                found.append(codes.MISSPELT_ANNOTATION.at(origin, annotation=key, near=PREFIX + near))
            else:
                found.append(codes.UNKNOWN_ANNOTATION.at(origin, annotation=key))
    return found


def annotations_without_effect(resource: Resource, settings: Settings) -> list[Fault]:
    """Reports annotations that Lockgate reads but ignores, or passes on without effect."""
    found = []
    for key in resource.metadata.annotations:
        spec = spec_of(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
        if spec in (a.CREATE_ACM_CERT, a.ACM_PCA_ARN) and "EnableCertificateManagement" in settings.gates:
            continue
        if spec is not None and spec.limits:
            origin = Origin(resource.key, ("metadata", "annotations", key))
            found.append(codes.WITHOUT_EFFECT.at(origin, annotation=key, limits=spec.limits))
    return found


def refused(refusal: Refused) -> Fault:
    """The fault for a group that cannot be built, in the controller's words."""
    if refusal.fix:
        return codes.NOT_BUILT_WITH_FIX.at(refusal.origin, refusal=refusal.message, fix=refusal.fix)
    return codes.NOT_BUILT.at(refusal.origin, refusal=refusal.message)


def spec_of(name: str) -> AnyAnnotation | None:
    """The registry's entry for an annotation's name without prefix."""
    if (spec := a.REGISTRY.get(name)) is not None:
        return None if "{" in name else spec
    return next((family for family in _FAMILIES if name.startswith(family.stem) and name != family.stem), None)


def nearest(name: str) -> str:
    """The valid name that was probably meant, or "". camelCase is a frequent mistake: ``listenPorts``."""
    kebab = sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower().replace("_", "-")
    stem, dot, _suffix = kebab.partition(".")
    plain = [known for known in a.REGISTRY if "{" not in known]
    if dot and (stems := get_close_matches(stem + ".", [family.stem for family in _FAMILIES], 1, 0.75)):
        return stems[0] + name.partition(".")[2]
    close = get_close_matches(kebab, plain, 1, 0.6)
    return close[0] if close else ""


_FAMILIES: Final = tuple(spec for spec in a.REGISTRY.values() if "{" in spec.name)
