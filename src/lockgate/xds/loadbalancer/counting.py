"""Additional Envoy counters for CloudWatch's metrics: completed requests by outcome.

Each counter is an access logger of kind ``stats`` behind a filter whose first comparison rejects most requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config

from lockgate.loadbalancer.error_reasons import HEADER
from lockgate.loadbalancer.forwarding import drops_invalid_headers
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.xds.loadbalancer.log_filters import all_of, any_of, expression, flagged, noted, status_is
from lockgate.xds.loadbalancer.names import FUNCTIONS, listener_name
from lockgate.xds.protobuf import Message, pack

OWN: Final = "own.code"  # the load balancer's responses by status; 0 if the client left earlier
TARGET_5XX: Final = "target_5xx.cluster"
NOT_STICKY: Final = "not_sticky.cluster"
REDIRECTED: Final = "redirected.all"  # Envoy's redirects, which it counts as direct responses
NON_COMPLIANT: Final = "non_compliant.all"
DROPPED: Final = "dropped.all"
GRPC: Final = "grpc.all"

_VALUES: Final = {"code": "%RESPONSE_CODE%", "cluster": "%UPSTREAM_CLUSTER_RAW%", "all": "requests"}
_BY_TARGET: Final = 'response.code_details == "via_upstream"'
_NOT_BY_TARGET: Final = 'response.code_details != "via_upstream"'
_REDIRECTED: Final = 'response.code < 400 && response.code_details == "direct_response"'


def prefix(balancer: LoadBalancer, listener: Listener) -> str:
    """The prefix of the counters' names, in Envoy's spelling."""
    return "lockgate." + listener_name(balancer, listener.port).replace(":", "_")


def counters(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    return [_logger(each, prefix(balancer, listener)) for each in _counted(balancer)]


@dataclass(frozen=True, slots=True)
class _Counter:
    name: str  # the counter's name, and the tag that identifies it
    condition: Message


def _counted(balancer: LoadBalancer) -> Iterable[_Counter]:
    groups = balancer.target_groups.values()
    yield _Counter(OWN, all_of(status_is(300, "GE"), expression(_NOT_BY_TARGET)))
    yield _Counter(OWN, all_of(flagged("DC"), status_is(0)))
    yield _Counter(REDIRECTED, all_of(status_is(300, "GE"), expression(_REDIRECTED)))
    by_target = _BY_TARGET
    if any(group.target_type == "lambda" for group in groups):  # the response for a failed function is not a target's
        yield _Counter(OWN, noted(FUNCTIONS, HEADER))
        by_target += f' && !("{FUNCTIONS}" in metadata.filter_metadata)'
    yield _Counter(TARGET_5XX, all_of(status_is(500, "GE"), expression(by_target)))
    yield _Counter(NON_COMPLIANT, any_of(flagged("DPE"), noted("lockgate.desync", "class")))
    if drops_invalid_headers(balancer):
        yield _Counter(DROPPED, noted("lockgate.headers", "dropped"))
    if any(group.attributes.get("stickiness.enabled") == "true" for group in groups):
        yield _Counter(NOT_STICKY, noted("lockgate.sticky", "new"))
    if any(group.protocol_version != "HTTP1" for group in groups):
        kind = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
        yield _Counter(GRPC, AccessLogFilter(header_filter={"header": kind}))


def _logger(counter: _Counter, stat_prefix: str) -> Message:
    name, tag = counter.name.split(".")
    stat = {"name": name, "tags": [{"name": tag, "value_format": _VALUES[tag]}]}
    config = Config(stat_prefix=stat_prefix, counters=[{"stat": stat, "value_fixed": {"value": 1}}])
    return AccessLog(name="envoy.access_loggers.stats", typed_config=pack(config), filter=counter.condition)
