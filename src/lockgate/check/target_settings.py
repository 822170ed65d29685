"""Where a target group's settings are written: annotations of its Service go before those of its Ingress."""

from __future__ import annotations

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations.spec import AnyAnnotation
from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.resources import core, networking
from lockgate.resources.faults import Origin, Set


def written(edge: Edge, group: TargetGroup, annotation: AnyAnnotation) -> Origin | None:
    """The annotation that decides, else the backend in the Ingress. None for a group that no Ingress makes."""
    if group.origin is None:
        return None
    bound = edge.network.bindings.get(group.reference)
    service = edge.objects.get(core.Service, bound.namespace, bound.service) if bound else None
    ingress = edge.objects.get(networking.Ingress, group.origin.key.namespace, group.origin.key.name)
    for each in (service, ingress):
        if each is not None and annotation.key in each.metadata.annotations:
            return Origin(each.key, annotation.path())
    return group.origin


def changed(
    edge: Edge, balancer: LoadBalancer, group: TargetGroup, annotation: AnyAnnotation, value: str
) -> Set | None:
    """The change that gives the group another setting, and no other group. None if there is no such change."""
    place = written(edge, group, annotation)
    if place is None:
        return None
    if place.key.kind != "Ingress":
        return Set(place, value)
    alone = sum(each.origin is not None and each.origin.key == place.key for each in balancer.target_groups.values())
    return Set(Origin(place.key, annotation.path()), value) if alone == 1 else None
