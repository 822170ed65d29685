"""Rate limits, which EnvoyFilters add to a gateway: the limits that a request meets, and what each may do to it.

A local limit is a token bucket of the gateway's Envoy; a global one asks a rate limit service. Neither decides by the
request alone, so most limits are possibilities. Certain are those that never refuse, and a service that is not there.

Source: Envoy's `source/extensions/filters/http/local_ratelimit/local_ratelimit.cc`, `ratelimit/ratelimit.cc`,
`source/common/router/router_ratelimit.cc`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, TypeAlias

from lockgate.gateway import patch_matches as matches
from lockgate.gateway.durations import seconds
from lockgate.gateway.model import (
    DirectResponse,
    FilterChain,
    Forward,
    Gateway,
    Http,
    Listener,
    Redirect,
    Route,
    RouteConfiguration,
    VirtualHost,
)
from lockgate.gateway.patches import Patch
from lockgate.gateway.policies.model import JWT_FILTER, HttpFilter, Jwt, Rbac, Wasm
from lockgate.gateway.request import Received, client_address
from lockgate.resources.faults import Origin
from lockgate.resources.istio.filter_names import name_today
from lockgate.resources.model import JsonObject

MANAGER: Final = "envoy.filters.network.http_connection_manager"
_LOCAL: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_GLOBAL: Final = "envoy.extensions.filters.http.ratelimit.v3.RateLimit"
_STRUCTS: Final = ("udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct")
_ROUTES: Final = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_ACTIONS: Final = {Forward: "ROUTE", Redirect: "REDIRECT", DirectResponse: "DIRECT_RESPONSE"}
_FAULT, _CORS, _ROUTER = "envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.router"


class Place(IntEnum):
    """Where a filter stands in its chain."""

    FIRST = 0  # before policies
    MIDDLE = 1  # before faults
    LAST = 2  # before the router


_PLACES: Final = {
    "istio.metadata_exchange": Place.FIRST,
    **dict.fromkeys(("envoy.filters.http.grpc_stats", "istio.alpn", _FAULT), Place.MIDDLE),
    **dict.fromkeys((_CORS, "istio.stats", _ROUTER), Place.LAST),
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """It starts with `tokens`, and gets `fill` more each `interval` seconds."""

    tokens: int
    fill: int
    interval: float


@dataclass(frozen=True, slots=True)
class LocalLimit:
    """`enabled` and `enforced` are shares of requests in percent. `descriptors` are the buckets for some requests."""

    filter: str  # namespace/name of the EnvoyFilter
    bucket: Bucket | None
    enabled: float
    enforced: float
    status: int = 429
    descriptors: int = 0
    origin: Origin | None = field(default=None, compare=False)

    @property
    def idle(self) -> str:
        """Why it never refuses a request."""
        if self.bucket is None:
            return "it has no token_bucket"
        if not self.enabled:
            return "filter_enabled is not set, which means 0 % of requests"
        return "" if self.enforced else "filter_enforced is not set, which means 0 % of requests"


@dataclass(frozen=True, slots=True)
class GlobalLimit:
    """`asked` are the descriptors that the service gets. If it does not answer, `on_failure` is the status, or None to
    let the request pass."""

    filter: str
    domain: str
    cluster: str
    asked: tuple[tuple[tuple[str, str], ...], ...] = ()
    status: int = 429
    on_failure: int | None = None
    missing: bool = False  # nobody is there to answer
    origin: Origin | None = field(default=None, compare=False)

    @property
    def idle(self) -> str:
        if not self.asked:
            return "no rate_limits of the route or its virtual host are about the request"
        lost = self.missing and not self.on_failure
        return "its service does not exist, and failure_mode_deny is not set" if lost else ""

    @property
    def refuses(self) -> bool:
        """Whether it refuses every request, because its service does not exist."""
        return bool(self.asked and self.missing and self.on_failure)


Limit: TypeAlias = LocalLimit | GlobalLimit


@dataclass(frozen=True, slots=True)
class Met:
    place: Place
    limit: Limit


@dataclass(frozen=True, slots=True)
class Reached:
    """What a request has reached when it meets limits. Without a route, Envoy answers by itself."""

    listener: Listener
    chain: FilterChain
    configuration: RouteConfiguration
    host: VirtualHost | None = None
    route: Route | None = None


def met(gateway: Gateway, reached: Reached, received: Received) -> tuple[Met, ...]:
    """The limits of the chain, in order."""
    found = [
        Met(place, limit)
        for patch, name, place in _added(gateway, reached)
        if (limit := _limit(gateway, patch, name, reached, received)) is not None
    ]
    return tuple(sorted(found, key=lambda each: each.place))


def is_limit(patch: Patch) -> bool:
    """Whether the patch does nothing but limit rates."""
    value = _value(patch)
    if patch.apply_to == "HTTP_FILTER":
        return _config(value)[0] in (_LOCAL, _GLOBAL)
    if patch.apply_to not in _ROUTES or patch.operation != "MERGE" or not value:
        return False
    rest = {name: part for name, part in value.items() if not _is_of_limits(name, part)}
    return not rest


def idle(patch: Patch, patches: Sequence[Patch]) -> str:
    """Why a filter that limits rates never refuses a request, wherever the request goes."""
    kind, config = _config(_value(patch)) if patch.apply_to == "HTTP_FILTER" else ("", {})
    name = str(_value(patch).get("name", ""))
    merged = [_value(each) for each in patches if each.apply_to in _ROUTES]
    if kind == _LOCAL:
        own = [_local(patch, config)]
        own += [_local(patch, found) for value in merged if (found := _per_filter(value, name)) is not None]
        return next((each.idle for each in reversed(own)), "") if all(each.idle for each in own) else ""
    if kind == _GLOBAL and not any(_rate_limits(value) for value in merged):
        return "no patch gives a route or virtual host rate_limits, so its service is never asked"
    return ""


# --- the filters of a chain --------------------------------------------------------------------------------------


def _added(gateway: Gateway, reached: Reached) -> Iterator[tuple[Patch, str, Place]]:
    for patch in gateway.patches:
        if patch.apply_to != "HTTP_FILTER" or _config(_value(patch))[0] not in (_LOCAL, _GLOBAL):
            continue
        listener, chain = reached.listener, reached.chain
        wanted = patch.listener.filter_chain if patch.listener else None
        if (
            matches.listener(patch.listener, listener.name, listener.port) is None
            and matches.chain(wanted, "", chain.server_names) is None
            and matches.is_of_filter(patch.listener, MANAGER)
            and (place := _place(gateway, patch, chain)) is not None
        ):
            yield patch, str(_value(patch).get("name", "")), place


def _place(gateway: Gateway, patch: Patch, chain: FilterChain) -> Place | None:
    """None if the filter is not in the chain, or behind the router, where Envoy takes none."""
    name = name_today(matches.sub_filter_name(patch.listener))
    if patch.operation == "INSERT_FIRST" or (patch.operation == "INSERT_BEFORE" and not name):
        return Place.FIRST
    if not name or not patch.operation.startswith("INSERT"):
        return None
    known = _PLACES | dict.fromkeys(map(_name, gateway.filters.http if gateway.filters else ()), Place.FIRST)
    if isinstance(chain.filter, Http) and chain.filter.grpc_web:
        known["envoy.filters.http.grpc_web"] = Place.MIDDLE
    if name not in known:
        own = (each for each in gateway.patches if each.apply_to == "HTTP_FILTER")
        return Place.LAST if any(_value(each).get("name") == name for each in own) else None
    if patch.operation == "INSERT_AFTER":
        return None if name == _ROUTER else Place.LAST if name in (_CORS, "istio.stats") else Place.MIDDLE
    return known[name]


def _name(each: HttpFilter) -> str:
    match each:
        case Jwt():
            return JWT_FILTER
        case Rbac(server=server):
            return "envoy.filters.http.ext_authz" if server else "envoy.filters.http.rbac"
        case Wasm(name=name):
            return name


# --- limits ------------------------------------------------------------------------------------------------------


def _limit(gateway: Gateway, patch: Patch, name: str, reached: Reached, received: Received) -> Limit | None:
    kind, config = _config(_value(patch))
    merged = list(_merged(gateway.patches, reached))
    if kind == _LOCAL:
        given = [found for _, value in merged if (found := _per_filter(value, name)) is not None]
        return _local(patch, given[-1] if given else config)
    if not isinstance(reached.route and reached.route.action, Forward):
        return None
    limits = [(each.apply_to, _rate_limits(value)) for each, value in merged]
    of_route = [one for part, found in limits if part == "HTTP_ROUTE" for one in found]
    of_host = [one for part, found in limits if part == "VIRTUAL_HOST" for one in found]
    also = any(_field(_field(value, "route"), "include_vh_rate_limits") for _, value in merged)
    asked = [*of_route, *(of_host if also or not of_route else ())]
    service = _field(_field(config, "rate_limit_service"), "grpc_service")
    cluster = str(_field(_field(service, "envoy_grpc"), "cluster_name") or "")
    return GlobalLimit(
        patch.filter,
        str(_field(config, "domain") or ""),
        cluster,
        tuple(each for one in asked if (each := _descriptor(one, gateway, received)) is not None),
        _status(_field(config, "rate_limited_status"), 429),
        _status(_field(config, "status_on_error"), 500) if _field(config, "failure_mode_deny") else None,
        _is_missing(gateway, cluster),
        patch.origin,
    )


def _local(patch: Patch, config: JsonObject) -> LocalLimit:
    bucket = _field(config, "token_bucket")
    descriptors = _field(config, "descriptors")
    return LocalLimit(
        patch.filter,
        _bucket(bucket) if isinstance(bucket, dict) else None,
        _percent(_field(config, "filter_enabled")),
        _percent(_field(config, "filter_enforced")),
        _status(_field(config, "status"), 429),
        len(descriptors) if isinstance(descriptors, list) else 0,
        patch.origin,
    )


def _bucket(given: JsonObject) -> Bucket:
    interval = _field(given, "fill_interval")
    return Bucket(
        _number(_field(given, "max_tokens"), 0),
        _number(_field(given, "tokens_per_fill"), 1),
        (seconds(interval) or 0.0) if isinstance(interval, str) else 0.0,
    )


def _percent(given: Any) -> float:
    """A `RuntimeFractionalPercent`, of which no runtime layer changes the value here."""
    fraction = _field(given, "default_value")
    of = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
    return 100 * _number(_field(fraction, "numerator"), 0) / of.get(str(_field(fraction, "denominator")), 100)


def _status(given: Any, default: int) -> int:
    """An `HttpStatus`. Envoy takes no status below 400 here."""
    code = _number(_field(given, "code"), 0)
    return code if code >= 400 else default


def _is_missing(gateway: Gateway, cluster: str) -> bool:
    if any(each.apply_to == "CLUSTER" and _value(each).get("name") == cluster for each in gateway.patches):
        return False
    found = gateway.clusters.get(cluster)
    return found is None or (found.discovery == "EDS" and not gateway.endpoints.get(cluster))


def _descriptor(given: Any, gateway: Gateway, received: Received) -> tuple[tuple[str, str], ...] | None:
    """What the service is asked; None without a value for each of its actions."""
    entries: list[tuple[str, str]] = []
    actions = _field(given, "actions")
    for action in actions if isinstance(actions, list) else ():
        ((kind, settings),) = action.items() if isinstance(action, dict) and len(action) == 1 else (("", {}),)
        match _snake(kind):
            case "request_headers":
                name = str(_field(settings, "header_name") or "").lower()
                value = _header(received, name)
                if value is None:
                    if _field(settings, "skip_if_absent"):
                        continue
                    return None
                entries.append((str(_field(settings, "descriptor_key")), value))
            case "generic_key":
                key = str(_field(settings, "descriptor_key") or "generic_key")
                entries.append((key, str(_field(settings, "descriptor_value"))))
            case "remote_address":
                entries.append(("remote_address", client_address(gateway.http.trusted_proxies, received.request)))
            case other:
                entries.append((other, "?"))
    return tuple(entries)


def _header(received: Received, name: str) -> str | None:
    request = received.request
    pseudo = {":path": received.target, ":method": request.method, ":authority": request.authority}
    return pseudo[name] if name in pseudo else request.header(name)


# --- patches of routes -------------------------------------------------------------------------------------------


def _merged(patches: Sequence[Patch], reached: Reached) -> Iterator[tuple[Patch, JsonObject]]:
    """What patches merge into the request's route configuration, virtual host and route, the most specific last."""
    for part in _ROUTES:
        for patch in patches:
            if (patch.apply_to, patch.operation) == (part, "MERGE") and _is_about(patch, reached):
                yield patch, _value(patch)


