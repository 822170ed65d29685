"""Decides which Pods run on the machine, and which endpoints a Service has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate.edge.istio_install import installed_labels
from lockgate.edge.port_table import LOCAL_IPV4
from lockgate.edge.service_pods import endpoint
from lockgate.gateway.reach import LOCAL_IPV6
from lockgate.gateway.workload import WORKLOAD
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject

PROXY_LABEL = "lockgate.dev/proxy"
NODE_ID = "lockgate.dev/node-id"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "nodes.lockgate.dev"


@dataclass(frozen=True, slots=True)
class GatewayWorkload:
    """Pods that run an Istio ingress gateway. Their labels are those that a gateway Service selects."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    name: str  # the Service's name
    node_id: str

    def runs(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether Pods with these labels are the workload's."""
        return namespace == self.namespace and dict(self.labels).items() <= labels.items()

    def marked(self, pod: JsonObject) -> JsonObject:
        """The manifest of a Pod, with the marks by which its Envoy is found. All Pods of a workload have one Envoy."""
        metadata = pod["metadata"]
        labels = {**metadata.get("labels", {}), PROXY_LABEL: "istio"}
        annotations = {**metadata.get("annotations", {}), NODE_ID: self.node_id, WORKLOAD: self.name}
        return {**pod, "metadata": {**metadata, "labels": labels, "annotations": annotations}}

    def serves(self, service: core.Service) -> bool:
        selector = service.spec.selector
        return service.namespace == self.namespace and bool(selector) and selector.items() <= dict(self.labels).items()


def gateway_workloads(
    services: Iterable[core.Service], gateways: Iterable[istio.Gateway]
) -> tuple[GatewayWorkload, ...]:
    """One workload for each set of labels that a Service selects and an Istio Gateway references.

    Manifests rarely contain the gateway's Deployment (istioctl and Helm create it), but its Service has its Pods'
    labels. A Service whose selector is a subset of another Service's, in the same namespace, selects the same Pods.
    Istio's own gateway Services have Pods before any Gateway references them; these listen on no port yet.
    """
    asked = list(gateways)
    candidates = [service for service in services if is_candidate(service, asked)]
    candidates.sort(key=lambda service: (-len(service.spec.selector), service.namespace, service.name))
    found: list[GatewayWorkload] = []
    for service in candidates:
        if any(workload.serves(service) for workload in found):
            continue
        node_id = "gateway" if not found else f"gateway-{service.namespace}-{service.name}"
        labels = tuple(sorted(service.spec.selector.items()))
        found.append(GatewayWorkload(service.namespace, labels, service.name, node_id))
    return tuple(found)


def is_candidate(service: core.Service, gateways: Iterable[istio.Gateway]) -> bool:
    """Whether a Service may be a gateway's: made as one, or of labels that a Gateway asks for."""
    if _installed(service):
        return True
    desired = (gateway.spec.selector for gateway in gateways)
    return any(bool(each) and each.items() <= service.spec.selector.items() for each in desired)


def _installed(service: core.Service) -> bool:
    """Whether istioctl or the gateway chart created it: both select by the label `istio`. istiod and egress do not
    count."""
    value = service.spec.selector.get("istio", "pilot")
    return value != "pilot" and "egress" not in value


def pod_labels(workload: GatewayWorkload, deployments: Iterable[workloads.Workload]) -> dict[str, str]:
    """The labels of a workload's Pods, by which policies select them: those of its Deployment, or without one those
    that Istio's charts give them in addition to the Service's selector."""
    for deployment in deployments:
        if workload.runs(deployment.namespace, deployment.pod_labels):
            return deployment.pod_labels
    return {**installed_labels(workload.name), **dict(workload.labels)}


def gateway_pod(workload: GatewayWorkload, node: str, deployments: Iterable[workloads.Workload] = ()) -> core.Pod:
    """A Pod of a workload, as it runs here."""
    brought = [each for each in deployments if workload.runs(each.namespace, each.pod_labels)]
    containers = brought[0].spec.template.spec.get("containers") if brought else None
    metadata = {
        "name": workload.name,
        "namespace": workload.namespace,
        "labels": pod_labels(workload, brought),
        "annotations": brought[0].spec.template.metadata.annotations if brought else {},
    }
    spec = {"nodeName": node, "containers": containers or [{"name": "istio-proxy"}]}
    return core.Pod.model_validate(workload.marked({"metadata": metadata, "spec": spec}))


def target_port(service: core.Service, name: str) -> int:
    """The number of the port on which a gateway Pod listens behind a Service port."""
    port = next(port for port in service.spec.ports if (port.name or "") == name)
    return port.target_port if isinstance(port.target_port, int) and port.target_port else port.port


def slice_manifests(
    service: core.Service, suffix: str, address: str, ports: Mapping[str, int], pods: Sequence[core.Pod] = ()
) -> Iterator[JsonObject]:
    """The EndpointSlices for an address of this machine. An IPv6 Service has one more, for target groups of IPv6."""
    yield slice_manifest(service, suffix, address, ports, pods)
    if "IPv6" in service.spec.ip_families and address == LOCAL_IPV4:
        yield slice_manifest(service, f"{suffix}-ipv6", LOCAL_IPV6, ports, pods)


def slice_manifest(
    service: core.Service, suffix: str, address: str, ports: Mapping[str, int], pods: Sequence[core.Pod] = ()
) -> JsonObject:
    """An EndpointSlice with one address for ports of a Service, by port name. Each of the `pods` is an endpoint."""
    datagrams = {port.name or "" for port in service.spec.ports if port.protocol == "UDP"}
    program = {"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-{suffix}",
            "namespace": service.namespace,
            "labels": {"kubernetes.io/service-name": service.name, MANAGED_BY: MANAGER},
            "ownerReferences": [owner(service)],
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [endpoint(pod, service, address) for pod in pods] or [program],
        "ports": [
            {"name": name, "port": port, "protocol": "UDP" if name in datagrams else "TCP"}
            for name, port in sorted(ports.items())
        ],
    }


def owner(service: core.Service) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "name": service.name,
        "uid": service.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
