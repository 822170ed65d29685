"""The load balancer's own responses: AWS's reason phrases, and plain HTTP errors for gRPC clients too.

Each such response carries a marker header through the filter chain. A script runs only for marked responses: it sets
the reason phrase, keeps the content type of an empty body, and undoes Envoy's translation to gRPC status headers. gRPC
clients of load balancers report "unexpected HTTP status code received from server: 464" (zitadel/zitadel-go#282,
zitadel/zitadel-charts#410).

Looking for the marker costs every request some time. On plain HTTP listeners, which gRPC clients do not use, only rules
with their own response have the filter; errors of targets keep Envoy's phrases there.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher, ExtensionWithMatcherPerRoute
from envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2 import SkipFilter
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.type.matcher.v3.http_inputs_pb2 import HttpResponseHeaderMatchInput
from xds.type.matcher.v3.matcher_pb2 import Matcher

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.pages import reason
from lockgate.xds.loadbalancer.names import OWN_ANSWER
from lockgate.xds.protobuf import Message, header, literal, pack

FILTER: Final = "lockgate.own_answers"
_MARKED: Final = "own "

_SCRIPT: Final = """
local function decoded(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end
function envoy_on_response(handle)
  local headers = handle:headers()
  local status, phrase, kind = headers:get("{mark}"):match("^own (%d+) ([^|]*)|(.*)$")
  headers:remove("{mark}")
  if phrase ~= "" then headers:setHttp1ReasonPhrase(phrase) end
  local message = headers:get("grpc-message")
  if headers:get("grpc-status") then
    headers:remove("grpc-status")
    headers:remove("grpc-message")
    headers:remove("content-type")
    headers:replace(":status", status)
    if message then handle:body(true):setBytes(decoded(message)) else headers:add("content-length", "0") end
  end
  if kind ~= "" and not headers:get("content-type") then headers:add("content-type", kind) end
end
"""


def everywhere(balancer: LoadBalancer, listener: Listener) -> bool:
    """Whether the filter runs for all responses of a listener. Functions pass their reason phrases by the marker."""
    functions = any(group.target_type == "lambda" for group in balancer.target_groups.values())
    return listener.protocol == "HTTPS" or functions


def on(route: Message) -> Message:
    """`route`, with the filter if it is not on everywhere."""
    route.typed_per_filter_config[FILTER].CopyFrom(_per_route())
    return route


@cache
def _per_route() -> Message:
    return pack(ExtensionWithMatcherPerRoute(xds_matcher=_unless_marked()))


def mark(status: int, content_type: str) -> Message:
    """The header that marks the load balancer's own responses."""
    return header(OWN_ANSWER, literal(marked(status, content_type)))


def mark_as_it_is() -> Message:
    """The marker for a response whose status and type are decided elsewhere."""
    return header(OWN_ANSWER, f"{_MARKED}%RESPONSE_CODE% |%RESP(CONTENT-TYPE)%")


def marked(status: int, content_type: str, phrase: str | None = None) -> str:
    """The header's value; `phrase` is the reason phrase (without a bar) if it is not the status's default."""
    return f"{_MARKED}{status} {reason(status) if phrase is None else phrase}|{content_type}"


def own_answers_filter(balancer: LoadBalancer, listener: Listener) -> Message:
    script = Lua(default_source_code={"inline_string": _SCRIPT.replace("{mark}", OWN_ANSWER)})
    config = ExtensionWithMatcher(
        xds_matcher=_unless_marked(),
        extension_config={"name": "envoy.filters.http.lua", "typed_config": pack(script)},
    )
    return HttpFilter(name=FILTER, typed_config=pack(config), disabled=not everywhere(balancer, listener))


def _unless_marked() -> Message:
    """Skips the filter."""
    mark = {"name": "mark", "typed_config": pack(HttpResponseHeaderMatchInput(header_name=OWN_ANSWER))}
    predicate = {"not_matcher": {"single_predicate": {"input": mark, "value_match": {"prefix": _MARKED}}}}
    skip = {"action": {"name": "skip", "typed_config": pack(SkipFilter())}}
    return Matcher(matcher_list={"matchers": [{"predicate": predicate, "on_match": skip}]})
