"""Checks the gateways of IstioOperators: istioctl's output is validated as the API server validates it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lockgate.edge.manifests import Manifests
from lockgate.gateway.install import install
from lockgate.resources import core, istio, validation
from lockgate.resources.codes import admission
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.reader import Document


def refuse_impossible_gateways(manifests: Manifests) -> Manifests:
    """Adds a fault for each IstioOperator whose untyped `values` and `overlays` lead to a Service that the API
    refuses."""
    documents: list[Document] = []
    found: list[Fault] = []
    for document in manifests.documents:
        faults = tuple(_faults(document)) if document.accepted else ()
        documents.append(replace(document, faults=(*document.faults, *faults)) if faults else document)
        found += faults
    if not found:
        return manifests
    broken = manifests.broken | {fault.file for fault in found}
    return replace(manifests, documents=tuple(documents), faults=(*manifests.faults, *found), broken=broken)


def _faults(document: Document) -> Iterator[Fault]:
    if not isinstance(document.resource, istio.IstioOperator):
        return
    origin = Origin(document.key, ("spec", "components"), definition=document.definition)
    for gateway in install(document.resource).gateways:
        for error in validation.validate(core.Service, gateway.service)[:1]:
            name = gateway.service["metadata"]["name"]
            yield admission.INVALID.at(
                origin, refusal=f"istioctl creates Service {name} from it, which is refused: {error}"
            )
