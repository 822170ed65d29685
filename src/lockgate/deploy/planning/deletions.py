"""Why records are deleted: from the object that asked for each, which its TXT record names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from lockgate.dns.plan import Plan as RecordPlan
from lockgate.dns.plan import resource_of
from lockgate.edge.fronts import Fronts
from lockgate.edge.objects import Objects
from lockgate.edge.supply.hosts import hosts_of
from lockgate.gateway.hosts import gateway_name
from lockgate.resources import core, istio, networking
from lockgate.resources.model import Resource

_KINDS: Final[Mapping[str, type[Resource]]] = {
    kind.KIND.kind.lower(): kind for kind in (networking.Ingress, istio.Gateway, istio.VirtualService, core.Service)
}

RecordKey: TypeAlias = tuple[str, str, str]
"""Name, type and set identifier: `RecordSet.key`."""


def deletions(records: RecordPlan, objects: Objects) -> dict[RecordKey, str]:
    """The reason of each deletion. `objects` are those from which `records` were planned."""
    why = _Why(objects)
    return {
        record.record_set.key: why.deleted(record.record_set.name.rstrip("."), resource_of(text.record_set))
        for groups in records.changes.values()
        for record, text in groups
        if record.action == "DELETE"
    }


class _Why:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._fronts = Fronts(objects.all(networking.Ingress), objects.all(core.Service))

    def deleted(self, host: str, resource: str) -> str:
        """`resource` is ``kind/namespace/name``, with the kind in small letters."""
        kind, _, name = resource.partition("/")
        model = _KINDS.get(kind)
        found = self._objects.get(model, *name.split("/", 1)) if model is not None and "/" in name else None
        if found is None:
            return f"{model.KIND.kind if model else kind} {name} is gone"
        if host not in (each.lower().rstrip(".") for each in hosts_of(found)):
            return f"{found.key} no longer names it"
        return "; ".join(self._unled(found))

    def _unled(self, resource: Resource) -> Iterator[str]:
        """Why no load balancer leads to an object."""
        match resource:
            case istio.VirtualService():
                names = [gateway_name(each, resource.namespace) for each in resource.spec.gateways]
                gateways = [self._objects.get(istio.Gateway, *each.split("/", 1)) for each in names if "/" in each]
                there = [each for each in gateways if each is not None]
                for gateway in there:
                    yield from self._unled(gateway)
                if not there:
                    yield f"no Gateway of {resource.key} is there"
            case istio.Gateway():
                front = self._fronts.of(resource)
                services = [str(each.key) for each in front.services]
                if front.named is not None:
                    yield f"Ingress {'/'.join(front.named)}, which {resource.key} names, has no load balancer"
                elif services:
                    yield f"no load balancer leads to {', '.join(services)}, which {resource.key} uses"
                else:
                    yield f"no Service selects the Pods of {resource.key}"
            case _:
                yield f"{resource.key} has no load balancer"
