"""The gateways that `istioctl install` creates from an IstioOperator.

Source: istio/istio `manifests/charts/gateways/istio-ingress` and `istio-egress`, `manifests/profiles`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.gateway.mesh import Mesh, mesh
from lockgate.resources import istio
from lockgate.resources.istio.operator import Overlay
from lockgate.resources.model import JsonObject

MANAGER = "istioctl"
OWNER_LABEL = "install.operator.istio.io/owning-resource"
OWNER_NAMESPACE_LABEL = "install.operator.istio.io/owning-resource-namespace"

DEFAULT_SECRET_VOLUMES: Mapping[str, str] = {
    "/etc/istio/ingressgateway-certs": "istio-ingressgateway-certs",
    "/etc/istio/ingressgateway-ca-certs": "istio-ingressgateway-ca-certs",
}
_WITHOUT_INGRESS = ("minimal", "empty", "remote", "ambient")
_WITH_EGRESS = ("demo",)


@dataclass(frozen=True, slots=True)
class _Chart:
    component: str
    values: str  # the key under values.gateways
    labels: Mapping[str, str]
    type: str
    ports: tuple[JsonObject, ...]


_INGRESS = _Chart(
    "IngressGateways",
    "istio-ingressgateway",
    {"app": "istio-ingressgateway", "istio": "ingressgateway"},
    "LoadBalancer",
    (
        {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"},
        {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
    ),
)
_EGRESS = _Chart(
    "EgressGateways",
    "istio-egressgateway",
    {"app": "istio-egressgateway", "istio": "egressgateway"},
    "ClusterIP",
    (
        {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
    ),
)


@dataclass(frozen=True, slots=True)
class InstalledGateway:
    """`service` is the manifest to apply, `pod_annotations` are those of the gateway's Pods, and `secret_volumes` maps
    their mount paths to Secrets."""

    service: JsonObject
    pod_annotations: Mapping[str, str]
    secret_volumes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Installation:
    gateways: tuple[InstalledGateway, ...]
    mesh: Mesh


def install(operator: istio.IstioOperator) -> Installation:
    """The gateway Services that an IstioOperator requests, and its mesh settings."""
    spec = operator.spec
    values = _merged(spec.values, spec.unvalidated_values)
    network = _object(values, "global")
    namespace = installed_in(operator)
    domain = str(_object(network, "proxy").get("clusterDomain") or "cluster.local")
    gateways = [
        _gateway(component, chart, values, namespace, operator)
        for chart, component in (
            *((_INGRESS, one) for one in _components(spec.components.ingress_gateways, _INGRESS, spec.profile)),
            *((_EGRESS, one) for one in _components(spec.components.egress_gateways, _EGRESS, spec.profile)),
        )
    ]
    config = mesh_config(operator)
    return Installation(tuple(gateways), mesh(config, domain=domain, namespace=namespace))


def installed_in(operator: istio.IstioOperator) -> str:
    """The namespace of the control plane."""
    network = _object(_merged(operator.spec.values, operator.spec.unvalidated_values), "global")
    return operator.spec.namespace or str(network.get("istioNamespace") or "istio-system")


def mesh_config(operator: istio.IstioOperator) -> JsonObject:
    """The mesh configuration as the operator has it, without Istio's defaults."""
    values = _merged(operator.spec.values, operator.spec.unvalidated_values)
    return _merged(_object(values, "meshConfig"), operator.spec.mesh_config)


def _components(
    listed: tuple[istio.GatewayComponent, ...], chart: _Chart, profile: str
) -> Iterator[istio.GatewayComponent]:
    """The enabled gateways. The profile's own gateway is enabled unless it is listed as disabled."""
    own = (chart is _INGRESS and profile not in _WITHOUT_INGRESS) or (chart is _EGRESS and profile in _WITH_EGRESS)
    if own and not any((one.name or chart.values) == chart.values for one in listed):
        yield istio.GatewayComponent(name=chart.values)
    for one in listed:
        name = one.name or chart.values
        enabled = one.enabled if one.enabled is not None else own and name == chart.values
        if enabled:
            yield one.model_copy(update={"name": name})


