"""Keeps connections open across a change of their listener, unless it changes how their requests are handled.

Theory of operation. Envoy drains the connections of a replaced filter chain: HTTP/2 clients get GOAWAY, which not all
of them handle while requests are open, and connections that are still open after the drain time are closed. A load
balancer on AWS does not do that when its certificate, security policy or timeout changes. So the previous chain stays
in the listener and keeps its connections. New connections go to the newest chain, which the listener's matcher selects.

The HTTP connection manager determines how requests are handled. If more than its timeouts changes, for example with a
web ACL or the first rule that authenticates, existing connections must not bypass the change, and are drained.
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

KEPT: Final = 8  # previous chains; each needs about 100 KiB in Envoy
_TIMEOUTS: Final = ("stream_idle_timeout", "common_http_protocol_options")


def newest(listener: Message) -> None:
    """Names the single chain of a listener, and makes the listener's matcher select the chain of that name."""
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
    """A serialised listener, with the chains of its previous version whose connections may continue."""
    listener, before = EnvoyListener.FromString(body), EnvoyListener.FromString(earlier)
    (chain,) = listener.filter_chains
    alike = _character(chain)
    for each in before.filter_chains[:KEPT]:
        if each.name != chain.name and _character(each) == alike:
            listener.filter_chains.append(each)
    return serialised(listener)


def _character(chain: FilterChain) -> tuple[object, ...]:
    """What must be equal for connections to continue."""
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
