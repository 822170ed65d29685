"""The EnvoyFilters of a gateway workload: patches of its Envoy's configuration, in the order in which istiod applies
them.

Source: istio/istio `pilot/pkg/model/envoyfilter.go`, `push_context.go` (getMatchedEnvoyFilters).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.gateway.regex import full_match
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.faults import Origin
from lockgate.resources.model import JsonObject

ISTIO_VERSION = "1.30.1"  # for `match.proxy.proxyVersion`
_VARIABLE = "ISTIO_META_"
_CONTEXTS = ("ANY", "GATEWAY")
_POSITIONED = ("HTTP_FILTER", "NETWORK_FILTER", "HTTP_ROUTE", "LISTENER_FILTER")
_CLUSTER = re.compile(r"outbound\|(\d+)\|([^|\"]*)\|([A-Za-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class Patch:
    """`value` is JSON: a part of Envoy's configuration, or empty for REMOVE."""

    apply_to: str
    operation: str
    value: str
    context: str = "ANY"
    listener: istio.ListenerMatch | None = None
    route: istio.RouteConfigurationMatch | None = None
    cluster: istio.ClusterMatch | None = None
    filter: str = field(default="", compare=False)  # namespace/name of the EnvoyFilter
    origin: Origin | None = field(default=None, compare=False)


def metadata(workload: Workload, proxy: JsonObject, trust_domain: str) -> dict[str, str]:
    """The metadata of the gateway's node, as far as they are texts that manifests decide: ``ISTIO_META_A`` of its
    ProxyConfig is ``A``."""
    variables = proxy.get("proxyMetadata")
    given = variables.items() if isinstance(variables, dict) else ()
    return {
        "CLUSTER_ID": "Kubernetes",
        "ISTIO_VERSION": ISTIO_VERSION,
        "MESH_ID": str(proxy.get("meshId") or trust_domain),
        "NAMESPACE": workload.namespace,
        **{name.removeprefix(_VARIABLE): str(value) for name, value in given if name.startswith(_VARIABLE)},
    }


def patches(
    filters: Iterable[istio.EnvoyFilter], workload: Workload, root: str, node: Mapping[str, str]
) -> tuple[Patch, ...]:
    """By priority; of the same, those of the root namespace first, and older ones before younger ones. `node` are the
    metadata of the gateway's node."""

    def order(one: istio.EnvoyFilter) -> tuple[int, bool, str, str]:
        return one.spec.priority, one.namespace != root, one.metadata.creation_timestamp, one.name

    return tuple(
        patch
        for one in sorted(filters, key=order)
        if one.namespace in (root, workload.namespace) and _selects(one.spec, workload)
        for patch in _patches(one, node)
    )


def clusters_of(patch: Patch) -> Iterator[tuple[str, int, str]]:
    """Host, port and subset of the clusters of services that a patch names."""
    for port, subset, host in _CLUSTER.findall(patch.value):
        yield host, int(port), subset


def _selects(spec: istio.EnvoyFilterSpec, workload: Workload) -> bool:
    """One with targets is for gateways of the Gateway API, and for waypoints."""
    if spec.target_refs:
        return False
    return spec.workload_selector is None or workload.selected_by(spec.workload_selector.labels)


def _patches(one: istio.EnvoyFilter, node: Mapping[str, str]) -> Iterator[Patch]:
    for index, each in enumerate(one.spec.config_patches):
        match = each.match or istio.ObjectMatch()
        if each.patch is None or match.context not in _CONTEXTS or not _is_of_proxy(match.proxy, node):
            continue
        operation = each.patch.operation
        inserts = operation in ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST")
        yield Patch(
            apply_to=each.apply_to,
            operation="ADD" if inserts and each.apply_to not in _POSITIONED else operation,
            value="" if each.patch.value is None else json.dumps(each.patch.value, sort_keys=True),
            context=match.context,
            listener=match.listener,
            route=match.route_configuration,
            cluster=match.cluster,
            filter=f"{one.namespace}/{one.name}",
            origin=Origin(one.key, ("spec", "configPatches", index)),
        )


def _is_of_proxy(proxy: istio.ProxyMatch | None, node: Mapping[str, str]) -> bool:
    if proxy is None:
        return True
    return is_of_version(proxy) and all(node.get(name) == value for name, value in proxy.metadata.items())


def is_of_version(proxy: istio.ProxyMatch) -> bool:
    return not proxy.proxy_version or full_match(f".*(?:{proxy.proxy_version}).*", ISTIO_VERSION)
