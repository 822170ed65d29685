"""What an installation of Istio leaves in a cluster, besides its configuration: workloads, with their labels and ports.

Source: istio/istio `manifests/charts/gateways/istio-ingress`, `manifests/charts/istio-control/istio-discovery`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from lockgate.gateway.patches import ISTIO_VERSION
from lockgate.resources import core
from lockgate.resources.model import JsonObject

REVISION: Final = "default"
MADE: Final = "lockgate.dev/gateway-deployment"  # on Deployments that stand in for those of an installation
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
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [container]},
            },
        },
    }
