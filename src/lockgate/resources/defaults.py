"""The defaults that the API server sets when an object is stored.

Upstream: `pkg/apis/*/v1/defaults.go` for built-in kinds, the CRDs' `default`s for custom ones. Addresses and node ports
are not defaults but allocations, which the store makes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from lockgate.resources.model import JsonObject


def with_defaults(manifest: JsonObject) -> JsonObject:
    """A copy with the defaults of its kind; the manifest itself if the kind has none. The shape must be valid."""
    group = manifest["apiVersion"].rpartition("/")[0]
    fill = _DEFAULTS.get((group, manifest["kind"]))
    return manifest if fill is None else fill(manifest)


def _service(manifest: JsonObject) -> JsonObject:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **_map(manifest, "spec")}
    if spec.get("ports"):
        spec["ports"] = [_service_port(port) for port in spec["ports"]]
    if spec["sessionAffinity"] == "ClientIP":
        affinity = _map(spec, "sessionAffinityConfig")
        client = {"timeoutSeconds": 10800, **_map(affinity, "clientIP")}
        spec["sessionAffinityConfig"] = {**affinity, "clientIP": client}
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    external = spec["type"] in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    return {**manifest, "spec": spec}


def _service_port(port: JsonObject) -> JsonObject:
    return {"protocol": "TCP", **port, "targetPort": port.get("targetPort") or port["port"]}


def _secret(manifest: JsonObject) -> JsonObject:
    """`stringData` is write-only: it goes into `data`."""
    result = {"type": "Opaque", **manifest}
    text = result.pop("stringData", None)
    if text:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
        result["data"] = {**_map(manifest, "data"), **encoded}
    return result


def _namespace(manifest: JsonObject) -> JsonObject:
    # The API server sets this label, so that selectors can name a namespace (NamespaceDefaultLabelName).
    metadata = _map(manifest, "metadata")
    labels = _map(metadata, "labels")
    name = metadata.get("name")
    if name:
        labels = {**labels, "kubernetes.io/metadata.name": name}
    return {
        **manifest,
        "metadata": {**metadata, "labels": labels},
        "spec": {"finalizers": ["kubernetes"], **_map(manifest, "spec")},
        "status": {"phase": "Active", **_map(manifest, "status")},
    }


def _pod(manifest: JsonObject) -> JsonObject:
    return {**manifest, "spec": _pod_spec(_map(manifest, "spec"))}


def _pod_spec(spec: JsonObject) -> JsonObject:
    filled = {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        **spec,
    }
    for name in ("containers", "initContainers"):
        if spec.get(name):
            filled[name] = [_container(one) for one in spec[name]]
    return filled


def _container(container: JsonObject) -> JsonObject:
    filled = {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": _pull_policy(container.get("image") or ""),
        "resources": {},
        **container,
    }
    if container.get("ports"):
        filled["ports"] = [{"protocol": "TCP", **port} for port in container["ports"]]
    return filled


def _pull_policy(image: str) -> str:
    last = image.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    return "Always" if last.partition(":")[2] in ("", "latest") else "IfNotPresent"


def _workload(**own: Any) -> Callable[[JsonObject], JsonObject]:
    def fill(manifest: JsonObject) -> JsonObject:
        spec = {**own, **_map(manifest, "spec")}
        template = _map(spec, "template")
        if template:
            spec["template"] = {**template, "spec": _pod_spec(_map(template, "spec"))}
        return {**manifest, "spec": spec}

    return fill


def _certificate(manifest: JsonObject) -> JsonObject:
    spec = _map(manifest, "spec")
    return {**manifest, "spec": {**spec, **_issuer_reference(spec)}}


def _issuer_reference(spec: JsonObject) -> JsonObject:
    # cert-manager 1.18 and later write these two; everything else of a Certificate is decided when it is issued.
    reference = _map(spec, "issuerRef")
    if not reference:
        return {}
    return {
        "issuerRef": {
            **reference,
            "kind": reference.get("kind") or "Issuer",
            "group": reference.get("group") or "cert-manager.io",
        }
    }


def _issuer(manifest: JsonObject) -> JsonObject:
    spec = _map(manifest, "spec")
    acme = spec.get("acme")
    if not acme:
        return manifest
    return {**manifest, "spec": {**spec, "acme": {"renewalInformationSource": "ARI", **acme}}}


def _endpoint_slice(manifest: JsonObject) -> JsonObject:
    ports = [{"name": "", "protocol": "TCP", **port} for port in manifest.get("ports") or ()]
    return {**manifest, "ports": ports}


def _endpoints(manifest: JsonObject) -> JsonObject:
    subsets = [
        {**one, "ports": [{"protocol": "TCP", **port} for port in one["ports"]]} if one.get("ports") else one
        for one in manifest.get("subsets") or ()
    ]
    return {**manifest, "subsets": subsets} if subsets else manifest


def _ingress_class(manifest: JsonObject) -> JsonObject:
    spec = _map(manifest, "spec")
    if not spec.get("parameters"):
        return manifest
    return {**manifest, "spec": {**spec, "parameters": {"scope": "Cluster", **spec["parameters"]}}}


def _map(value: JsonObject, name: str) -> JsonObject:
    return value.get(name) or {}


_ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_DEFAULTS: dict[tuple[str, str], Callable[[JsonObject], JsonObject]] = {
    ("", "Service"): _service,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "Pod"): _pod,
    ("", "Endpoints"): _endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "IngressClass"): _ingress_class,
    ("apps", "Deployment"): _workload(
        replicas=1, strategy=_ROLLING, revisionHistoryLimit=10, progressDeadlineSeconds=600
    ),
    ("apps", "ReplicaSet"): _workload(replicas=1),
    ("apps", "StatefulSet"): _workload(
        replicas=1,
        podManagementPolicy="OrderedReady",
        revisionHistoryLimit=10,
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    ),
    ("apps", "DaemonSet"): _workload(
        revisionHistoryLimit=10,
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    ),
    ("cert-manager.io", "Certificate"): _certificate,
    ("cert-manager.io", "CertificateRequest"): _certificate,
    ("cert-manager.io", "Issuer"): _issuer,
    ("cert-manager.io", "ClusterIssuer"): _issuer,
    ("acme.cert-manager.io", "Order"): _certificate,
    ("acme.cert-manager.io", "Challenge"): _certificate,
}