def _is_about(patch: Patch, reached: Reached) -> bool:
    configuration, host, route = reached.configuration, reached.host, reached.route
    if matches.routes(patch.route, configuration.name, configuration.port) is not None:
        return False
    if patch.apply_to == "ROUTE_CONFIGURATION":
        return True
    if host is None or matches.virtual_host(patch.route, host.name, host.domains) is not None:
        return False
    if patch.apply_to == "VIRTUAL_HOST":
        return True
    return route is not None and matches.route(patch.route, route.name, _ACTIONS[type(route.action)]) is None


def _per_filter(value: JsonObject, name: str) -> JsonObject | None:
    configs = _field(value, "typed_per_filter_config")
    found = configs.get(name) if isinstance(configs, dict) else None
    return _unpacked(found)[1] if isinstance(found, dict) else None


def _rate_limits(value: JsonObject) -> list[Any]:
    """Those of a virtual host, or of a route's action."""
    found = _field(value, "rate_limits") or _field(_field(value, "route"), "rate_limits")
    return found if isinstance(found, list) else []


def _is_of_limits(name: str, part: Any) -> bool:
    match _snake(name):
        case "typed_per_filter_config":
            return isinstance(part, dict) and all("ratelimit" in key for key in part)
        case "route":
            return isinstance(part, dict) and {_snake(key) for key in part} <= {"rate_limits", "include_vh_rate_limits"}
        case other:
            return other == "rate_limits"


# --- values of patches -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _value(patch: Patch) -> JsonObject:
    found = json.loads(patch.value or "{}")
    return found if isinstance(found, dict) else {}


def _config(value: JsonObject) -> tuple[str, JsonObject]:
    """The type of a filter's configuration, and its fields."""
    return _unpacked(_field(value, "typed_config"))


def _unpacked(config: Any) -> tuple[str, JsonObject]:
    if not isinstance(config, Mapping):
        return "", {}
    kind = str(config.get("@type", "")).rpartition("/")[2]
    if kind in _STRUCTS:
        inner = config.get("value")
        return str(_field(config, "type_url") or "").rpartition("/")[2], inner if isinstance(inner, dict) else {}
    return kind, dict(config)


def _field(given: Any, name: str) -> Any:
    """A field by its name in the protobuf, which JSON may also have in camel case."""
    if not isinstance(given, Mapping):
        return None
    first, *rest = name.split("_")
    return given.get(name, given.get(first + "".join(part.title() for part in rest)))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _number(given: Any, default: int) -> int:
    """A number, or a wrapped one in the form that Envoy's own dumps have."""
    found = given.get("value") if isinstance(given, Mapping) else given
    return int(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else default
