"""What a user should know of an Ingress though the controller itself says nothing, by code."""

from __future__ import annotations

from difflib import get_close_matches
from re import sub
from typing import Final

from lockgate.loadbalancer import annotations as a
from lockgate.loadbalancer.annotations_spec import PREFIX, AnyAnnotation
from lockgate.loadbalancer.ingress.world import Locate
from lockgate.loadbalancer.refusal import Refused
from lockgate.resources.finding import Finding, Severity
from lockgate.resources.model import Resource

UNKNOWN_ANNOTATION: Final = "LG0401"
NOT_BUILT: Final = "LG0402"
WITHOUT_EFFECT: Final = "LG0403"
LEFT_OPEN: Final = "LG0404"
NOT_OWNED: Final = "LG0405"


def unknown_annotations(resource: Resource, locate: Locate) -> list[Finding]:
    """A warning for each annotation with the controller's prefix that it never reads, naming the nearest it does."""
    found = []
    for key in resource.metadata.annotations:
        if key.startswith(PREFIX) and spec_of(name := key.removeprefix(PREFIX)) is None:
            near = nearest(name)
            found.append(
                Finding(
                    UNKNOWN_ANNOTATION,
                    Severity.WARNING,
                    f"the AWS Load Balancer Controller knows no annotation {key} and ignores it",
                    locate(resource.key, ("metadata", "annotations", key)),
                    f"did you mean {PREFIX}{near}?" if near else "see docs/reference/annotations.md for those it reads",
                    str(resource.key),
                )
            )
    return found


def annotations_without_effect(resource: Resource, locate: Locate) -> list[Finding]:
    """What is told of annotations that Lockgate reads and leaves out or passes on without effect."""
    found = []
    for key in resource.metadata.annotations:
        spec = spec_of(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
        if spec is not None and spec.limits:
            place = locate(resource.key, ("metadata", "annotations", key))
            message = f"{key}: {spec.limits}"
            found.append(Finding(WITHOUT_EFFECT, Severity.INFO, message, place, subject=str(resource.key)))
    return found


def refused(refusal: Refused, locate: Locate) -> Finding:
    """A group that cannot be built, in the controller's words."""
    place = locate(refusal.subject, refusal.path) if refusal.subject else None
    subject = str(refusal.subject) if refusal.subject else ""
    return Finding(NOT_BUILT, Severity.ERROR, f"Failed build model due to {refusal.message}", place, subject=subject)


def spec_of(name: str) -> AnyAnnotation | None:
    """The registry's entry for an annotation's name without its prefix."""
    if (spec := a.REGISTRY.get(name)) is not None:
        return None if "{" in name else spec
    return next((family for family in _FAMILIES if name.startswith(family.stem) and name != family.stem), None)


def nearest(name: str) -> str:
    """The known name that was probably meant, "" for none. camelCase is an old habit: ``listenPorts``."""
    kebab = sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower().replace("_", "-")
    stem, dot, _suffix = kebab.partition(".")
    plain = [known for known in a.REGISTRY if "{" not in known]
    if dot and (stems := get_close_matches(stem + ".", [family.stem for family in _FAMILIES], 1, 0.75)):
        return stems[0] + name.partition(".")[2]
    close = get_close_matches(kebab, plain, 1, 0.6)
    return close[0] if close else ""


_FAMILIES: Final = tuple(spec for spec in a.REGISTRY.values() if "{" in spec.name)
