"""The labels of Istio's standard metrics. None is empty but for the status of gRPC: Kiali skips a series without one.

Source: Istio's documentation, "Istio Standard Metrics"; istio/proxy
`source/extensions/filters/http/istio_stats/istio_stats.cc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lockgate.metrics.flows import Flow
from lockgate.metrics.store import Labels, labels_of

UNKNOWN: Final = "unknown"
CLUSTER: Final = "lockgate"  # the kubeconfig's name of the cluster


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
            f"{side}_principal": UNKNOWN,  # neither hop has mutual TLS of a mesh
        }


@dataclass(frozen=True, slots=True)
class Service:
    """A service, by its host and its name."""

    host: str = UNKNOWN
    name: str = UNKNOWN
    namespace: str = UNKNOWN


NOBODY: Final = Peer()
NOWHERE: Final = Service()


@dataclass(frozen=True, slots=True)
class Report:
    """Who reports which way. A source does not know whether mutual TLS was used."""

    reporter: Literal["source", "destination"]
    source: Peer
    destination: Peer
    service: Service

    def request(self, flow: Flow) -> Labels:
        """The labels of requests."""
        protocol = {"request_protocol": "grpc" if flow.grpc else "http"}
        code = {"response_code": str(flow.code), "grpc_response_status": flow.grpc}
        return labels_of({**self._common(flow), **protocol, **code}.items())

    def connection(self, flow: Flow) -> Labels:
        """The labels of TCP connections."""
        return labels_of({**self._common(flow), "request_protocol": "tcp"}.items())

    def _common(self, flow: Flow) -> dict[str, str]:
        known = self.destination.namespace
        return {
            "reporter": self.reporter,
            **self.source.labels("source"),
            **self.destination.labels("destination"),
            "destination_service": self.service.host,
            "destination_service_name": self.service.name,
            "destination_service_namespace": self.service.namespace if known == UNKNOWN else known,
            "response_flags": flow.flags,
            "connection_security_policy": UNKNOWN if self.reporter == "source" else "none",
        }
