"""Counts of completed requests and connections, by flow: how Envoy names them, and how they are read.

Envoy's stats access logger records each completed request in three histograms, whose one tag is the flow. It costs less
than a log, and loses nothing while Envoy lives: all listeners share one scope, which Envoy's bootstrap holds too, so
counts stay when a listener is replaced. `lockgate.metrics.flows` adds up the counts of Envoys that follow each other.
`telemetry` makes the loggers; this module needs no protobufs.

Source: Envoy's documentation, "Stats logger (proto)" and "Scope (proto)".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lockgate.metrics.flows import Bin, Connections, Counts, Distribution, Flow, Requests

MAX_FLOWS: Final = 2000  # that one Envoy keeps; requests of further ones are not counted
LOGGER: Final = "envoy.access_loggers.stats"
CONFIG: Final = "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config"
_PREFIX: Final = "lockgate.flow"
_TAG: Final = "k"
SCOPE: Final[Mapping[str, Any]] = {
    "prefix": _PREFIX,
    "sharing_name": _PREFIX,
    "max_histograms": 3 * MAX_FLOWS,
    "max_counters": 4 * MAX_FLOWS,
}

# Values are separated by semicolons, which only the name of a cluster could contain.
_REQUEST: Final = "%RESPONSE_CODE%;%RESPONSE_FLAGS%;%GRPC_STATUS_NUMBER%;%UPSTREAM_CLUSTER_RAW%;%UPSTREAM_HOST%"
_CONNECTION: Final = "%RESPONSE_FLAGS%;%UPSTREAM_CLUSTER_RAW%;%UPSTREAM_HOST%"
# Requests of load balancers are counted once this is 100: every count costs as much as a small filter.
LOAD_BALANCERS: Final = "lockgate.count_load_balancers"
# Flags of connections that never reached an endpoint.
_UNCONNECTED: Final = frozenset({"UF", "UH", "UO", "NR", "NC", "URX"})

REQUESTS: Final = f"/stats?format=json&type=Histograms&histogram_buckets=detailed&filter=^{_PREFIX}"
CONNECTIONS: Final = f"/stats?format=json&type=Counters&filter=^{_PREFIX}"


def request_tag(listener: str) -> dict[str, str]:
    return _tag(listener, _REQUEST)


def connection_tag(listener: str) -> dict[str, str]:
    return _tag(listener, _CONNECTION)


def anchor() -> dict[str, Any]:
    """An access log of Envoy's own admin interface that logs nothing, and keeps the scope."""
    never = {"header_filter": {"header": {"name": ":lockgate", "present_match": True}}}
    return {"name": LOGGER, "filter": never, "typed_config": {"@type": CONFIG, "stats_scope": SCOPE}}


def read(node: str, requests: str, connections: str = "") -> Counts:
    """The responses of Envoy's admin interface to `REQUESTS` and `CONNECTIONS`."""
    return Counts(_requests(node, requests), _connections(node, connections))


def _tag(listener: str, values: str) -> dict[str, str]:
    return {"name": _TAG, "value_format": f"{listener.replace('%', '%%')};{values}"}


def _requests(node: str, text: str) -> dict[Flow, Requests]:
    found: dict[Flow, dict[str, Distribution]] = {}
    for name, values, detail in _stats(text):
        listener, code, flags, grpc, *cluster, upstream = values.split(";")
        flow = Flow(node, listener, _number(code), flags or "-", grpc, ";".join(cluster), upstream)
        found.setdefault(flow, {})[name] = Distribution(dict(_bins(detail["totals"])))
    return {flow: Requests(**parts) for flow, parts in found.items()}


def _bins(totals: Iterable[Mapping[str, float]]) -> Iterator[tuple[Bin, int]]:
    for each in totals:
        yield (each["lower_bound"], each["width"]), int(each["count"])


def _connections(node: str, text: str) -> dict[Flow, Connections]:
    """As in Istio, a connection has the flags with which it failed to open, and not those with which it ended."""
    found: dict[Flow, dict[str, int]] = {}
    for name, values, stat in _stats(text):
        listener, flags, *cluster, upstream = values.split(";")
        failed = not _UNCONNECTED.isdisjoint(flags.split(","))
        flow = Flow(node, listener, flags=flags if failed else "-", cluster=";".join(cluster), upstream=upstream)
        counts = found.setdefault(flow, {})
        for count in (name, "opened") if name == "closed" and failed else (name,):
            counts[count] = counts.get(count, 0) + int(stat["value"])
    return {flow: Connections(**counts) for flow, counts in found.items()}


def _stats(text: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The name of each stat, the value of its tag, and the rest. Histograms are listed within one entry."""
    for each in json.loads(text)["stats"] if text else ():
        for stat in each["histograms"]["details"] if "histograms" in each else (each,):
            name, _, value = stat["name"].removeprefix(f"{_PREFIX}.").partition(f".{_TAG}.")
            yield name, value, stat


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
