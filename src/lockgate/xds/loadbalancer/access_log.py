"""Envoy's records for a load balancer's logs, one JSON object per line: a record per request if its access log is on,
and per connection if its connection log is on. `access_log`, `connection_log` and `network_log` of `loadbalancer`
format them as AWS does.

A second file gets the record of each request while somebody watches (`xds.watched`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from google.protobuf.struct_pb2 import Struct

from lockgate.loadbalancer.error_reasons import HEADER
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkListener, NetworkLoadBalancer
from lockgate.xds.loadbalancer.authorization import FILTER
from lockgate.xds.loadbalancer.names import FUNCTIONS
from lockgate.xds.loadbalancer.waf import logged
from lockgate.xds.protobuf import Message, pack
from lockgate.xds.watched import watched_log

RECORD: Final = {
    "start": "%START_TIME(%Y-%m-%dT%H:%M:%E6SZ)%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%REQ(:PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "rule": "%ROUTE_NAME%",
    "target": "%UPSTREAM_REMOTE_ADDRESS%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "sent": "%REQUEST_TX_DURATION%",
    "first": "%RESPONSE_DURATION%",
    "duration": "%DURATION%",
    "received": "%DOWNSTREAM_WIRE_BYTES_RECEIVED%",
    "sent_bytes": "%DOWNSTREAM_WIRE_BYTES_SENT%",
    "user_agent": "%REQ(USER-AGENT)%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "trace_id": "%REQ(X-AMZN-TRACE-ID)%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "location": "%RESP(LOCATION)%",
    "error_reason": f"%DYNAMIC_METADATA({FILTER}:{HEADER})%",
    "function_failure": f"%DYNAMIC_METADATA({FUNCTIONS}:{HEADER})%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "upgrade": "%REQ(UPGRADE)%",
    "connection": "%CONNECTION_ID%",
    "class": "%DYNAMIC_METADATA(lockgate.desync:class)%",
    "class_reason": "%DYNAMIC_METADATA(lockgate.desync:reason)%",
    "host_made": "%DYNAMIC_METADATA(lockgate.rewrite:host)%",
    "host_before": "%DYNAMIC_METADATA(lockgate.rewrite:host_before)%",
    "url_made": "%DYNAMIC_METADATA(lockgate.rewrite:url)%",
    "url_before": "%DYNAMIC_METADATA(lockgate.rewrite:url_before)%",
    "transform_failure": "%DYNAMIC_METADATA(lockgate.rewrite:failure)%",
}

SPAN: Final = {
    **RECORD,
    **{name: f"%DYNAMIC_METADATA(lockgate.trace:{name})%" for name in ("trace", "span", "parent", "flags")},
}

CONNECTION: Final = {
    "log": "connection",
    "start": "%START_TIME(%Y-%m-%dT%H:%M:%E6SZ)%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "group": "%DOWNSTREAM_TLS_GROUP%",
    "handshake": "%DOWNSTREAM_HANDSHAKE_DURATION%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "not_before": "%DOWNSTREAM_PEER_CERT_V_START(%Y-%m-%dT%H:%M:%SZ)%",
    "not_after": "%DOWNSTREAM_PEER_CERT_V_END(%Y-%m-%dT%H:%M:%SZ)%",
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "connection": "%CONNECTION_ID%",
}


NETWORK: Final = {
    "start": "%START_TIME(%Y-%m-%dT%H:%M:%E6SZ)%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "duration": "%DURATION%",
    "handshake": "%DOWNSTREAM_HANDSHAKE_DURATION%",
    "received": "%DOWNSTREAM_WIRE_BYTES_RECEIVED%",
    "sent_bytes": "%DOWNSTREAM_WIRE_BYTES_SENT%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "server_name": "%REQUESTED_SERVER_NAME%",
}


def network_logs(balancer: NetworkLoadBalancer, listener: NetworkListener, path: str) -> list[Message]:
    """The log of ended TLS connections; of others, AWS has none."""
    if not path or listener.protocol != "TLS" or not _is_on(balancer, "access_logs"):
        return []
    return [_file_log(_record(NETWORK, balancer, listener), path)]


def access_logs(balancer: LoadBalancer, listener: Listener, path: str, spans: str) -> list[Message]:
    """The request log, written to the file `path`, which the supervisor reads, if the access log is on; the log of
    watched requests; and the one of which spans are made, if `spans` is its file."""
    if not path:
        return []
    of_spans = [_file_log(_record(SPAN, balancer, listener), spans)] if spans else []
    record = _record(RECORD | logged(balancer), balancer, listener)
    kept = [_file_log(record, path)] if _is_on(balancer, "access_logs") else []
    return [*kept, *of_spans, watched_log(record, f"{path.rpartition('/')[0]}/watched-alb.jsonl")]


def connection_logs(balancer: LoadBalancer, listener: Listener, path: str) -> list[Message]:
    """The log of closed connections, written likewise. Empty if the connection log is off."""
    if not path or not _is_on(balancer, "connection_logs"):
        return []
    return [_file_log(_record(CONNECTION, balancer, listener), path)]


def _is_on(balancer: AnyLoadBalancer, log: str) -> bool:
    return balancer.attributes.get(f"{log}.s3.enabled") == "true"


def _record(
    fields: Mapping[str, str], balancer: AnyLoadBalancer, listener: Listener | NetworkListener
) -> Mapping[str, str]:
    return {**fields, "balancer": balancer.arn, "listener_port": str(listener.port)}


def _file_log(fields: Mapping[str, str], path: str) -> Message:
    record = Struct()
    record.update(dict(fields))
    config = FileAccessLog(path=path, log_format={"json_format": record})
    return AccessLog(name="envoy.access_loggers.file", typed_config=pack(config))
