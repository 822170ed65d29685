"""The ProxyConfig of a gateway workload: the Pod's `proxy.istio.io/config` over meshConfig's defaults, and variables of
the kind ProxyConfig under and over it.

A field of the annotation replaces meshConfig's as a whole; variables are merged by name, and `proxyHeaders` by header.

Source: istio/istio `pilot/pkg/model/proxy_config.go`, `pkg/config/mesh/mesh.go` (MergeProxyConfig).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from lockgate.gateway.workload import Workload
from lockgate.resources import istio, source
from lockgate.resources.chunks import Chunk
from lockgate.resources.model import JsonObject

_MERGED: Final = ("proxyMetadata", "proxyHeaders")
# istio/api `mesh/v1alpha1/proxy.proto`
_FIELDS: Final = (
    "configPath", "binaryPath", "serviceCluster", "tracingServiceName", "drainDuration", "discoveryAddress",
    "statsdUdpAddress", "proxyAdminPort", "controlPlaneAuthPolicy", "customConfigFile", "statNameLength",
    "concurrency", "proxyBootstrapTemplatePath", "interceptionMode", "tracing", "envoyAccessLogService",
    "envoyMetricsService", "proxyMetadata", "runtimeValues", "statusPort", "extraStatTags", "gatewayTopology",
    "terminationDrainDuration", "meshId", "readinessProbe", "proxyStatsMatcher", "holdApplicationUntilProxyStarts",
    "caCertificatesPem", "image", "privateKeyProvider", "proxyHeaders", "connectionSettings", "fileFlushInterval",
    "fileFlushMinSizeKb", "statsCompression",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variables:
    """Environment variables of a proxy from ProxyConfigs: those of whole namespaces, which the Pod's annotation
    overrides, and those that select the workload, which override the annotation."""

    general: JsonObject
    selected: JsonObject


def variables(configs: Iterable[istio.ProxyConfig], workload: Workload, root: str) -> Variables:
    """Of the root namespace and of the workload's the oldest ProxyConfig without a selector, and the oldest that
    selects the workload."""
    ordered = sorted(configs, key=lambda one: (one.metadata.creation_timestamp, one.name))
    general: JsonObject = {}
    for namespace in dict.fromkeys((root, workload.namespace)):
        whole = (one for one in ordered if one.namespace == namespace and one.spec.selector is None)
        general |= next((one.spec.environment_variables for one in whole), {})
    selecting = (one for one in ordered if one.namespace == workload.namespace and _selects(one, workload))
    return Variables(general, next((dict(one.spec.environment_variables) for one in selecting), {}))


def proxy_config(default: JsonObject, annotation: str, found: Variables) -> JsonObject:
    """The ProxyConfig of one workload, of which `default` is the mesh's.

    Raises `ValueError` if the annotation is not a YAML mapping of fields.
    """
    try:
        own = source.load(Chunk("proxy.istio.io/config", 0, annotation), []) or {}
    except source.Unreadable as error:
        raise ValueError(error.fault.message) from error
    if not isinstance(own, dict):
        raise ValueError("not a mapping")
    for name in own:
        if name not in _FIELDS and (near := get_close_matches(name, _FIELDS, 1)):
            raise ValueError(f"it has no field {name}; did you mean {near[0]}?")
    proxy = _over(default, {"proxyMetadata": found.general})
    return _over(_over(proxy, own), {"proxyMetadata": found.selected})


def _selects(one: istio.ProxyConfig, workload: Workload) -> bool:
    labels = one.spec.selector.match_labels if one.spec.selector else {}
    return bool(labels) and workload.selected_by(labels)


def _over(base: JsonObject, over: JsonObject) -> JsonObject:
    merged = {**base, **over}
    for name in _MERGED:
        if isinstance(first := base.get(name), dict) and isinstance(second := over.get(name), dict):
            merged[name] = {**first, **second}
    return merged
