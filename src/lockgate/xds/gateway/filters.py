"""The filters that decide about requests before routes do: JWTs, access control, servers that are asked, and modules.

Source: istio/istio `pilot/pkg/security/authz/builder/builder.go`, `pilot/pkg/security/authn/policy_applier.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import assert_never

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3 import rbac_pb2 as rbac
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRbac
from envoy.extensions.filters.http.wasm.v3.wasm_pb2 import Wasm as HttpWasm
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRbac
from envoy.extensions.filters.network.wasm.v3.wasm_pb2 import Wasm as NetworkWasm
from envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2 import UriTemplateMatchConfig
from envoy.type.matcher.v3.path_pb2 import PathMatcher

from lockgate.gateway import model
from lockgate.gateway.policies import model as policies
from lockgate.xds.gateway.authentication import authentication
from lockgate.xds.gateway.authorization import (
    HTTP_EXT_AUTHZ,
    NETWORK_EXT_AUTHZ,
    SHADOW_PREFIX,
    http_authorization,
    network_authorization,
)
from lockgate.xds.gateway.modules import module
from lockgate.xds.gateway.texts import metadata_matcher, text_matcher
from lockgate.xds.protobuf import Message, pack, uint32

HTTP_RBAC = "envoy.filters.http.rbac"
NETWORK_RBAC = "envoy.filters.network.rbac"
_ACTIONS = {"ALLOW": rbac.RBAC.ALLOW, "DENY": rbac.RBAC.DENY, "AUDIT": rbac.RBAC.LOG}
_DRY_RUN = {"ALLOW": "istio_dry_run_allow_", "DENY": "istio_dry_run_deny_", "AUDIT": ""}


def http_filters(filters: policies.Filters | None, port: int) -> Iterator[tuple[str, Message]]:
    """Names and configurations, in order. `port` is the listener's as Istio sees it."""
    for each in filters.http if filters else ():
        match each:
            case policies.Rbac():
                yield HTTP_RBAC, _access_control(HttpRbac(), each, port)
                if each.server:
                    yield HTTP_EXT_AUTHZ, http_authorization(each.server, HTTP_RBAC)
            case policies.Jwt():
                yield policies.JWT_FILTER, authentication(each)
            case policies.Wasm():
                if each.on(port):
                    yield each.name, module(each, HttpWasm) if each.module != "" else HttpRbac(rules=rbac.RBAC())
            case _:
                assert_never(each)


def network_filters(filters: policies.Filters | None, port: int) -> Iterator[tuple[str, Message]]:
    for each in filters.network if filters else ():
        if isinstance(each, policies.Wasm):
            if each.on(port):
                refusal = NetworkRbac(stat_prefix="wasm-default-deny", rules=rbac.RBAC())
                yield each.name, module(each, NetworkWasm) if each.module != "" else refusal
            continue
        yield NETWORK_RBAC, _access_control(NetworkRbac(stat_prefix="tcp."), each, port)
        if each.server:
            yield NETWORK_EXT_AUTHZ, network_authorization(each.server, NETWORK_RBAC)


def _access_control(message: Message, item: policies.Rbac, port: int) -> Message:
    if item.server and item.rules:
        message.shadow_rules.CopyFrom(_rules("DENY", item.rules, port))
        message.shadow_rules_stat_prefix = SHADOW_PREFIX
        return message
    if item.rules is not None:
        message.rules.CopyFrom(_rules(item.action, item.rules, port))
    if item.shadow is not None:
        message.shadow_rules.CopyFrom(_rules(item.action, item.shadow, port))
        message.shadow_rules_stat_prefix = _DRY_RUN[item.action]
    return message


def _rules(action: str, rules: Iterable[policies.Rule], port: int) -> Message:
    message = rbac.RBAC(action=_ACTIONS[action])
    for rule in rules:
        policy = message.policies[rule.name]
        policy.permissions.extend(_permission(each, port) for each in rule.permissions)
        policy.principals.extend(_principal(each, port) for each in rule.principals)
    return message


# --- predicates --------------------------------------------------------------------------------------------------


def _permission(predicate: policies.Predicate, port: int) -> Message:
    match predicate:
        case policies.All(()):
            return rbac.Permission(any=True)
        case policies.All(parts):
            return rbac.Permission(and_rules=rbac.Permission.Set(rules=[_permission(each, port) for each in parts]))
        case policies.OneOf(parts):
            return rbac.Permission(or_rules=rbac.Permission.Set(rules=[_permission(each, port) for each in parts]))
        case policies.Not(part):
            return rbac.Permission(not_rule=_permission(part, port))
        case policies.DestinationPort(number):
            # The local port is another: the listener knows which it stands for.
            holds = rbac.Permission(any=True)
            return holds if number == port else rbac.Permission(not_rule=holds)
        case policies.DestinationIp(block):
            return rbac.Permission(destination_ip=_range(block))
        case policies.ServerName(match):
            return rbac.Permission(requested_server_name=text_matcher(match))
        case policies.RequestHeader():
            return rbac.Permission(header=_header(predicate))
        case policies.UrlPath(match):
            return rbac.Permission(url_path=PathMatcher(path=text_matcher(match)))
        case policies.UriTemplate(template):
            config = pack(UriTemplateMatchConfig(path_template=template))
            name = "envoy.path.match.uri_template.uri_template_matcher"
            return rbac.Permission(uri_template=TypedExtensionConfig(name=name, typed_config=config))
        case policies.Metadata():
            return rbac.Permission(metadata=metadata_matcher(predicate))
        case policies.DirectRemoteIp() | policies.RemoteIp() | policies.Authenticated():
            raise AssertionError(f"{predicate} is about who, not about what")
        case _:
            assert_never(predicate)


def _principal(predicate: policies.Predicate, port: int) -> Message:
    match predicate:
        case policies.All(()):
            return rbac.Principal(any=True)
        case policies.All(parts):
            return rbac.Principal(and_ids=rbac.Principal.Set(ids=[_principal(each, port) for each in parts]))
        case policies.OneOf(parts):
            return rbac.Principal(or_ids=rbac.Principal.Set(ids=[_principal(each, port) for each in parts]))
        case policies.Not(part):
            return rbac.Principal(not_id=_principal(part, port))
        case policies.DirectRemoteIp(block):
            return rbac.Principal(direct_remote_ip=_range(block))
        case policies.RemoteIp(block):
            return rbac.Principal(remote_ip=_range(block))
        case policies.Authenticated(match):
            return rbac.Principal(authenticated=rbac.Principal.Authenticated(principal_name=text_matcher(match)))
        case policies.RequestHeader():
            return rbac.Principal(header=_header(predicate))
        case policies.Metadata():
            return rbac.Principal(metadata=metadata_matcher(predicate))
        case (
            policies.DestinationIp()
            | policies.DestinationPort()
            | policies.ServerName()
            | policies.UrlPath()
            | policies.UriTemplate()
        ):
            raise AssertionError(f"{predicate} is about what, not about who")
        case _:
            assert_never(predicate)


def _range(block: str) -> Message:
    network = ip_network(block)
    return CidrRange(address_prefix=str(network.network_address), prefix_len=uint32(network.prefixlen))


def _header(predicate: policies.RequestHeader) -> Message:
    if isinstance(predicate.match, model.Present):
        return HeaderMatcher(name=predicate.name, present_match=True)
    return HeaderMatcher(name=predicate.name, string_match=text_matcher(predicate.match))
