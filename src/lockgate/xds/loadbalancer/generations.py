"""Connections outlive a change of their listener, as long as it does not change what is done with their requests.

Envoy drains the connections of a filter chain that is replaced: HTTP/2 clients are told to go away, not all of them
cope with that while requests are open, and what is still open after a moment is cut. A load balancer on AWS does not
do that to its clients when it gets another certificate, security policy or timeout. So the chain from before stays in
the listener, with the connections that it has. New connections are given to the newest chain, which the listener's
matcher names.

What is done with requests depends on the connection manager. Where that changes by more than its timeouts, as with a
web ACL or the first rule that authenticates, connections must not go on as before, and are drained.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import TransportProtocolInput
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from google.protobuf.wrappers_pb2 import StringValue
from xds.type.matcher.v3.matcher_pb2 import Matcher

from lockgate.xds.protobuf import Message, pack, serialised

KEPT: Final = 8  # chains from before: each takes some 100 KiB in Envoy
_TIMEOUTS: Final = ("stream_idle_timeout", "request_headers_timeout", "common_http_protocol_options")


def newest(listener: Message) -> None:
    """Name the one chain of a listener, and have the listener give connections to the chain of that name."""
    (chain,) = listener.filter_chains
    chain.name = blake2b(serialised(chain), digest_size=8).hexdigest()
    taken = Matcher.OnMatch(action={"name": chain.name, "typed_config": pack(StringValue(value=chain.name))})
    if listener.HasField("default_filter_chain"):
        tree = listener.filter_chain_matcher.matcher_tree
        tree.input.name = "transport protocol"
        tree.input.typed_config.CopyFrom(pack(TransportProtocolInput()))
        tree.exact_match_map.map["tls"].CopyFrom(taken)
    else:
        listener.filter_chain_matcher.on_no_match.CopyFrom(taken)


def with_earlier(body: bytes, earlier: bytes) -> bytes:
    """A serialised listener with those chains of its earlier form whose connections may go on."""
    listener, before = EnvoyListener.FromString(body), EnvoyListener.FromString(earlier)
    (chain,) = listener.filter_chains
    alike = _character(chain)
    for each in before.filter_chains[:KEPT]:
        if each.name != chain.name and _character(each) == alike:
            listener.filter_chains.append(each)
    return serialised(listener)


def _character(chain: FilterChain) -> tuple[object, ...]:
    """What must be the same for connections to go on."""
    filters = [_untimed(each) for each in chain.filters]
    tls = DownstreamTlsContext()
    chain.transport_socket.typed_config.Unpack(tls)
    validation = tls.common_tls_context.WhichOneof("validation_context_type")
    return filters, chain.transport_socket.name, tls.require_client_certificate.value, validation


def _untimed(each: Filter) -> Message:
    manager = HttpConnectionManager()
    if not each.typed_config.Unpack(manager):
        return each
    for name in _TIMEOUTS:
        manager.ClearField(name)
    return manager
