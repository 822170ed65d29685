"""From manifests to what an edge is made of, before anything runs: `up` starts from it, `show` prints a part of it."""

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
from lockgate.resources.kinds import IstioOperator, Secret, Service
from lockgate.resources.model import ObjectKey, ObjectMeta, Resource, kinds
from lockgate.resources.reader import Document


@dataclass(frozen=True, slots=True)
class Plan:
    """`manifests` are the user's, with stand-ins for placeholders. `resources` are all objects: theirs, those that
    IstioOperators lead to, and those that are supplied."""

    manifests: Manifests
    resources: tuple[Resource, ...]
    documents: dict[ObjectKey, Document]
    supply: Supply


Settle: TypeAlias = Callable[[Manifests], Manifests]


def plan(manifests: Manifests, options: Options, *, settle: Settle | None = None, secret_access_key: str = "") -> Plan:
    """`settle` says which of the manifests count, in a running edge whose files change (`edge.settling`)."""
    place = locate([each.manifest for each in manifests.documents], options)
    manifests = refuse_impossible_gateways(fill(manifests, place))
    if settle is not None:
        manifests = settle(manifests)
    documents = {each.resource.key: each for each in manifests.documents if each.resource and each.accepted}
    given = [document.resource for document in documents.values() if document.resource]
    operators = [each for each in given if isinstance(each, IstioOperator)]
    installed = [Service.model_validate(gateway.service) for one in operators for gateway in install(one).gateways]
    resources = (*given, *installed)
    flags = controller(resources, DEFAULTS).settings
    made = supply(resources, options, place, flags, secret_access_key=secret_access_key)
    supplied = [model.model_validate(each.manifest) for each in made.objects if (model := _model(each.manifest))]
    supplied += [Secret(metadata=ObjectMeta(name=each.name, namespace=each.namespace)) for each in made.key_pairs]
    made = replace(made, rendered=manifests.notes)
    return Plan(manifests, (*resources, *supplied), documents, made)


def filled(manifests: Manifests, options: Options) -> Manifests:
    """With stand-ins for placeholders."""
    place = locate([each.manifest for each in manifests.documents], options)
    return refuse_impossible_gateways(fill(manifests, place, stand_in=options.supply))


def load_balancers(
    planned: Plan, earlier: Stacks | None = None, *, instead: Mapping[ObjectKey, Resource | None] | None = None
) -> Stacks:
    """The stacks that the Ingresses lead to. What has not changed since `earlier` is not built again. `instead` are the
    objects that the cluster has in place of some of the manifests, None for none."""
    resources = [kept for each in planned.resources if (kept := (instead or {}).get(each.key, each)) is not None]
    return stack_from_manifests(resources, earlier=earlier)


def controller_flags(planned: Plan) -> Settings:
    """Of the AWS Load Balancer Controller: its webhooks go by them before anything is built."""
    return controller(planned.resources, DEFAULTS).settings


def _model(manifest: dict[str, Any]) -> type[Resource] | None:
    return kinds().get((manifest["apiVersion"].rpartition("/")[0], manifest["kind"]))
