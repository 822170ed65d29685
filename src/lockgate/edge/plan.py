"""Plans an edge from manifests before anything runs. `up` starts from it; `show` prints a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, TypeAlias

from lockgate.edge.location import locate
from lockgate.edge.manifests import Manifests
from lockgate.edge.objects import Objects
from lockgate.edge.operators import refuse_impossible_gateways
from lockgate.edge.options import Options
from lockgate.edge.standins import fill
from lockgate.edge.supply import Supply, supply
from lockgate.gateway.install import install
from lockgate.ingress.flags import controller
from lockgate.ingress.manifests import DEFAULTS, USED, Stacks, stack_from_manifests
from lockgate.ingress.services.ownership import calls_webhook, with_class
from lockgate.ingress.world import Settings
from lockgate.resources import core, istio, workloads
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject, ObjectKey, ObjectMeta, Resource, kinds
from lockgate.resources.reader import Document


@dataclass(frozen=True, slots=True)
class Plan:
    """`manifests` are the user's, with placeholders filled. `objects` are all objects: the user's, those from
    IstioOperators, and those supplied, whose keys are `supplied`; `resources` are the same as a list.

    Given as `earlier` to the next plan, only what hangs on a changed document is decided again.
    """

    manifests: Manifests
    objects: Objects
    resources: tuple[Resource, ...]
    documents: Mapping[ObjectKey, Document]
    supply: Supply
    supplied: frozenset[ObjectKey]
    given: Objects = field(repr=False)
    """The same without those supplied."""
    memo: Memo = field(repr=False, compare=False)


Settle: TypeAlias = Callable[[Manifests], Manifests]


def plan(
    manifests: Manifests,
    options: Options,
    *,
    settle: Settle | None = None,
    secret_access_key: str = "",
    earlier: Plan | None = None,
) -> Plan:
    """`settle` decides which of the manifests count in a running edge whose files change (see `edge.settling`)."""
    memo = earlier.memo if earlier else Memo()
    memo.turn()
    place = locate(memo.each("manifests", _manifest, manifests.documents), options, memo)
    manifests = refuse_impossible_gateways(fill(manifests, place, memo=memo), memo)
    if settle is not None:
        manifests = settle(manifests)
    documents = _counting(manifests.documents, memo)
    written: tuple[Resource, ...] = tuple(map(_RESOURCE, documents.values()))
    operators = [each for each in written if type(each) is istio.IstioOperator]
    own = (*written, *memo.depending("installed", operators, lambda: _installed(operators)))
    deployments = [each for each in written if type(each) is workloads.Deployment]
    flags = memo.stable("flags", controller(deployments, DEFAULTS).settings)
    if calls_webhook(each.manifest for each in manifests.documents if each.key.kind == "MutatingWebhookConfiguration"):
        own = tuple(memo.each("classes", with_class, own, flags.load_balancer_class))
    given = Objects(own, earlier.given if earlier else None)
    made = supply(given, options, place, flags, secret_access_key=secret_access_key, memo=memo)
    supplied = memo.made(_supplied, made)
    resources = (*own, *supplied)
    objects = Objects(resources, earlier.objects if earlier else None)
    keys = frozenset(each.key for each in supplied)
    return Plan(manifests, objects, resources, documents, replace(made, rendered=manifests.notes), keys, given, memo)


def _installed(operators: Iterable[istio.IstioOperator]) -> list[core.Service]:
    return [core.Service.model_validate(gateway.service) for one in operators for gateway in install(one).gateways]


def _supplied(made: Supply) -> list[Resource]:
    found = [model.model_validate(each.manifest) for each in made.objects if (model := _model(each.manifest))]
    pairs = (core.Secret(metadata=ObjectMeta(name=each.name, namespace=each.namespace)) for each in made.key_pairs)
    return [*found, *pairs]


def _manifest(document: Document) -> JsonObject:
    return document.manifest


_RESOURCE: Final = attrgetter("resource")


def _counting(documents: Sequence[Document], memo: Memo) -> dict[ObjectKey, Document]:
    """The documents that an API server would store; of several definitions of an object the last one."""
    keys = memo.facts("keys", _key, documents)
    found = dict(zip(keys, documents, strict=True))
    found.pop(_NOT_STORED, None)
    return found


_NOT_STORED: Final = ObjectKey("", "", "", "")


def _key(document: Document) -> ObjectKey:
    return document.resource.key if document.resource and document.accepted else _NOT_STORED


def filled(manifests: Manifests, options: Options) -> Manifests:
    """The manifests with placeholders filled."""
    place = locate([each.manifest for each in manifests.documents], options)
    return refuse_impossible_gateways(fill(manifests, place, stand_in=options.supply))


def load_balancers(
    planned: Plan, earlier: Stacks | None = None, *, instead: Mapping[ObjectKey, Resource | None] | None = None
) -> Stacks:
    """The stacks of the Ingresses; unchanged ones since `earlier` are reused. `instead` replaces manifests by the
    cluster's versions of the objects; None means that the object does not exist."""
    used: list[Resource] = [each for kind in (*USED, workloads.Deployment) for each in planned.objects.all(kind)]
    if instead:
        used = [kept for each in used if (kept := instead.get(each.key, each)) is not None]
    return stack_from_manifests(used, earlier=earlier)


def controller_flags(planned: Plan) -> Settings:
    """The settings of the AWS Load Balancer Controller, which its webhooks need before anything is built."""
    return controller(planned.objects.all(workloads.Deployment), DEFAULTS).settings


def _model(manifest: dict[str, Any]) -> type[Resource] | None:
    return kinds().get((manifest["apiVersion"].rpartition("/")[0], manifest["kind"]))
