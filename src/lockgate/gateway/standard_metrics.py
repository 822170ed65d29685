"""The labels of Istio's standard metrics, as an ingress gateway reports them.

A gateway reports as the source: itself, and the service and workload that it chose. Istio's proxies know workloads from
their endpoints; without one they say "unknown". The metrics have no empty labels but for the status of gRPC.

Source: Istio's documentation, "Istio Standard Metrics"; istio/proxy
`source/extensions/filters/http/istio_stats/istio_stats.cc`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lockgate.metrics.flows import Flow
from lockgate.metrics.store import Labels, labels_of
from lockgate.resources import core, istio

UNKNOWN: Final = "unknown"
CLUSTER: Final = "lockgate"  # the kubeconfig's name of the cluster
_APP: Final = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_VERSION: Final = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


@dataclass(frozen=True, slots=True)
class Peer:
    """A workload, as metrics name it."""

    workload: str = UNKNOWN
    namespace: str = UNKNOWN
    app: str = UNKNOWN
    version: str = UNKNOWN
    canonical_service: str = UNKNOWN
    canonical_revision: str = "latest"
    cluster: str = UNKNOWN

    def labels(self, side: str) -> dict[str, str]:
        return {
            f"{side}_workload": self.workload,
            f"{side}_workload_namespace": self.namespace,
            f"{side}_app": self.app,
            f"{side}_version": self.version,
            f"{side}_canonical_service": self.canonical_service,
            f"{side}_canonical_revision": self.canonical_revision,
            f"{side}_cluster": self.cluster,
            f"{side}_principal": UNKNOWN,  # a gateway without a mesh has no certificate of its own for its backends
        }


NOBODY: Final = Peer()


def peer(pod: core.Pod) -> Peer:
    """A Pod's workload: what owns it, and not a ReplicaSet but the Deployment behind it."""
    labels = pod.metadata.labels
    name = pod.name
    for owner in pod.metadata.owner_references:
        if owner.controller:
            hash_ = labels.get("pod-template-hash", "")
            name = owner.name.removesuffix(f"-{hash_}") if owner.kind == "ReplicaSet" and hash_ else owner.name
    return Peer(
        workload=name,
        namespace=pod.namespace,
        app=labels.get("app") or UNKNOWN,
        version=labels.get("version") or UNKNOWN,
        canonical_service=_first(labels, _APP) or name,
        canonical_revision=_first(labels, _VERSION) or "latest",
        cluster=CLUSTER,
    )


@dataclass(frozen=True, slots=True)
class Destinations:
    """What a gateway's clusters and endpoints stand for: names and namespaces of services by host, and workloads by
    ``address:port``."""

    services: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    workloads: Mapping[str, Peer] = field(default_factory=dict)


def destinations(
    services: Iterable[core.Service],
    entries: Iterable[istio.ServiceEntry],
    slices: Iterable[core.EndpointSlice],
    pods: Iterable[core.Pod],
    domain: str,
) -> Destinations:
    """`domain` is the mesh's, such as cluster.local. An endpoint's workload is known if it names its Pod."""
    hosts = {host: (host, entry.namespace) for entry in entries for host in entry.spec.hosts}
    for service in services:
        hosts[f"{service.name}.{service.namespace}.svc.{domain}"] = (service.name, service.namespace)
    by_name = {(pod.namespace, pod.name): pod for pod in pods}
    workloads: dict[str, Peer] = {}
    for one in slices:
        for endpoint in one.endpoints:
            target = endpoint.target_ref
            pod = by_name.get((one.namespace, target.name)) if target and target.kind == "Pod" else None
            for address in endpoint.addresses if pod else ():
                at = f"[{address}]" if ":" in address else address
                workloads.update({f"{at}:{port.port}": peer(pod) for port in one.ports if pod and port.port})
    return Destinations(hosts, workloads)


def request_labels(flow: Flow, source: Peer, to: Destinations) -> Labels:
    """The labels of requests that passed a gateway."""
    return labels_of(
        {
            **_common(flow, source, to),
            "request_protocol": "grpc" if flow.grpc else "http",
            "response_code": str(flow.code),
            "grpc_response_status": flow.grpc,
        }.items()
    )


def connection_labels(flow: Flow, source: Peer, to: Destinations) -> Labels:
    """The labels of TCP connections that passed a gateway."""
    return labels_of({**_common(flow, source, to), "request_protocol": "tcp"}.items())


def _common(flow: Flow, source: Peer, to: Destinations) -> dict[str, str]:
    destination = to.workloads.get(flow.upstream, NOBODY)
    host, name, namespace = _service(flow.cluster, to)
    return {
        "reporter": "source",
        **source.labels("source"),
        **destination.labels("destination"),
        "destination_service": host,
        "destination_service_name": name,
        "destination_service_namespace": namespace if destination is NOBODY else destination.namespace,
        "response_flags": flow.flags,
        "connection_security_policy": UNKNOWN,  # only a destination can report mutual TLS
    }


def _service(cluster: str, to: Destinations) -> tuple[str, str, str]:
    """The host of a cluster, ``outbound|port|subset|host``, and the name and namespace of its service."""
    host = cluster.rpartition("|")[2]
    name, namespace = to.services.get(host, (host.partition(".")[0], UNKNOWN))
    return host or UNKNOWN, name or UNKNOWN, namespace


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
