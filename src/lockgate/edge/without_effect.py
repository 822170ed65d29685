"""Warns about settings in manifests that have no effect on this machine, with similar ones in one line.

`resources.effects` defines which kinds and fields these are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from lockgate.edge.exposure import exposed
from lockgate.edge.objects import Name
from lockgate.edge.policy_scope import GatewayPods
from lockgate.gateway.install import install
from lockgate.resources import istio
from lockgate.resources.effects.row import Row, Scope
from lockgate.resources.effects.table import notices
from lockgate.resources.effects.uses import FEW, Use, fault, uses_of
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.reader import Document


def without_effect(
    documents: Iterable[Document], resources: Sequence[Resource], foreign: Collection[ObjectKey] = ()
) -> tuple[Fault, ...]:
    """`resources` are all objects of the edge, against which policies' selectors are matched. `foreign` are Ingresses
    of controllers that do not run here."""
    pods, reached = GatewayPods.of(resources), exposed(resources)
    found: dict[tuple[Row, str], list[tuple[Use, Document]]] = {}
    for document in (each for each in documents if each.accepted):
        for use in (*_written(document, pods, foreign, reached), *_installed(document, reached)):
            found.setdefault((use.row, use.field), []).append((use, document))
    return tuple(each for alike in found.values() for each in _faults(alike))


def _written(
    document: Document, pods: GatewayPods, foreign: Collection[ObjectKey], reached: Collection[Name]
) -> Iterator[Use]:
    for use in uses_of(document.manifest, document.notices):
        match use.row.scope:
            case None:
                yield use
            case Scope.FOREIGN if document.key in foreign:
                yield use
            case Scope.PENDING if (document.key.namespace, document.key.name) not in reached:
                yield use
            case Scope.GATEWAY | Scope.APPLICATION as scope if scope is pods.scope(document.manifest):
                yield use


def _installed(document: Document, reached: Collection[Name]) -> Iterator[Use]:
    """Settings of the Services of an IstioOperator: a gateway's Service is of type LoadBalancer by default."""
    if isinstance(document.resource, istio.IstioOperator):
        for made in install(document.resource).gateways:
            metadata = made.service["metadata"]
            for use in uses_of(made.service, notices("", "Service", made.service)):
                if use.row.scope is not Scope.PENDING or (metadata["namespace"], metadata["name"]) not in reached:
                    yield use


def _faults(alike: Sequence[tuple[Use, Document]]) -> Iterator[Fault]:
    for group in [alike] if len(alike) > FEW else [[each] for each in alike]:
        yield fault([use for use, _ in group], _origin(*group[0]))


def _origin(use: Use, document: Document) -> Origin:
    """The origin of an IstioOperator's result is the operator."""
    path = use.paths[0] if use.paths and use.manifest is document.manifest else ()
    return Origin(document.key, path, at_key=True, definition=document.definition)
