"""WebAssembly modules in a chain's filters.

Source: istio/istio `pilot/pkg/model/extensions.go`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from lockgate.gateway.policies.model import Wasm
from lockgate.xds.protobuf import Message, duration, pack

_POLICIES = {"CLOSE": "FAIL_CLOSED", "OPEN": "FAIL_OPEN", "RELOAD": "FAIL_RELOAD"}


def module(item: Wasm, kind: Any) -> Message:
    """`kind` is the message of the HTTP filter or of the network filter."""
    message: Message = kind()
    config = message.config
    config.name = item.name
    config.root_id = item.root
    config.failure_policy = (
        type(config)
        .DESCRIPTOR.fields_by_name["failure_policy"]
        .enum_type.values_by_name[_POLICIES[item.on_failure]]
        .number
    )
    if item.config:
        config.configuration.CopyFrom(pack(StringValue(value=item.config)))
    machine = config.vm_config
    machine.runtime = "envoy.wasm.runtime.v8"
    machine.environment_variables.key_values.update(dict(item.environment))
    if item.module is None:  # as istiod sends it, for Istio's agent to fetch
        remote = machine.code.remote
        remote.http_uri.uri, remote.http_uri.cluster, remote.sha256 = item.url, "_", item.sha256
        remote.http_uri.timeout.CopyFrom(duration(30))
    else:
        machine.code.local.filename = item.module
    return message
