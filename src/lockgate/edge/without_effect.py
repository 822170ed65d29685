"""Warns about settings in manifests that have no effect on this machine, with similar ones in one line.

`resources.effects` defines which kinds and fields these are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from lockgate.edge import exposure
from lockgate.edge.objects import Name, Objects
from lockgate.edge.policy_scope import GatewayPods
from lockgate.gateway.install import install
from lockgate.resources import core, istio, networking, workloads
from lockgate.resources.effects.row import Row, Scope
from lockgate.resources.effects.table import notices
from lockgate.resources.effects.uses import FEW, Use, fault, uses_of
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.reader import Document


def without_effect(
    documents: Sequence[Document],
    resources: Objects | Iterable[Resource],
    foreign: Collection[ObjectKey] = (),
    memo: Memo | None = None,
) -> tuple[Fault, ...]:
    """`resources` are all objects of the edge, against which policies' selectors are matched. `foreign` are Ingresses
    of controllers that do not run here. With the same `memo`, unchanged documents are not examined again."""
    memo = memo or Memo()
    objects = resources if isinstance(resources, Objects) else Objects(resources)
    written = memo.each("written without effect", _written, documents)
    installed = memo.each("installed without effect", _installed, documents)
    noted = [each for each in zip(documents, written, installed, strict=True) if each[1] or each[2]]
    if not noted:
        return ()
    pods, reached = _surroundings(objects, memo)
    found: dict[tuple[Row, str], list[tuple[Use, Document]]] = {}
    for document, own, made in noted:
        for use in (*_counting(own, document, pods, foreign, reached), *_unreached(made, reached)):
            found.setdefault((use.row, use.field), []).append((use, document))
    return tuple(each for alike in found.values() for each in _faults(alike))


def _surroundings(objects: Objects, memo: Memo) -> tuple[GatewayPods, frozenset[Name]]:
    kinds = (core.Service, istio.Gateway, workloads.Deployment, istio.IstioOperator, networking.Ingress)
    return memo.depending(
        "surroundings",
        [objects.view(kind) for kind in kinds],
        lambda: (GatewayPods.of(objects), exposure.reached(objects)),
    )


def _written(document: Document) -> tuple[Use, ...]:
    return tuple(uses_of(document.manifest, document.notices)) if document.notices and document.accepted else ()


def _counting(
    uses: Iterable[Use],
    document: Document,
    pods: GatewayPods,
    foreign: Collection[ObjectKey],
    reached: Collection[Name],
) -> Iterator[Use]:
    for use in uses:
        match use.row.scope:
            case None:
                yield use
            case Scope.FOREIGN if document.key in foreign:
                yield use
            case Scope.PENDING if (document.key.namespace, document.key.name) not in reached:
                yield use
            case Scope.GATEWAY | Scope.APPLICATION as scope if scope is pods.scope(document.manifest):
                yield use


def _installed(document: Document) -> tuple[tuple[Name, Use], ...]:
    """Settings of the Services of an IstioOperator, each with the Service's name: a gateway's Service is of type
    LoadBalancer by default."""
    if not isinstance(document.resource, istio.IstioOperator) or not document.accepted:
        return ()
    return tuple(
        ((made.service["metadata"]["namespace"], made.service["metadata"]["name"]), use)
        for made in install(document.resource).gateways
        for use in uses_of(made.service, notices("", "Service", made.service))
    )


def _unreached(made: Iterable[tuple[Name, Use]], reached: Collection[Name]) -> Iterator[Use]:
    for name, use in made:
        if use.row.scope is not Scope.PENDING or name not in reached:
            yield use


def _faults(alike: Sequence[tuple[Use, Document]]) -> Iterator[Fault]:
    for group in [alike] if len(alike) > FEW else [[each] for each in alike]:
        yield fault([use for use, _ in group], _origin(*group[0]))


def _origin(use: Use, document: Document) -> Origin:
    """The origin of an IstioOperator's result is the operator."""
    path = use.paths[0] if use.paths and use.manifest is document.manifest else ()
    return Origin(document.key, path, at_key=True, definition=document.definition)
