"""Applies the patches of EnvoyFilters to listeners, route configurations and clusters, as istiod does.

Source: istio/istio `pilot/pkg/networking/core/envoyfilter`: `listener_patch.go`, `rc_patch.go`, `cluster_patch.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)

from lockgate.gateway import patch_matches as matches
from lockgate.gateway.patches import Patch
from lockgate.resources.istio.filter_names import is_called
from lockgate.xds.gateway.patch_values import merge, merge_filter, merged, value_of
from lockgate.xds.protobuf import Message, pack, serialised

Patches: TypeAlias = Sequence[Patch]

LISTENERS: Final = ("LISTENER", "LISTENER_FILTER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER")
ROUTES: Final = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
MANAGER: Final = "envoy.filters.network.http_connection_manager"
_ACTIONS: Final = {"route": "ROUTE", "redirect": "REDIRECT", "direct_response": "DIRECT_RESPONSE"}
# Filters of a real gateway that are not served here, each with the next one: patches may be relative to them.
_ABSENT: Final = (
    ("istio.metadata_exchange", None),
    ("envoy.filters.http.grpc_stats", "envoy.filters.http.fault"),
    ("istio.alpn", "envoy.filters.http.fault"),
    ("istio.stats", "envoy.filters.http.router"),
)


# --- listeners ---------------------------------------------------------------------------------------------------


def listener(body: bytes, patches: Patches, port: int) -> bytes | None:
    """`port` is the listener's as Istio sees it. None if a patch removes the listener."""
    message = Listener.FromString(body)
    mine = [patch for patch in patches if matches.listener(patch.listener, message.name, port) is None]
    for patch in mine:
        if patch.apply_to == "LISTENER" and patch.operation == "REMOVE":
            return None
        if patch.apply_to == "LISTENER" and patch.operation == "MERGE":
            merge(message, value_of(patch))
    for patch in mine:
        if patch.apply_to == "LISTENER_FILTER":
            wanted = patch.listener.listener_filter if patch.listener else ""
            _positioned(message.listener_filters, patch, wanted)
    kept = [chain for chain in message.filter_chains if _chain(chain, mine)]
    _discover(kept, [value_of(patch) for patch in patches if patch.apply_to == "EXTENSION_CONFIG"])
    kept += [value_of(patch) for patch in mine if (patch.apply_to, patch.operation) == ("FILTER_CHAIN", "ADD")]
    _replace(message.filter_chains, kept)
    return serialised(message)


def _chain(chain: Message, patches: Patches) -> bool:
    """Whether the chain stays."""
    mine = [patch for patch in patches if _is_of(patch, chain)]
    for patch in mine:
        if patch.apply_to == "FILTER_CHAIN" and patch.operation == "REMOVE":
            return False
        if patch.apply_to == "FILTER_CHAIN" and patch.operation == "MERGE":
            _merge_with_socket(chain, value_of(patch))
    own = [patch for patch in mine if patch.apply_to == "NETWORK_FILTER"]
    for patch in own:
        _positioned(chain.filters, patch, matches.filter_name(patch.listener))
    for each in chain.filters:
        for patch in own:
            if patch.operation == "MERGE" and matches.is_of_filter(patch.listener, each.name):
                merge_filter(each, value_of(patch))
        if each.name == MANAGER:
            of_http = [p for p in mine if p.apply_to == "HTTP_FILTER" and matches.is_of_filter(p.listener, each.name)]
            if of_http:
                _http_filters(each, of_http)
    return True


def _discover(chains: Iterable[Message], extensions: Iterable[Message]) -> None:
    """Gives filters the configuration that they would discover, as istiod serves it under their names (ECDS)."""
    known = {each.name: each.typed_config for each in extensions}
    for each in (found for chain in chains for found in chain.filters) if known else ():
        manager = HttpConnectionManager()
        if each.name == MANAGER and each.typed_config.Unpack(manager):
            for one in manager.http_filters:
                _discovered(one, known)
            each.typed_config.CopyFrom(pack(manager))
        else:
            _discovered(each, known)


def _discovered(one: Message, known: Mapping[str, Message]) -> None:
    if one.HasField("config_discovery") and one.name in known:
        one.typed_config.CopyFrom(known[one.name])


def _http_filters(each: Message, patches: Patches) -> None:
    manager = HttpConnectionManager()
    if not each.typed_config.Unpack(manager):
        return
    _replace(manager.http_filters, with_absent(manager.http_filters))
    for patch in patches:
        _positioned(manager.http_filters, patch, matches.sub_filter_name(patch.listener))
    for one in manager.http_filters:
        for patch in patches:
            if patch.operation == "MERGE" and matches.is_of_sub_filter(patch.listener, one.name):
                merge_filter(one, value_of(patch))
    absent = {name for name, _ in _ABSENT}
    _replace(manager.http_filters, [one for one in manager.http_filters if one.name not in absent or _is_real(one)])
    each.typed_config.CopyFrom(pack(manager))


def with_absent(filters: Iterable[Message]) -> list[Message]:
    found: list[Message] = []
    for each in filters:
        found += (HttpFilter(name=name) for name, after in _ABSENT if after == each.name)
        found.append(each)
    return [*(HttpFilter(name=name) for name, after in _ABSENT if after is None), *found]


def _is_real(one: Message) -> bool:
    return bool(one.WhichOneof("config_type"))


def _is_of(patch: Patch, chain: Message) -> bool:
    return chain_mismatch(patch, chain) is None


def chain_mismatch(patch: Patch, chain: Message) -> matches.Mismatch | None:
    own = chain.filter_chain_match
    return matches.chain(
        patch.listener.filter_chain if patch.listener else None,
        chain.name,
        own.server_names,
        own.transport_protocol,
        own.application_protocols,
        own.destination_port.value,
    )


