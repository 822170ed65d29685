"""Says why a patch of an EnvoyFilter matches nothing of a gateway's configuration.

The candidate that matched most decides what is said: a patch for a filter of a listener that exists is about the
filter's name, not about the names of other listeners.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from lockgate.gateway import model
from lockgate.gateway import patch_matches as matches
from lockgate.gateway.patch_matches import Mismatch
from lockgate.gateway.patches import Patch
from lockgate.resources.istio.filter_names import is_called
from lockgate.xds.gateway import patching
from lockgate.xds.gateway.listeners import Settings, filter_chain, listener
from lockgate.xds.gateway.patch_values import value_of
from lockgate.xds.gateway.patched import unreadable
from lockgate.xds.protobuf import Message

_FEW: Final = 2
_ACTIONS: Final = {model.Forward: "ROUTE", model.Redirect: "REDIRECT", model.DirectResponse: "DIRECT_RESPONSE"}
_FILTER: Final = "listener.filterChain.filter"
_ADDED_HOST: Final = ("VIRTUAL_HOST", "ADD")
_NEEDS_ANOTHER: Final = ("INSERT_BEFORE", "INSERT_AFTER", "REPLACE", "REMOVE", "MERGE")


class _Candidate(NamedTuple):
    """`depth` counts the parts that match around the one that does not; without a mismatch the patch matches."""

    depth: int
    mismatch: Mismatch | None


def unmatched(patch: Patch, gateway: model.Gateway, clusters: Iterable[str]) -> str | None:
    """None if the patch matches something. `clusters` are the names of those that the gateway can have. Readable
    patches only (`patched.unreadable`)."""
    if patch.apply_to == "EXTENSION_CONFIG":
        name = value_of(patch).name
        return None if _is_discovered(name, gateway) else f"no filter discovers a configuration with the name {name}"
    found: list[_Candidate] = []
    for each in _candidates(patch, gateway, clusters):
        if each.mismatch is None:
            return None
        found.append(each)
    if not found:
        return "the gateway has no such part"
    deepest = max(each.depth for each in found)
    nearest = [each.mismatch for each in found if each.depth == deepest and each.mismatch]
    first = nearest[0]
    has = list(dict.fromkeys(each.has or "no name" for each in nearest if each.field == first.field))
    close = get_close_matches(first.wanted, has, n=_FEW, cutoff=0)
    more = f" and {len(has) - len(close)} more" if len(has) > len(close) else ""
    return f"match.{first.field} is {first.wanted}, and the gateway has {', '.join(close)}{more}"


def _is_discovered(name: str, gateway: model.Gateway) -> bool:
    filters = (each for each in gateway.patches if each.apply_to in ("HTTP_FILTER", "NETWORK_FILTER"))
    return any(
        (value := value_of(each)).name == name and value.HasField("config_discovery")
        for each in filters
        if each.value and unreadable(each) is None
    )


def _candidates(patch: Patch, gateway: model.Gateway, clusters: Iterable[str]) -> Iterator[_Candidate]:
    if (patch.operation, patch.apply_to) in (("ADD", "LISTENER"), ("ADD", "CLUSTER")):
        yield _Candidate(0, None)
    elif patch.apply_to in patching.LISTENERS:
        yield from _in_listeners(patch, gateway)
    elif patch.apply_to in patching.ROUTES:
        yield from _in_routes(patch, gateway)
    elif patch.apply_to == "CLUSTER":
        yield from (_Candidate(0, matches.cluster(patch.cluster, name)) for name in clusters)
    else:
        yield _Candidate(0, None)


# --- listeners ---------------------------------------------------------------------------------------------------


def _in_listeners(patch: Patch, gateway: model.Gateway) -> Iterator[_Candidate]:
    for port, message in _listeners(gateway):
        mismatch = matches.listener(patch.listener, message.name, port)
        if mismatch or patch.apply_to == "LISTENER":
            yield _Candidate(0, mismatch)
        elif patch.apply_to == "LISTENER_FILTER":
            wanted = patch.listener.listener_filter if patch.listener else ""
            yield from _named(1, patch, wanted, "listener.listenerFilter", message.listener_filters)
        elif (patch.apply_to, patch.operation) == ("FILTER_CHAIN", "ADD"):
            yield _Candidate(1, None)
        else:
            for chain in message.filter_chains:
                mismatch = patching.chain_mismatch(patch, chain)
                if mismatch or patch.apply_to == "FILTER_CHAIN":
                    yield _Candidate(1, mismatch)
                else:
                    yield from _in_chain(patch, chain)


def _in_chain(patch: Patch, chain: Message) -> Iterator[_Candidate]:
    name = matches.filter_name(patch.listener)
    if patch.apply_to == "NETWORK_FILTER":
        yield from _named(2, patch, name, f"{_FILTER}.name", chain.filters)
        return
    manager = next((each for each in chain.filters if each.name == patching.MANAGER), None)
    if manager is None or not matches.is_of_filter(patch.listener, manager.name):
        wanted = name or patching.MANAGER
        yield from (_Candidate(2, Mismatch(f"{_FILTER}.name", wanted, each.name)) for each in chain.filters)
        return
    config = HttpConnectionManager()
    manager.typed_config.Unpack(config)
    filters = patching.with_absent(config.http_filters)
    sub = matches.sub_filter_name(patch.listener)
    yield from _named(3, patch, sub, f"{_FILTER}.subFilter.name", filters)


def _named(depth: int, patch: Patch, wanted: str, field: str, parts: Iterable[Message]) -> Iterator[_Candidate]:
    """Only operations that are relative to a part need one with the name."""
    if not wanted or patch.operation not in _NEEDS_ANOTHER:
        yield _Candidate(depth, None)
        return
    names = [each.name for each in parts] or ["none"]
    yield from (
        _Candidate(depth, Mismatch(field, wanted, name) if not is_called(name, wanted) else None) for name in names
    )


def _listeners(gateway: model.Gateway) -> Iterator[tuple[int, Message]]:
    """Each as istiod makes it, and with all patches, which may be about each other's filters."""
    settings = Settings(gateway.http, gateway.filters, gateway.telemetry, None)
    patches = [patch for patch in gateway.patches if patch.apply_to != "EXTENSION_CONFIG" and not unreadable(patch)]
    for item in gateway.listeners:
        chains = [filter_chain(chain, item.name, item.port, settings) for chain in item.filter_chains]
        body = listener(item, ("127.0.0.1", item.port), chains, settings)
        yield item.port, Listener.FromString(body)
        after = patching.listener(body, [each for each in patches if each.apply_to in patching.LISTENERS], item.port)
        if after is not None:
            yield item.port, Listener.FromString(after)


# --- routes ------------------------------------------------------------------------------------------------------


def _in_routes(patch: Patch, gateway: model.Gateway) -> Iterator[_Candidate]:
    for item in gateway.routes.values():
        mismatch = matches.routes(patch.route, item.name, item.port)
        if mismatch or patch.apply_to == "ROUTE_CONFIGURATION" or (patch.apply_to, patch.operation) == _ADDED_HOST:
            yield _Candidate(0, mismatch)
            continue
        for host in item.virtual_hosts:
            mismatch = matches.virtual_host(patch.route, host.name, host.domains)
            if mismatch or patch.apply_to == "VIRTUAL_HOST" or patch.operation == "ADD":
                yield _Candidate(1, mismatch)
                continue
            for route in host.routes:
                action = _ACTIONS[type(route.action)]
                yield _Candidate(2, matches.route(patch.route, route.name, action))
