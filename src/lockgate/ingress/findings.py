"""What a user should know of an Ingress though the controller itself says nothing, by code."""

from __future__ import annotations

from difflib import get_close_matches
from re import sub
from typing import Final

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import PREFIX, AnyAnnotation
from lockgate.ingress.refusal import Refused
from lockgate.ingress.world import Locate, Settings
from lockgate.resources.codes import define
from lockgate.resources.finding import Finding, Severity
from lockgate.resources.model import Resource

UNKNOWN_ANNOTATION: Final = define(
    "LG1101",
    Severity.WARNING,
    "Unknown ALB annotation",
    "The AWS Load Balancer Controller ignores annotations that it does not know, and says nothing.",
)
NOT_BUILT: Final = define(
    "LG1102",
    Severity.ERROR,
    "Load balancer not built",
    "One faulty Ingress stops its whole group: the load balancer stays as it was, for every member.",
)
WITHOUT_EFFECT: Final = define(
    "LG1103",
    Severity.INFO,
    "Annotation without effect here",
    "The setting is read as the controller reads it, and passed on or left out; locally nothing follows from it.",
)
LEFT_OPEN: Final = define(
    "LG1104",
    Severity.INFO,
    "Decided on AWS or in the cluster",
    "Manifests alone do not say it: the controller looks at the account or the cluster to choose.",
)
CLASS_NOT_RESOLVED: Final = define(
    "LG1105",
    Severity.WARNING,
    "Ingress class does not resolve",
    "The controller passes over an Ingress whose class it cannot load.",
)
GROUP_NOT_VALID: Final = define(
    "LG1106",
    Severity.ERROR,
    "Group name not valid",
    "An Ingress whose group has no valid name is on no load balancer.",
)
NO_BACKEND: Final = define(
    "LG1107",
    Severity.WARNING,
    "Backend does not exist",
    "The rule answers 503 until the Service or the action is there.",
)
UNMAPPED: Final = define(
    "LG1110",
    Severity.WARNING,
    "Mapped port leads nowhere",
    "A port of frontend-nlb-listener-port-mapping that is none of the Ingress's own is passed over without a word.",
)
KEEPS_ITS_NAME: Final = define(
    "LG1111",
    Severity.WARNING,
    "Load balancer keeps its name",
    "The controller compares everything but the name: only a load balancer that is made anew gets another one.",
)
HOPELESS_CHECK: Final = define(
    "LG1112",
    Severity.WARNING,
    "Health check that cannot pass",
    "A load balancer is the only target of what is in front of it, and gets all traffic; its health says unhealthy.",
)


def unknown_annotations(resource: Resource, locate: Locate) -> list[Finding]:
    """A warning for each annotation with the controller's prefix that it never reads, naming the nearest it does."""
    found = []
    for key in resource.metadata.annotations:
        if key.startswith(PREFIX) and spec_of(name := key.removeprefix(PREFIX)) is None:
            near = nearest(name)
            found.append(
                UNKNOWN_ANNOTATION.finding(
                    f"the AWS Load Balancer Controller knows no annotation {key} and ignores it",
                    locate(resource.key, ("metadata", "annotations", key)),
                    mend=f"did you mean {PREFIX}{near}?"
                    if near
                    else "docs/reference/annotations.md has those it reads",
                    subject=str(resource.key),
                )
            )
    return found


def annotations_without_effect(resource: Resource, locate: Locate, settings: Settings) -> list[Finding]:
    """What is told of annotations that Lockgate reads and leaves out or passes on without effect."""
    found = []
    for key in resource.metadata.annotations:
        spec = spec_of(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
        if spec in (a.CREATE_ACM_CERT, a.ACM_PCA_ARN) and "EnableCertificateManagement" in settings.gates:
            continue
        if spec is not None and spec.limits:
            place = locate(resource.key, ("metadata", "annotations", key))
            message = f"{key}: {spec.limits}"
            found.append(WITHOUT_EFFECT.finding(message, place, subject=str(resource.key)))
    return found


def refused(refusal: Refused, locate: Locate) -> Finding:
    """A group that cannot be built, in the controller's words."""
    place = locate(refusal.subject, refusal.path) if refusal.subject else None
    subject = str(refusal.subject) if refusal.subject else ""
    return NOT_BUILT.finding(f"Failed build model due to {refusal.message}", place, subject=subject)


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
