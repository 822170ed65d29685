"""What Envoy writes down of each request of a load balancer whose access log is on, one JSON object a line.

`loadbalancer.access_log` makes AWS's lines of them.
"""

from __future__ import annotations

from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from google.protobuf.struct_pb2 import Struct

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.xds.loadbalancer.protobuf import Message, pack

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
    "content_type": "%REQ(CONTENT-TYPE)%",
    "upgrade": "%REQ(UPGRADE)%",
    "connection": "%CONNECTION_ID%",
}


def is_logged(balancer: LoadBalancer) -> bool:
    return balancer.attributes.get("access_logs.s3.enabled") == "true"


def access_log(balancer: LoadBalancer, listener: Listener, path: str) -> Message:
    """Written to the file `path`, where the supervisor reads it."""
    record = Struct()
    record.update({**RECORD, "balancer": balancer.arn, "listener_port": str(listener.port)})
    config = FileAccessLog(path=path, log_format={"json_format": record})
    return AccessLog(name="envoy.access_loggers.file", typed_config=pack(config))
