"""Spans of a gateway's requests, which its Envoy sends to the collector of `up --otlp`.

What a Telemetry or meshConfig says about spans holds: tags, the length of paths, propagation. The collector takes the
place of the provider's service, and every request is traced.

Source: istio/istio `pilot/pkg/networking/core/tracing.go`.
"""

from __future__ import annotations

from typing import Final, assert_never

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.trace.v3.http_tracer_pb2 import Tracing as Tracer
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag

from lockgate.gateway.telemetry.model import Collector, Tag, Tracing
from lockgate.xds.gateway.metadata import CONFIG, NAMESPACE
from lockgate.xds.protobuf import Message, duration, pack, serialised, uint32

CLUSTER_NAME: Final = "lockgate.otlp"
_TIMEOUT: Final = 5.0  # s for a batch of spans
_ALL: Final = {"value": 100.0}


def tracing(collector: Collector, asked: Tracing | None, service: str) -> Message:
    """`service` is the name under which the gateway's spans are found."""
    config = OpenTelemetryConfig(service_name=service)
    if collector.path:
        target = config.http_service.http_uri
        target.uri = f"http://{collector.authority}{collector.path}"
        target.cluster = CLUSTER_NAME
        target.timeout.CopyFrom(duration(_TIMEOUT))
    else:
        config.grpc_service.envoy_grpc.cluster_name = CLUSTER_NAME
        config.grpc_service.timeout.CopyFrom(duration(_TIMEOUT))
    message = HttpConnectionManager.Tracing(
        client_sampling=_ALL,
        random_sampling=_ALL,
        overall_sampling=_ALL,
        provider=Tracer.Http(name="envoy.tracers.opentelemetry", typed_config=pack(config)),
        custom_tags=[_route(), _made_from(), *map(_tag, asked.tags if asked else ())],
    )
    if asked and asked.max_path_length:
        message.max_path_tag_length.CopyFrom(uint32(asked.max_path_length))
    return message


def cluster(collector: Collector) -> bytes:
    message = Cluster(name=CLUSTER_NAME, connect_timeout=duration(_TIMEOUT))
    message.load_assignment.cluster_name = CLUSTER_NAME
    address = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = collector.host, collector.port
    if not collector.path:
        options = HttpProtocolOptions()
        options.explicit_http_config.http2_protocol_options.SetInParent()
        name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        message.typed_extension_protocol_options[name].CopyFrom(pack(options))
    return serialised(message)


def _route() -> Message:
    return CustomTag(tag="lockgate.route", value="%ROUTE_NAME%")


def _made_from() -> Message:
    """The VirtualService, from the route's metadata."""
    tag = CustomTag(tag="lockgate.virtual_service")
    tag.metadata.kind.route.SetInParent()
    tag.metadata.metadata_key.key = NAMESPACE
    tag.metadata.metadata_key.path.add(key=CONFIG)
    return tag


def _tag(tag: Tag) -> Message:
    made = CustomTag(tag=tag.name)
    match tag.kind:
        case "literal":
            made.literal.value = tag.value
        case "environment":
            made.environment.name, made.environment.default_value = tag.value, tag.default
        case "header":
            made.request_header.name, made.request_header.default_value = tag.value, tag.default
        case "formatter":
            made.value = tag.value
        case _:
            assert_never(tag.kind)
    return made
