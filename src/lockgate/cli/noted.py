"""What `check` finds, for a `trace`: each finding at the first hop that it concerns.

The two do not know each other. They have a part of a manifest in common: the finding is about it, and it decides the
hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockgate.resources.faults import Origin, Position, Severity

if TYPE_CHECKING:
    from lockgate.edge.edge import Edge
    from lockgate.edge.manifests import Manifests
    from lockgate.trace.model import Hop
    from lockgate.trace.text import Noted

_ANNOTATIONS = ("metadata", "annotations")
_TARGET_GROUP = "target group"
# Parts of the names of annotations that are about target groups. The others are about the load balancer.
_OF_TARGET_GROUPS = ("backend-protocol", "health", "success-codes", "target-", "security-group")


def noted(edge: Edge, manifests: Manifests) -> Noted:
    from lockgate.check.analyzers import ANALYZED
    from lockgate.check.outcome import finding_json, outcome

    left = [
        each
        for each in outcome(edge, manifests).findings
        if each.severity is not Severity.INFO and each.code in ANALYZED
    ]

    def at(hop: Hop) -> list[dict[str, Any]]:
        here = [each for each in left if _concerns(each.fault.origin, hop)]
        for each in here:
            left.remove(each)
        return [finding_json(each) for each in here]

    return at


def _concerns(found: Origin | Position | None, hop: Hop) -> bool:
    places = (hop.where, *(fact.where for fact in hop.facts if not fact.skipped))
    return isinstance(found, Origin) and any(_is_about(found, place, hop.name) for place in places if place)


def _is_about(found: Origin, place: Origin, hop: str) -> bool:
    """Whether a finding is in the part of a manifest that decides a hop, or about a field around it, or an annotation
    that decides it."""
    if found.key != place.key:
        return False
    if found.path[:2] == _ANNOTATIONS and place.path[:2] != _ANNOTATIONS and found.key.kind == "Ingress":
        name = str(found.path[-1]).rpartition("/")[2]
        return (hop == _TARGET_GROUP) == any(part in name for part in _OF_TARGET_GROUPS)
    inner, outer = (found.path, place.path) if len(found.path) > len(place.path) else (place.path, found.path)
    return inner[: len(outer)] == outer and (bool(outer) or not inner)
