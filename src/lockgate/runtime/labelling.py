"""Which labels Istio's metrics have for what an Envoy counted, by the objects in the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lockgate.controllers.istiod import Istiod
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.edge.workloads import NODE_ID
from lockgate.gateway.standard_metrics import Destinations, destinations, peer, report
from lockgate.loadbalancer import standard_metrics as of_load_balancers
from lockgate.metrics.flows import Counts, Flow
from lockgate.metrics.labels import NOBODY, NOWHERE, Peer, Report
from lockgate.metrics.overrides import Override, split
from lockgate.metrics.standard import OF_CONNECTIONS, OF_REQUESTS, Totals
from lockgate.resources import core, istio

LOAD_BALANCERS = "alb"  # the node of load balancers
_MANAGER = "kiali.lockgate.dev"


class Labelling:
    """Adds counts of gateways to Istio's metrics, and those of load balancers once `show_load_balancers` is called."""

    def __init__(self, istiod: Istiod, kubernetes: Kubernetes) -> None:
        self._istiod = istiod
        self._kubernetes = kubernetes
        self._made_from: tuple[object, ...] = ()
        self._destinations = Destinations()
        self._gateways: dict[str, Peer] = {}
        self._shown = False

    def __call__(self, new: Counts, totals: Totals) -> None:
        if new.requests or new.connections:
            self._look_up()
        for flow, requests in new.requests.items():
            for each in self._reports(flow):
                for labels, families in split(each.request(flow), flow, OF_REQUESTS, self._changes(flow)).items():
                    totals.add_requests(labels, requests, families)
        for flow, connections in new.connections.items():
            for each in self._reports(flow):
                for labels, families in split(each.connection(flow), flow, OF_CONNECTIONS, self._changes(flow)).items():
                    totals.add_connections(labels, connections, families)

    async def show_load_balancers(self, listeners: Iterable[str]) -> None:
        """Creates the objects that Kiali looks up for these listeners' load balancers."""
        self._look_up()
        self._shown = True
        for name in sorted({of_load_balancers.workload_name(each) for each in listeners}):
            for manifest in of_load_balancers.objects(name, self._namespace):
                await self._kubernetes.apply(manifest, manager=_MANAGER)

    @property
    def _namespace(self) -> str:
        """That of the gateway: load balancers are drawn beside it."""
        return next((each.namespace for each in self._gateways.values()), "default")

    def _changes(self, flow: Flow) -> Mapping[str, Override]:
        """What Telemetries change of the metrics of a gateway."""
        proxy = self._istiod.proxies.get(flow.node)
        return dict(proxy.gateway.telemetry.metrics) if proxy and proxy.gateway else {}

    def _reports(self, flow: Flow) -> Iterator[Report]:
        known = self._destinations
        if flow.node == LOAD_BALANCERS:
            if self._shown:
                target = known.workloads.get(flow.upstream, NOBODY)
                behind = known.behind.get(flow.upstream, NOWHERE)
                yield from of_load_balancers.reports(flow, self._namespace, target, behind)
        elif gateway := self._gateways.get(flow.node):
            yield report(flow, gateway, known)

    def _look_up(self) -> None:
        objects, domain = self._istiod.objects, self._istiod.mesh.domain
        services, entries = objects.all(core.Service), objects.all(istio.ServiceEntry)
        slices, pods = objects.all(core.EndpointSlice), objects.all(core.Pod)
        made_from = (services, entries, slices, pods, domain)
        if self._made_from and all(one is other for one, other in zip(made_from, self._made_from, strict=True)):
            return
        self._made_from = made_from
        self._destinations = destinations(services, entries, slices, pods, domain)
        nodes = {pod.metadata.annotations.get(NODE_ID, ""): peer(pod) for pod in pods}
        self._gateways |= {node: found for node, found in nodes.items() if node}
