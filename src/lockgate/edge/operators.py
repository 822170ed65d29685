"""Checks the gateways of IstioOperators: istioctl's output is validated as the API server validates it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import is_

from lockgate.edge.manifests import Manifests
from lockgate.gateway.install import install
from lockgate.resources import core, istio, validation
from lockgate.resources.codes import admission
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.reader import Document


def refuse_impossible_gateways(manifests: Manifests, memo: Memo | None = None) -> Manifests:
    """Adds a fault for each IstioOperator whose untyped `values` and `overlays` lead to a Service that the API
    refuses."""
    memo = memo or Memo()
    documents = memo.each("operators", _refused, manifests.documents)
    if all(map(is_, documents, manifests.documents)):
        return manifests
    found = [
        fault
        for new, old in zip(documents, manifests.documents, strict=True)
        if new is not old
        for fault in new.faults[len(old.faults) :]
    ]
    broken = manifests.broken | {fault.file for fault in found}
    return replace(manifests, documents=tuple(documents), faults=(*manifests.faults, *found), broken=broken)


def _refused(document: Document) -> Document:
    """The document with its faults."""
    faults = tuple(_faults(document))
    return replace(document, faults=(*document.faults, *faults)) if faults else document


def _faults(document: Document) -> Iterator[Fault]:
    if not isinstance(document.resource, istio.IstioOperator) or not document.accepted:
        return
    origin = Origin(document.key, ("spec", "components"), definition=document.definition)
    for gateway in install(document.resource).gateways:
        for error in validation.validate(core.Service, gateway.service)[:1]:
            name = gateway.service["metadata"]["name"]
            yield admission.INVALID.at(
                origin, refusal=f"istioctl creates Service {name} from it, which is refused: {error}"
            )
