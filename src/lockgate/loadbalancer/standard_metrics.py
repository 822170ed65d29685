"""Load balancers in Istio's standard metrics: what a proxy at their place would report.

On AWS no load balancer reports such metrics, so these are Lockgate's own: `lockgate kiali --with-alb` shows them. A
load balancer reports as the destination of its clients, whom it does not know, and as the source of the requests that
it forwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.metrics.flows import Flow
from lockgate.metrics.labels import CLUSTER, NOBODY, NOWHERE, Peer, Report, Service
from lockgate.resources.model import JsonObject

MADE: Final = "lockgate.dev/load-balancer"  # on objects that stand for a load balancer


def workload_name(listener: str) -> str:
    """``alb-NAME`` of a listener, ``app/NAME/ID:PORT``, and ``nlb-NAME`` of ``net/NAME/ID:PORT``."""
    kind, _, rest = listener.partition("/")
    return f"{'nlb' if kind == 'net' else 'alb'}-{rest.partition('/')[0]}"


def reports(flow: Flow, namespace: str, target: Peer, behind: Service) -> Iterator[Report]:
    """`target` is the workload to which it forwarded, `behind` its service. The load balancer counts as a workload of
    `namespace`."""
    name = workload_name(flow.listener)
    balancer = Peer(name, namespace, name, "latest", name, "latest", CLUSTER)
    yield Report("destination", NOBODY, balancer, Service(f"{name}.{namespace}.svc.cluster.local", name, namespace))
    if flow.cluster:
        yield Report("source", balancer, target, behind if flow.upstream else NOWHERE)


def objects(name: str, namespace: str) -> Iterator[JsonObject]:
    """The Service and the Deployment that Kiali looks up for a workload with metrics. Nothing runs for them."""
    labels = {"app": name, "version": "latest"}
    metadata = {"name": name, "namespace": namespace, "labels": {**labels, MADE: "true"}}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"clusterIP": "None", "selector": {"app": name}},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "load-balancer", "image": "lockgate.dev/load-balancer"}]},
            },
        },
    }
