"""Plans an edge from manifests before anything runs. `up` starts from it; `show` prints a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lockgate.edge.location import locate
from lockgate.edge.manifests import Manifests
from lockgate.edge.operators import refuse_impossible_gateways
from lockgate.edge.options import Options
from lockgate.edge.standins import fill
from lockgate.edge.supply import Supply, supply
from lockgate.gateway.install import install
from lockgate.ingress.flags import controller
from lockgate.ingress.manifests import DEFAULTS, Stacks, stack_from_manifests
from lockgate.ingress.world import Settings
from lockgate.resources import core, istio
from lockgate.resources.model import ObjectKey, ObjectMeta, Resource, kinds
from lockgate.resources.reader import Document


@dataclass(frozen=True, slots=True)
class Plan:
    """`manifests` are the user's, with placeholders filled. `resources` are all objects: the user's, those from
    IstioOperators, and those supplied, whose keys are `supplied`."""

    manifests: Manifests
    resources: tuple[Resource, ...]
    documents: dict[ObjectKey, Document]
    supply: Supply
    supplied: frozenset[ObjectKey] = frozenset()


Settle: TypeAlias = Callable[[Manifests], Manifests]


def plan(manifests: Manifests, options: Options, *, settle: Settle | None = None, secret_access_key: str = "") -> Plan:
    """`settle` decides which of the manifests count in a running edge whose files change (see `edge.settling`)."""
    place = locate([each.manifest for each in manifests.documents], options)
    manifests = refuse_impossible_gateways(fill(manifests, place))
    if settle is not None:
        manifests = settle(manifests)
    documents = {each.resource.key: each for each in manifests.documents if each.resource and each.accepted}
    given = [document.resource for document in documents.values() if document.resource]
    operators = [each for each in given if isinstance(each, istio.IstioOperator)]
    installed = [core.Service.model_validate(gateway.service) for one in operators for gateway in install(one).gateways]
    resources = (*given, *installed)
    flags = controller(resources, DEFAULTS).settings
    made = supply(resources, options, place, flags, secret_access_key=secret_access_key)
    supplied = [model.model_validate(each.manifest) for each in made.objects if (model := _model(each.manifest))]
    supplied += [core.Secret(metadata=ObjectMeta(name=each.name, namespace=each.namespace)) for each in made.key_pairs]
    made = replace(made, rendered=manifests.notes)
    return Plan(manifests, (*resources, *supplied), documents, made, frozenset(each.key for each in supplied))


def filled(manifests: Manifests, options: Options) -> Manifests:
    """The manifests with placeholders filled."""
    place = locate([each.manifest for each in manifests.documents], options)
    return refuse_impossible_gateways(fill(manifests, place, stand_in=options.supply))


def load_balancers(
    planned: Plan, earlier: Stacks | None = None, *, instead: Mapping[ObjectKey, Resource | None] | None = None
) -> Stacks:
    """The stacks of the Ingresses; unchanged ones since `earlier` are reused. `instead` replaces manifests by the
    cluster's versions of the objects; None means that the object does not exist."""
    resources = [kept for each in planned.resources if (kept := (instead or {}).get(each.key, each)) is not None]
    return stack_from_manifests(resources, earlier=earlier)


def controller_flags(planned: Plan) -> Settings:
    """The settings of the AWS Load Balancer Controller, which its webhooks need before anything is built."""
    return controller(planned.resources, DEFAULTS).settings


def _model(manifest: dict[str, Any]) -> type[Resource] | None:
    return kinds().get((manifest["apiVersion"].rpartition("/")[0], manifest["kind"]))
