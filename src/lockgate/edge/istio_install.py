"""What an installation of Istio leaves in a cluster, besides its configuration: workloads, with their labels and ports.

Source: istio/istio `manifests/charts/gateways/istio-ingress`, `manifests/charts/istio-control/istio-discovery`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import yaml

from lockgate.gateway.patches import ISTIO_VERSION
from lockgate.resources import core
from lockgate.resources.model import JsonObject

REVISION: Final = "default"
MADE: Final = "lockgate.dev/gateway-deployment"  # on Deployments that stand in for those of an installation
CONTROL_PLANE: Final = "lockgate.dev/control-plane"
"""The label of what stands in for istiod. Its Pod's ports answer for the istiod in this process."""
_STATUS_PORT, _METRICS_PORT = 15021, 15090


def installed_labels(name: str) -> dict[str, str]:
    """The labels that the charts and the injector give the Pods of a gateway."""
    return {
        "app": name,
        "istio": name.removeprefix("istio-"),
        "operator.istio.io/component": "IngressGateways",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        "sidecar.istio.io/inject": "false",
    }


def gateway_deployment(
    namespace: str, name: str, selector: dict[str, str], labels: dict[str, str], services: Iterable[core.Service]
) -> JsonObject:
    """The Deployment of a gateway's Pods with these `labels`, as istioctl or the chart creates it for `services`."""
    of_services = list(services)
    revision = next(filter(None, (each.metadata.labels.get("istio.io/rev") for each in of_services)), "")
    ports = {port.target_port or port.port for each in of_services for port in each.spec.ports}
    numbers = {each for each in ports if isinstance(each, int)} | {_STATUS_PORT}
    if revision:
        labels = {**labels, "istio.io/rev": revision}
    container: JsonObject = {
        "name": "istio-proxy",
        "image": f"docker.io/istio/proxyv2:{ISTIO_VERSION}",
        "args": ["proxy", "router", "--domain", f"{namespace}.svc.cluster.local"],
        "ports": [
            *({"containerPort": number, "protocol": "TCP"} for number in sorted(numbers)),
            {"containerPort": _METRICS_PORT, "name": "http-envoy-prom", "protocol": "TCP"},
        ],
    }
    status = {"initContainers": None, "containers": ["istio-proxy"], "volumes": None, "revision": revision or REVISION}
    annotations = {
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": "15020",
        "prometheus.io/scrape": "true",
        "sidecar.istio.io/status": json.dumps(status),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {**labels, MADE: "true"}},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [container]},
            },
        },
    }


def control_plane(
    namespace: str, revision: str, domain: str, config: Mapping[str, object], cluster: str
) -> Iterator[JsonObject]:
    """What `istioctl install` or the charts base and istiod leave: istiod itself, and the configuration in force.

    `config` is the mesh configuration as the user has it; `cluster` is the kubeconfig's name of the cluster.
    """
    suffix = "" if revision == REVISION else f"-{revision}"
    name = f"istiod{suffix}"
    labels = {
        "app": "istiod",
        "istio": "pilot",
        "istio.io/rev": revision,
        "operator.istio.io/component": "Pilot",
        CONTROL_PLANE: "true",
    }

    def of(api_version: str, kind: str, name: str, labels: Mapping[str, str] = labels, **content: object) -> JsonObject:
        metadata: JsonObject = {"name": name, "labels": dict(labels)}
        if not kind.endswith("WebhookConfiguration"):
            metadata["namespace"] = namespace
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}

    yield of("v1", "ServiceAccount", name)
    yield of("v1", "ConfigMap", f"istio{suffix}", data=_mesh_data(name, namespace, domain, config))
    yield of("v1", "ConfigMap", f"istio-sidecar-injector{suffix}", data={"config": "", "values": _VALUES})
    selector = (
        {"app": "istiod", "istio": "pilot"} if revision == REVISION else {"app": "istiod", "istio.io/rev": revision}
    )
    yield of("v1", "Service", name, spec={"selector": selector, "ports": [dict(port) for port in _SERVICE_PORTS]})
    container = {
        "name": "discovery",
        "image": f"docker.io/istio/pilot:{ISTIO_VERSION}",
        "args": ["discovery", "--monitoringAddr=:15014", "--domain", domain],
        "env": [
            {"name": "REVISION", "value": revision},
            {"name": "POD_NAMESPACE", "value": namespace},
            {"name": "CLUSTER_ID", "value": cluster},
        ],
        "ports": [{"containerPort": number, "protocol": "TCP"} for number in (8080, 15010, 15012, 15014, 15017)],
    }
    spec = {"serviceAccountName": name, "containers": [container]}
    template = {"metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}}, "spec": spec}
    deployment = {"selector": {"matchLabels": selector}, "template": template}
    yield of("apps/v1", "Deployment", name, spec=deployment)
    injector = {"app": "sidecar-injector", "istio.io/rev": revision, CONTROL_PLANE: "true"}
    if revision == REVISION:  # istioctl turns the injector of a revision off that has the default tag
        yield of(_ADMISSION, _MUTATING, "istio-sidecar-injector", injector, webhooks=[_webhook(name, namespace, _OFF)])
        tag = {**injector, "istio.io/tag": REVISION}
        hook = _webhook(name, namespace, {"istio-injection": "enabled"})
        yield of(_ADMISSION, _MUTATING, f"istio-revision-tag-{REVISION}", tag, webhooks=[hook])
    else:
        hook = _webhook(name, namespace, {"istio.io/rev": revision})
        yield of(_ADMISSION, _MUTATING, f"istio-sidecar-injector{suffix}", injector, webhooks=[hook])


def _mesh_data(name: str, namespace: str, domain: str, config: Mapping[str, object]) -> JsonObject:
    defaults = config.get("defaultConfig")
    mesh = {
        "enablePrometheusMerge": True,
        "rootNamespace": namespace,
        "trustDomain": domain,
        **config,
        "defaultConfig": {
            "discoveryAddress": f"{name}.{namespace}.svc:15012",
            **(defaults if isinstance(defaults, Mapping) else {}),
        },
    }
    return {"mesh": yaml.safe_dump(mesh, sort_keys=True), "meshNetworks": "networks: {}"}


def _webhook(service: str, namespace: str, selected: Mapping[str, str]) -> JsonObject:
    """Lockgate injects no sidecars, so this one, which tools read, is never called."""
    return {
        "name": "namespace.sidecar-injector.istio.io",
        "clientConfig": {"service": {"name": service, "namespace": namespace, "path": "/inject", "port": 443}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": dict(selected)},
    }


_OFF: Final = {"istio.io/deactivated": "never-match"}
_ADMISSION, _MUTATING = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
# istioctl analyze ends with an error if `sidecarInjectorWebhook` is missing.
_VALUES: Final = json.dumps({"global": {"network": ""}, "sidecarInjectorWebhook": {"enableNamespacesByDefault": False}})
_SERVICE_PORTS: Final = (
    {"name": "grpc-xds", "port": 15010, "protocol": "TCP"},
    {"name": "https-dns", "port": 15012, "protocol": "TCP"},
    {"name": "https-webhook", "port": 443, "targetPort": 15017, "protocol": "TCP"},
    {"name": "http-monitoring", "port": 15014, "protocol": "TCP"},
)
