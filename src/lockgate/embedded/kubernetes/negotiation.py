"""Content negotiation, by the Accept header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lockgate.embedded.kubernetes.exchange import NotAcceptable

Shape: TypeAlias = Literal["object", "table", "metadata"]
Media: TypeAlias = Literal["json", "yaml", "protobuf"]

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
YAML: Final = "application/yaml"
OPENAPI_V2: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OPENAPI_V2 = {
    "application/json": "application/json",
    OPENAPI_V2: OPENAPI_V2,
    # How clients ask for it. Go refuses an answer with this type.
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": OPENAPI_V2,
}
_SHAPES: dict[str, Shape] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
_MEDIA: dict[str, Media] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    YAML: "yaml",
    PROTOBUF: "protobuf",
}


@dataclass(frozen=True, slots=True)
class Acceptable:
    """What a client accepts. A Table is never protobuf. `kind` is the requested form, such as PartialObjectMetadata."""

    media: Media = "json"
    shape: Shape = "object"
    kind: str = ""


def acceptable(accept: str, *, has_protobuf: bool = True) -> Acceptable:
    """The form that the client prefers. Objects of users' kinds have no protobuf form: a client that offers JSON, too,
    gets that (`StandardSerializers` in apiextensions-apiserver's `customresource_handler.go`). Raises `NotAcceptable`.
    """
    if not accept:
        return Acceptable()
    for media_type, parameters in _offers(accept):
        media = _MEDIA.get(media_type)
        shape: Shape | None = "object"
        if requested := parameters.get("as", ""):
            known = parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1"
            shape = _SHAPES.get(requested) if known else None
        if media is None or shape is None or (media, shape) == ("protobuf", "table"):
            continue
        if (media, shape) == ("protobuf", "object") and not has_protobuf:
            continue
        return Acceptable(media, shape, requested)
    raise NotAcceptable(f"only the following media types are accepted: application/json, {YAML}, {PROTOBUF}")


def prefers_aggregated(accept: str) -> bool:
    """Whether the client prefers an aggregated discovery document. Version v2beta1 is no longer served: kubectl before
    1.30 gets the other documents."""
    for media, parameters in _offers(accept):
        if media in ("application/json", "application/*", "*/*"):
            asked = tuple(parameters.get(name) for name in ("g", "v", "as"))
            if asked == ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"):
                return True
            if asked == (None, None, None):
                return False
    return False


def openapi_v2_media(accept: str) -> str:
    """The media type of the OpenAPI document of version 2 that the client prefers. Raises `NotAcceptable`.

    Source: kube-openapi `pkg/handler/handler.go`.
    """
    for media, _ in _offers(accept or "*/*"):
        type_, _, subtype = media.partition("/")
        for asked, answered in _OPENAPI_V2.items():
            if type_ in ("*", "application") and subtype in ("*", asked.partition("/")[2]):
                return answered
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(_OPENAPI_V2)}")


def _offers(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Media types with their parameters, by preference."""
    offers = []
    for offer in accept.split(","):
        media, *rest = (part.strip() for part in offer.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        offers.append((_quality(parameters.get("q", "")), media.lower(), parameters))
    offers.sort(key=lambda offer: -offer[0])
    return ((media, parameters) for quality, media, parameters in offers if quality > 0)


def _quality(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 1
