"""What the manifests ask for, before anything is read: the objects to apply, and what prevents that."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

from lockgate.deploy.planning.seen import OWNER_LABEL
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import Plan, plan
from lockgate.resources import istio
from lockgate.resources.codes import objects as codes
from lockgate.resources.faults import Fault, Origin, Severity
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.reader import Document

CERTIFICATES: Final = {
    kind: ("metadata", "annotations", annotation)
    for kind, annotation in (
        ("Ingress", "alb.ingress.kubernetes.io/certificate-arn"),
        ("Service", "service.beta.kubernetes.io/aws-load-balancer-ssl-cert"),
    )
}
"""Where an object of a kind has the ARNs of its load balancer's certificates."""
_PLACEHOLDERS: Final = frozenset({codes.PLACEHOLDER.id, codes.PLACEHOLDER_LEFT_OUT.id})


@dataclass(frozen=True, slots=True)
class Intent:
    """`documents` are applied. `operators` are IstioOperators, which no cluster serves: Helm installs what they name.
    `blocking` are errors, and placeholders that nobody has replaced."""

    name: str
    planned: Plan
    documents: tuple[Document, ...]
    operators: tuple[Document, ...]
    blocking: tuple[Fault, ...]

    @property
    def keys(self) -> frozenset[ObjectKey]:
        return frozenset(each.key for each in self.documents)


def intend(manifests: Manifests, options: Options, *, account: str, region: str, without_keys: bool = False) -> Intent:
    """The placeholder of a certificate's ARN is filled: `apply` puts the real one there. With `without_keys`, issuers
    are applied without the access keys that they name, so that cert-manager uses its role."""
    if without_keys:
        manifests = replace(manifests, documents=tuple(map(_without_keys, manifests.documents)))
    planned = plan(manifests, replace(options, account=account, region=region))
    accepted = {each.key: each for each in planned.manifests.documents if each.accepted}.values()
    faults = [
        each
        for each in planned.manifests.faults
        if each.severity is Severity.ERROR or (each.code.id in _PLACEHOLDERS and not _is_certificate(each))
    ]
    return Intent(
        options.name,
        planned,
        tuple(each for each in accepted if not isinstance(each.resource, istio.IstioOperator)),
        tuple(each for each in accepted if isinstance(each.resource, istio.IstioOperator)),
        tuple(faults),
    )


def _without_keys(document: Document) -> Document:
    if document.key.kind not in ("Issuer", "ClusterIssuer") or not document.accepted:
        return document
    manifest = deepcopy(document.manifest)
    for solver in ((manifest["spec"].get("acme") or {}).get("solvers")) or ():
        route53 = (solver.get("dns01") or {}).get("route53") or {}
        for key in ("accessKeyID", "accessKeyIDSecretRef", "secretAccessKeySecretRef"):
            route53.pop(key, None)
    return document.instead(manifest)


def _is_certificate(fault: Fault) -> bool:
    return isinstance(fault.origin, Origin) and fault.origin.path[:3] in CERTIFICATES.values()


def labelled(manifest: JsonObject, name: str, arns: dict[str, str]) -> JsonObject:
    """The manifest as it is applied: with the label of its owner, and with the certificates' real ARNs."""
    metadata = dict(manifest["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), OWNER_LABEL: name}
    for drop in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
        metadata.pop(drop, None)
    annotations = dict(metadata.get("annotations") or {})
    *_, annotation = CERTIFICATES.get(manifest["kind"], ("",))
    if text := annotations.get(annotation):
        parts = (each.strip() for each in str(text).split(","))
        annotations[annotation] = ",".join(arns.get(each, each) for each in parts if each)
        metadata["annotations"] = annotations
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}
