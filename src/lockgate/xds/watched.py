"""The log of requests for those who watch an edge: `lockgate console`.

Every Envoy has it, and it is silent until its runtime key is set through Envoy's admin interface. So an edge that
nobody watches pays one comparison per request, and whoever begins to watch changes no listener, which would close
connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from google.protobuf.struct_pb2 import Struct

from lockgate.xds.protobuf import Message, pack

RUNTIME_KEY: Final = "lockgate.watched"  # 100 turns the log on, 0 off


def watched_log(fields: Mapping[str, str], path: str) -> Message:
    record = Struct()
    record.update(dict(fields))
    config = FileAccessLog(path=path, log_format={"json_format": record})
    return AccessLog(name="envoy.access_loggers.file", typed_config=pack(config), filter=while_set(RUNTIME_KEY))


def while_set(key: str) -> Message:
    """A filter of access logs: only while this runtime key is 100."""
    asked = {"runtime_key": key, "percent_sampled": {"numerator": 0}, "use_independent_randomness": True}
    return AccessLogFilter(runtime_filter=asked)
