"""Warnings in the answer to a write, which kubectl prints."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.exposure import reached
from lockgate.edge.objects import Objects
from lockgate.edge.policy_scope import GatewayPods
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources import core, istio, networking, validation, workloads
from lockgate.resources.effects.row import Scope
from lockgate.resources.effects.table import notices
from lockgate.resources.effects.uses import fault, uses_of
from lockgate.resources.model import JsonObject, Resource


def warnings(storage: Storage, model: type[Resource], body: JsonObject, *, subresource: bool) -> Iterator[str]:
    """Warnings of admission webhooks, and about fields that have no effect on this machine."""
    for error in validation.warnings(model.model_validate(body)):
        yield str(error)
    if subresource:
        return
    group, kind = model.KIND.group_kind
    for use in uses_of(body, notices(group, kind, body)):
        if use.row.noticed and _concerns(use.row.scope, storage, body):
            yield f"{fault([use], None).message} [{use.row.code.id}]"


def _concerns(scope: Scope | None, storage: Storage, body: JsonObject) -> bool:
    """Whether a row of this scope applies to the object, given the other objects."""
    match scope:
        case None:
            return True
        case Scope.PENDING:
            service = core.Service.model_validate(body)
            there = [*_all(storage, core.Service, istio.Gateway, networking.Ingress), service]
            return (service.namespace, service.name) not in reached(there)
        case Scope.FOREIGN:
            return False  # its IngressClass may follow
        case _:
            used = (core.Service, istio.Gateway, workloads.Deployment, istio.IstioOperator)
            return GatewayPods.of(Objects(_all(storage, *used))).scope(body) is scope


def _all(storage: Storage, *kinds: type[Resource]) -> list[Resource]:
    return [each.parsed(kind) for kind in kinds for each in storage.all(kind.KIND.group_kind)]