def _positioned(parts: Any, patch: Patch, wanted: str) -> None:
    """Adds, replaces or removes a part of a list; `wanted` is the name of the part that the patch is relative to."""
    placed = _placed(list(parts), patch, lambda each: is_called(each.name, wanted) if wanted else None)
    if placed is not None:
        _replace(parts, placed)


def _placed(parts: list[Message], patch: Patch, is_wanted: Callable[[Message], bool | None]) -> list[Message] | None:
    """The list after a patch; None if it stays. `is_wanted` says None if the patch is relative to no part."""
    if patch.operation in ("MERGE", "INVALID"):
        return None
    relative = is_wanted(parts[0]) is not None if parts else False
    place = next((index for index, each in enumerate(parts) if is_wanted(each)), None)
    match patch.operation:
        case "ADD":
            return [*parts, value_of(patch)]
        case "INSERT_FIRST":
            return [value_of(patch), *parts]
        case "INSERT_AFTER" if not relative:
            return [*parts, value_of(patch)]
        case "INSERT_BEFORE" if not relative:
            return [value_of(patch), *parts]
    if place is None:
        return None
    match patch.operation:
        case "INSERT_AFTER":
            return [*parts[: place + 1], value_of(patch), *parts[place + 1 :]]
        case "INSERT_BEFORE":
            return [*parts[:place], value_of(patch), *parts[place:]]
        case "REPLACE":
            return [value_of(patch) if is_wanted(each) else each for each in parts]
        case _:
            return [each for each in parts if not is_wanted(each)]


def _replace(parts: Any, new: Iterable[Message]) -> None:
    copies = [type(each).FromString(each.SerializeToString(deterministic=True)) for each in new]
    del parts[:]
    parts.extend(copies)


def _merge_with_socket(into: Message, other: Message) -> None:
    """Where both have a transport socket of one name, only its configuration is merged, as istiod does."""
    if not other.HasField("transport_socket") or not into.HasField("transport_socket"):
        merge(into, other)
    elif into.transport_socket.name == other.transport_socket.name:
        new = merged(into.transport_socket.typed_config, other.transport_socket.typed_config)
        into.transport_socket.typed_config.CopyFrom(new)
    else:
        merge(into, other)


# --- routes ------------------------------------------------------------------------------------------------------


def routes(body: bytes, patches: Patches, port: int) -> bytes:
    """`port` is the Gateway's, 80 for the route configuration ``http.8080``."""
    message = RouteConfiguration.FromString(body)
    mine = [patch for patch in patches if matches.routes(patch.route, message.name, port) is None]
    for patch in mine:
        if (patch.apply_to, patch.operation) == ("ROUTE_CONFIGURATION", "MERGE"):
            merge(message, value_of(patch))
    hosts = [found for host in message.virtual_hosts if (found := _host(host, mine)) is not None]
    hosts += [value_of(patch) for patch in mine if (patch.apply_to, patch.operation) == ("VIRTUAL_HOST", "ADD")]
    _replace(message.virtual_hosts, hosts)
    return serialised(message)


def _host(host: Message, patches: Patches) -> Message | None:
    for patch in patches:
        if patch.apply_to == "VIRTUAL_HOST" and _is_on(patch, host):
            if patch.operation == "REMOVE":
                return None
            if patch.operation == "MERGE":
                merge(host, value_of(patch))
            elif patch.operation == "REPLACE":
                host = type(host).FromString(serialised(value_of(patch)))
    own = [patch for patch in patches if patch.apply_to == "HTTP_ROUTE" and _is_on(patch, host)]
    if own:
        kept = [route for route in host.routes if _route(route, own)]
        for patch in own:
            if patch.operation.startswith(("ADD", "INSERT")):
                kept = _route_placed(kept, patch)
        _replace(host.routes, kept)
    return host


def _route(route: Message, patches: Patches) -> bool:
    """Whether the route stays."""
    for patch in patches:
        if _is_about(patch, route) is not False:
            if patch.operation == "REMOVE":
                return False
            if patch.operation == "MERGE":
                merge(route, value_of(patch))
    return True


def _route_placed(kept: list[Message], patch: Patch) -> list[Message]:
    """INSERT_FIRST of a route that is relative to another needs the other."""
    if patch.operation == "INSERT_FIRST" and patch.route and patch.route.vhost and patch.route.vhost.route:
        return [value_of(patch), *kept] if any(_is_about(patch, each) for each in kept) else kept
    placed = _placed(kept, patch, lambda route: _is_about(patch, route))
    return kept if placed is None else placed


def _is_on(patch: Patch, host: Message) -> bool:
    return matches.virtual_host(patch.route, host.name, host.domains) is None


def _is_about(patch: Patch, route: Message) -> bool | None:
    """None if the patch is about every route."""
    if not (patch.route and patch.route.vhost and patch.route.vhost.route):
        return None
    action = _ACTIONS.get(route.WhichOneof("action") or "", "ANY")
    return matches.route(patch.route, route.name, action) is None


# --- clusters ----------------------------------------------------------------------------------------------------


def cluster(body: bytes, patches: Patches) -> bytes | None:
    """None if a patch removes the cluster."""
    message = Cluster.FromString(body)
    for patch in patches:
        if matches.cluster(patch.cluster, message.name) is not None:
            continue
        if patch.operation == "REMOVE":
            return None
        if patch.operation == "MERGE":
            value = value_of(patch)
            both = message.HasField("transport_socket") and value.HasField("transport_socket")
            if both and message.transport_socket.name != value.transport_socket.name:
                message.transport_socket.CopyFrom(value.transport_socket)
            else:
                _merge_with_socket(message, value)
    return serialised(message)
