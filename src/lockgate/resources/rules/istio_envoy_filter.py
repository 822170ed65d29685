"""Istio's webhook for EnvoyFilter: `pkg/config/validation/envoyfilter/envoyfilter.go`, without the patches' values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.istio.filter_names import name_today
from lockgate.resources.regexes import go_mistake
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_MANAGER: Final = "envoy.filters.network.http_connection_manager"
_LISTENERS: Final = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER")
_ROUTES: Final = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_NOT_AT_WAYPOINTS: Final = ("LISTENER", "LISTENER_FILTER", "BOOTSTRAP", "EXTENSION_CONFIG")


def refusals(made: istio.EnvoyFilter) -> Iterator[FieldError]:
    selector = made.spec.workload_selector
    for name, value in (selector.labels if selector else {}).items():
        at = ("spec", "workloadSelector", "labels", name)
        if not name:
            yield problem(at, f"empty key is not supported in selector: {q(f'{name}={value}')}")
        if "*" in name or "*" in value:
            yield problem(at, f"wildcard is not supported in selector: {q(f'{name}={value}')}")
    for index, each in enumerate(made.spec.config_patches):
        yield from _patch(("spec", "configPatches", index), each)


def warnings(made: istio.EnvoyFilter) -> Iterator[FieldError]:
    selector = made.spec.workload_selector
    if selector is not None and not selector.labels:
        message = (
            "Envoy filter: workload selector specified without labels, will be applied to all services in namespace"
        )
        yield problem(("spec", "workloadSelector"), message)
    for index, each in enumerate(made.spec.config_patches):
        listener = each.match.listener if each.match else None
        found = listener.filter_chain.filter if listener and listener.filter_chain else None
        if each.apply_to not in _LISTENERS or found is None:
            continue
        at: Path = ("spec", "configPatches", index, "match", "listener", "filterChain", "filter")
        for where, named in ((at, found), ((*at, "subFilter"), found.sub_filter)):
            if named and (name := name_today(named.name)) != named.name:
                message = f"using deprecated filter name {q(named.name)}; use {q(name)} instead"
                yield problem((*where, "name"), message)
        if each.apply_to in _LISTENERS[:2]:
            yield problem(at, f"Envoy filter: filter match has no effect when used with {each.apply_to}")


def _patch(path: Path, each: istio.ConfigPatch) -> Iterator[FieldError]:
    """The first mistake of a patch, as the webhook reports it."""
    if each.apply_to == "INVALID":
        yield required((*path, "applyTo"), "Envoy filter: missing applyTo")
    elif each.match is not None and (mistake := next(_at_waypoint((*path, "match"), each.apply_to, each.match), None)):
        yield mistake
    elif each.patch is None:
        yield required((*path, "patch"), "Envoy filter: missing patch")
    elif each.patch.operation == "INVALID":
        yield required((*path, "patch", "operation"), "Envoy filter: missing patch operation")
    elif each.patch.operation != "REMOVE" and each.patch.value is None:
        yield required((*path, "patch", "value"), "Envoy filter: missing patch value for non-remove operation")
    elif each.match is not None:
        yield from _match((*path, "match"), each.apply_to, each.match)


def _match(path: Path, apply_to: str, match: istio.ObjectMatch) -> Iterator[FieldError]:
    if match.proxy and (mistake := go_mistake(match.proxy.proxy_version)):
        message = f"Envoy filter: invalid regex for proxy version, [error parsing regexp: {mistake}]"
        yield problem((*path, "proxy", "proxyVersion"), message)
        return
    if match.context == "WAYPOINT":
        return
    other = match.route_configuration or match.cluster
    if apply_to in _LISTENERS:
        if match.listener is None and other is not None:
            message = "Envoy filter: applyTo for listener class objects cannot have non listener match"
            yield conflict(path, message)
        elif match.listener and match.listener.filter_chain and match.listener.filter_chain.filter:
            at = (*path, "listener", "filterChain", "filter")
            yield from _filter(at, apply_to, match.listener.filter_chain.filter)
    elif apply_to in _ROUTES and not match.route_configuration and (match.listener or match.cluster):
        message = "Envoy filter: applyTo for http route class objects cannot have non route configuration match"
        yield conflict(path, message)
    elif apply_to == "CLUSTER" and not match.cluster and (match.listener or other):
        yield conflict(path, "Envoy filter: applyTo for cluster class objects cannot have non cluster match")


def _at_waypoint(path: Path, apply_to: str, match: istio.ObjectMatch) -> Iterator[FieldError]:
    """A waypoint's objects are matched by `waypoint`, and by nothing else (the first by the CRD's schema)."""
    waypoint = match.waypoint
    other = match.listener or match.route_configuration or match.cluster
    if other if match.context == "WAYPOINT" else waypoint:
        yield conflict(path, "only support waypointMatch when context is WAYPOINT")
    if match.context != "WAYPOINT":
        return
    what = f"Envoy filter: applyTo {apply_to}"
    if apply_to in _NOT_AT_WAYPOINTS:
        yield conflict((*path, "context"), f"{what} is not supported for waypoint")
    if waypoint is None:
        return
    at = (*path, "waypoint")
    if not 0 <= waypoint.port_number <= 65535:
        yield problem((*at, "portNumber"), "should be in the range 0..65535")
    if waypoint.filter and (apply_to in _ROUTES or apply_to == "CLUSTER"):
        yield conflict((*at, "filter"), f"{what} for waypoint cannot have filter match")
    if waypoint.route and apply_to not in _ROUTES:
        yield conflict((*at, "route"), f"{what} for waypoint cannot have route match")
    if apply_to == "HTTP_FILTER":
        if waypoint.filter is None:
            yield required((*at, "filter"), f"{what} for waypoint must have filter match")
        elif waypoint.filter.name != _MANAGER:
            yield conflict((*at, "filter", "name"), f"{what} for waypoint requires name with {_MANAGER}")
        elif waypoint.filter.sub_filter is None or not waypoint.filter.sub_filter.name:
            yield required((*at, "filter", "subFilter", "name"), f"{what} for waypoint must have subfilter name")


def _filter(path: Path, apply_to: str, match: istio.FilterMatch) -> Iterator[FieldError]:
    if not match.name:
        yield required((*path, "name"), "Envoy filter: filter match has no name to match on")
    elif match.sub_filter is not None:
        at = (*path, "subFilter")
        if apply_to != "HTTP_FILTER":
            yield conflict(at, "Envoy filter: subfilter match can be used with applyTo HTTP_FILTER only")
        elif match.name not in (_MANAGER, "envoy.http_connection_manager"):
            yield conflict(at, f"Envoy filter: subfilter match requires filter match with {_MANAGER}")
        elif not match.sub_filter.name:
            yield required((*at, "name"), "Envoy filter: subfilter match has no name to match on")
