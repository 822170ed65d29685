"""Content negotiation, by the Accept header."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lockgate.embedded.kubernetes.exchange import NotAcceptable

Shape: TypeAlias = Literal["object", "table", "metadata"]

_SHAPES: dict[str, Shape] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}


def shape(accept: str) -> Shape:
    """The first acceptable form. All are JSON. Raises `NotAcceptable`."""
    if not accept:
        return "object"
    for offer in accept.split(","):
        media, parameters = _parsed(offer)
        if media not in ("application/json", "application/*", "*/*"):
            continue
        requested = parameters.get("as", "")
        if not requested:
            return "object"
        if requested in _SHAPES and parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            return _SHAPES[requested]
    raise NotAcceptable("only the following media types are accepted: application/json")


def prefers_aggregated(accept: str) -> bool:
    """Whether the client prefers an aggregated discovery document."""
    for offer in accept.split(","):
        media, parameters = _parsed(offer)
        if media in ("application/json", "*/*"):
            return parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("v") in ("v2", "v2beta1")
    return False


def _parsed(offer: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (part.strip() for part in offer.split(";"))
    return media.lower(), dict(part.partition("=")[::2] for part in parameters)
