"""Which labels Istio's metrics have for what an Envoy counted, by the objects in the Kubernetes API."""

from __future__ import annotations

from lockgate.controllers.istiod import Istiod
from lockgate.edge.workloads import NODE_ID
from lockgate.gateway.standard_metrics import (
    Destinations,
    Peer,
    connection_labels,
    destinations,
    peer,
    request_labels,
)
from lockgate.metrics.flows import Counts
from lockgate.metrics.standard import Totals
from lockgate.resources import core, istio


class Labelling:
    """Adds counts of gateways to Istio's metrics."""

    def __init__(self, istiod: Istiod) -> None:
        self._istiod = istiod
        self._made_from: tuple[object, ...] = ()
        self._destinations = Destinations()
        self._sources: dict[str, Peer] = {}

    def __call__(self, new: Counts, totals: Totals) -> None:
        if new.requests or new.connections:
            self._look_up()
        for flow, requests in new.requests.items():
            if source := self._sources.get(flow.node):
                totals.add_requests(request_labels(flow, source, self._destinations), requests)
        for flow, connections in new.connections.items():
            if source := self._sources.get(flow.node):
                totals.add_connections(connection_labels(flow, source, self._destinations), connections)

    def _look_up(self) -> None:
        objects, domain = self._istiod.objects, self._istiod.mesh.domain
        services, entries = objects.all(core.Service), objects.all(istio.ServiceEntry)
        slices, pods = objects.all(core.EndpointSlice), objects.all(core.Pod)
        made_from = (services, entries, slices, pods, domain)
        if all(one is other for one, other in zip(made_from, self._made_from, strict=False)) and self._made_from:
            return
        self._made_from = made_from
        self._destinations = destinations(services, entries, slices, pods, domain)
        nodes = {pod.metadata.annotations.get(NODE_ID, ""): peer(pod) for pod in pods}
        self._sources |= {node: found for node, found in nodes.items() if node}