def _gateway(
    component: istio.GatewayComponent,
    chart: _Chart,
    values: JsonObject,
    namespace: str,
    operator: istio.IstioOperator,
) -> InstalledGateway:
    own = _object(_object(values, "gateways"), chart.values)
    k8s = component.k8s.manifest()
    service = _object(k8s, "service")
    labels = {**chart.labels, **_strings(own, "labels"), **component.label}
    spec: JsonObject = {
        **service,
        "type": service.get("type") or own.get("type") or chart.type,
        "selector": {**labels, **_strings(service, "selector")},
        "ports": [dict(port) for port in _ports(service) or _ports(own) or chart.ports],
    }
    for name in (
        "externalTrafficPolicy", "loadBalancerIP", "loadBalancerSourceRanges", "externalIPs", "loadBalancerClass",
        "ipFamilies", "ipFamilyPolicy", "allocateLoadBalancerNodePorts",
    ):  # fmt: skip
        if value := own.get(name):
            spec.setdefault(name, value)
    manifest: JsonObject = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": component.name,
            "namespace": component.namespace or namespace,
            "labels": {
                **labels,
                "release": "istio",
                "istio.io/rev": operator.spec.revision or "default",
                "operator.istio.io/component": chart.component,
                OWNER_LABEL: operator.name or "unknown",
                OWNER_NAMESPACE_LABEL: operator.namespace or namespace,
            },
            "annotations": {**_strings(own, "serviceAnnotations"), **_strings(k8s, "serviceAnnotations")},
        },
        "spec": spec,
    }
    _overlay(manifest, component.k8s.overlays)
    annotations = {**_strings(own, "podAnnotations"), **_strings(k8s, "podAnnotations")}
    return InstalledGateway(manifest, annotations, _secret_volumes(own))


def _secret_volumes(own: JsonObject) -> dict[str, str]:
    volumes = own.get("secretVolumes")
    if not isinstance(volumes, list):
        return dict(DEFAULT_SECRET_VOLUMES)
    return {
        str(volume.get("mountPath", "")).rstrip("/"): str(volume.get("secretName", ""))
        for volume in volumes
        if isinstance(volume, dict)
    }


def _overlay(manifest: JsonObject, overlays: Iterable[Overlay]) -> None:
    """`k8s.overlays` of the Service: patches by path, such as ``spec.ports[name:https].nodePort``.

    A patch may not remove the Service's name.
    """
    identity = {name: manifest["metadata"][name] for name in ("name", "namespace")}
    for overlay in overlays:
        if overlay.kind == "Service" and overlay.name in ("", identity["name"]):
            for patch in overlay.patches:
                if steps := _steps(patch.path):
                    _patch(manifest, steps, copy.deepcopy(patch.value))
    metadata = manifest.get("metadata")
    manifest["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), **identity}


def _steps(path: str) -> list[str]:
    """The steps of a path: ``a.b[name:x].c`` is ``a``, ``b``, ``[name:x]``, ``c``."""
    steps: list[str] = []
    for part in path.replace("[", ".[").split("."):
        if steps and steps[-1].startswith("[") and not steps[-1].endswith("]"):
            steps[-1] += "." + part
        elif part:
            steps.append(part)
    return steps


def _patch(node: Any, steps: list[str], value: Any) -> None:
    """Sets a value, or removes the path if there is no value. A path that does not exist has no effect."""
    *before, last = steps
    for step in before:
        found = _child(node, step)
        if found is None and isinstance(node, dict) and not step.startswith("["):
            found = node[step] = {}
        if found is None:
            return
        node = found
    if isinstance(node, dict):
        if value is None:
            node.pop(last, None)
        else:
            node[last] = value
    elif isinstance(node, list) and last.startswith("["):
        child = _child(node, last)
        if value is None and child is not None:
            node.remove(child)
        elif child is not None:
            node[node.index(child)] = value
        elif value is not None:
            node.append(value)


def _child(node: Any, step: str) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    if not isinstance(node, list) or not step.startswith("["):
        return None
    key, colon, value = step[1:-1].partition(":")
    if colon:
        return next((one for one in node if isinstance(one, dict) and str(one.get(key)) == value), None)
    return node[int(key)] if key.isdecimal() and int(key) < len(node) else None


def _ports(settings: JsonObject) -> list[JsonObject]:
    ports = settings.get("ports")
    return [port for port in ports if isinstance(port, dict)] if isinstance(ports, list) else []


def _object(settings: JsonObject, name: str) -> JsonObject:
    value = settings.get(name)
    return value if isinstance(value, dict) else {}


def _strings(settings: JsonObject, name: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in _object(settings, name).items() if value is not None}


def _merged(base: JsonObject, over: JsonObject) -> JsonObject:
    merged = dict(base)
    for name, value in over.items():
        earlier = merged.get(name)
        merged[name] = _merged(earlier, value) if isinstance(earlier, dict) and isinstance(value, dict) else value
    return merged
