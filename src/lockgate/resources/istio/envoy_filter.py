"""EnvoyFilter: patches of a proxy's configuration (istio/api `networking/v1alpha3/envoy_filter.proto`)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.selectors import TargetReference
from lockgate.resources.istio.versions import CATEGORIES
from lockgate.resources.meta import AGE
from lockgate.resources.model import Integer, JsonObject, Kind, Model, Resource, register


class FilterNameMatch(Model):
    name: str = ""


class FilterMatch(Model):
    name: str = ""
    sub_filter: FilterNameMatch | None = None


class FilterChainMatch(Model):
    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    destination_port: Integer = 0
    filter: FilterMatch | None = None


class ListenerMatch(Model):
    name: str = ""
    port_number: Integer = 0
    port_name: str = ""
    listener_filter: str = ""
    filter_chain: FilterChainMatch | None = None


class PatchedRouteMatch(Model):
    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostMatch(Model):
    name: str = ""
    domain_name: str = ""
    route: PatchedRouteMatch | None = None


class RouteConfigurationMatch(Model):
    name: str = ""
    port_number: Integer = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None


class ClusterMatch(Model):
    name: str = ""
    service: str = ""
    subset: str = ""
    port_number: Integer = 0


class ProxyMatch(Model):
    proxy_version: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)


class WaypointMatch(Model):
    port_number: Integer = 0
    filter: FilterMatch | None = None
    route: FilterNameMatch | None = None


class ObjectMatch(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("listener", "routeConfiguration", "cluster", "waypoint"),)

    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None


class ConfigPatchValue(Model):
    operation: Literal[
        "INVALID",
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
    ] = "INVALID"
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"
    value: JsonObject | None = None


class ConfigPatch(Model):
    apply_to: Literal[
        "INVALID",
        "LISTENER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
        "LISTENER_FILTER",
    ] = "INVALID"
    match: ObjectMatch | None = None
    patch: ConfigPatchValue | None = None


class FilterSelector(Model):
    labels: dict[str, str] = Field(default_factory=dict)


class EnvoyFilterSpec(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("workloadSelector", "targetRefs"),)

    workload_selector: FilterSelector | None = None
    target_refs: tuple[TargetReference, ...] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: Integer = 0


@register
class EnvoyFilter(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        ("v1alpha3",),
        "EnvoyFilter",
        "envoyfilters",
        categories=CATEGORIES,
        columns=(AGE,),
    )

    spec: EnvoyFilterSpec = Field(default_factory=EnvoyFilterSpec)
    status: JsonObject = Field(default_factory=dict)
