"""Virtual hosts and routes. The route configuration is concatenated from the serialised virtual hosts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3 import route_components_pb2 as rc
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.common.fault.v3.fault_pb2 import FaultDelay
from envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy
from envoy.extensions.filters.http.fault.v3.fault_pb2 import FaultAbort, HTTPFault
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher

from lockgate.gateway import model
from lockgate.gateway.mesh import HttpSettings
from lockgate.gateway.policies import model as policies
from lockgate.xds.gateway.metadata import made_from
from lockgate.xds.gateway.texts import metadata_matcher, text_matcher
from lockgate.xds.protobuf import Message, boolean, duration, field, pack, percent, serialised, uint32

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
MAX_DIRECT_BODY = 1024 * 1024

_APPEND = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
_OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_STATUS = {
    301: rc.RedirectAction.MOVED_PERMANENTLY,
    302: rc.RedirectAction.FOUND,
    303: rc.RedirectAction.SEE_OTHER,
    307: rc.RedirectAction.TEMPORARY_REDIRECT,
    308: rc.RedirectAction.PERMANENT_REDIRECT,
}
_FORWARDED_FOR = "x-forwarded-for"


@dataclass(frozen=True, slots=True)
class Form:
    """How a route configuration says what all of its routes have in common. Of ten thousand virtual hosts, Envoy reads
    a short form in half the time.

    With `named`, each route has its VirtualService. With `peer`, X-Forwarded-For is appended once for all of them.
    """

    http: HttpSettings
    named: bool = True
    peer: bool = False


def route_configuration(name: str, virtual_hosts: Iterable[bytes], form: Form) -> bytes:
    """A `RouteConfiguration` from serialised virtual hosts (see `virtual_host`)."""
    head = RouteConfiguration(
        name=name,
        validate_clusters=boolean(False),  # a missing cluster answers 503 NC
        ignore_port_in_host_matching=True,
        max_direct_response_body_size_bytes=uint32(MAX_DIRECT_BODY),
        request_headers_to_add=[_peer()] if form.peer else (),
    )
    return serialised(head) + b"".join(virtual_hosts)


def virtual_host(host: model.VirtualHost, form: Form) -> bytes:
    """A serialised virtual host, with the tag of field 2 of `RouteConfiguration`."""
    shared = _shared(host, form)
    message = rc.VirtualHost(
        name=host.name,
        domains=host.domains,
        routes=[_route(route, form, shared) for route in host.routes],
        include_request_attempt_count=form.http.attempt_count,
    )
    if shared.retry:
        message.retry_policy.CopyFrom(_retry(shared.retry))
    if shared.peer and not form.peer:
        message.request_headers_to_add.append(_peer())
    if host.require_tls:
        message.require_tls = rc.VirtualHost.ALL
    return field(2, serialised(message))


def sees_the_peer(host: model.VirtualHost) -> bool:
    """Whether header changes of a route write or may read X-Forwarded-For. Envoy changes headers as the route says
    before it does so as its virtual host and the route configuration say, and Istio's Envoy appends the peer first. So
    none of these may append it for such a route."""
    return any(map(_sees_the_peer, host.routes))


def _sees_the_peer(route: model.Route) -> bool:
    several = route.action.clusters if isinstance(route.action, model.Forward) else ()
    changes = (route.request_headers, *(one.request_headers for one in several if len(several) > 1))
    return any(
        _FORWARDED_FOR in each.remove or any("%" in put.value or put.name.lower() == _FORWARDED_FOR for put in each.put)
        for each in changes
        if each is not model.UNCHANGED
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all routes of a virtual host have in common, which it says once. `peer` is whether X-Forwarded-For is
    appended for all of them."""

    retry: model.Retry | None = None
    peer: bool = False


def _shared(host: model.VirtualHost, form: Form) -> _Shared:
    forwards = [route.action for route in host.routes if isinstance(route.action, model.Forward)]
    if not forwards:
        return _Shared()
    first = forwards[0].retry
    alike = all(action.retry is first or action.retry == first for action in forwards)
    return _Shared(first if alike else None, not form.http.proxy_protocol and not sees_the_peer(host))


def _route(route: model.Route, form: Form, shared: _Shared) -> Message:
    message = rc.Route(name=route.name, match=_match(route.match), stat_prefix=route.stat_prefix)
    if form.named and route.virtual_service:
        message.metadata.CopyFrom(made_from(route.virtual_service))
    match route.action:
        case model.Forward():
            message.route.CopyFrom(_forward(route.action, shared))
            message.route.append_x_forwarded_host = form.http.x_forwarded_host
        case model.Redirect():
            message.redirect.CopyFrom(_redirect(route.action))
        case model.DirectResponse(status, body):
            message.direct_response.status = status
            if body:
                message.direct_response.body.inline_bytes = body
        case _:
            assert_never(route.action)
    _request_headers(message, route, form.http, shared)
    _change(message, "response", route.response_headers)
    if route.delay or route.abort:
        message.typed_per_filter_config[FAULT].CopyFrom(pack(_fault(route.delay, route.abort)))
    if route.cors:
        message.typed_per_filter_config[CORS].CopyFrom(pack(_cors(route.cors)))
    return message


def _match(match: model.RouteMatch) -> Message:
    message = rc.RouteMatch()
    match match.path:
        case model.Exact(value, ignore_case):
            message.path = value
        case model.Prefix(value, ignore_case):
            message.prefix = value
        case model.Regex(pattern):
            message.safe_regex.regex, ignore_case = pattern, False
        case model.Suffix(value):
            raise AssertionError(f"a path match is never a suffix match: {value}")
        case _:
            assert_never(match.path)
    if ignore_case:
        message.case_sensitive.value = False
    for header in match.headers:
        matcher = message.headers.add(name=header.name, invert_match=header.invert)
        if isinstance(header.value, model.Present):
            matcher.present_match = True
        else:
            matcher.string_match.CopyFrom(text_matcher(header.value))
            matcher.treat_missing_header_as_empty = header.invert
    for query in match.query:
        parameter = message.query_parameters.add(name=query.name)
        if isinstance(query.value, model.Present):
            parameter.present_match = True
        else:
            parameter.string_match.CopyFrom(text_matcher(query.value))
    for claim in match.claims:
        matcher = policies.Metadata(policies.JWT_FILTER, (policies.JWT_PAYLOAD, *claim.path), claim.value, lists=True)
        message.dynamic_metadata.append(metadata_matcher(matcher, invert=claim.invert))
    return message


def _forward(forward: model.Forward, shared: _Shared) -> Message:
    action = rc.RouteAction(timeout=duration(forward.timeout or 0.0))
    # Deprecated, but what Istio sends: 0 lets a grpc-timeout header decide alone. With its replacement,
    # max_stream_duration, `timeout` has no effect.
    action.max_grpc_timeout.CopyFrom(duration(forward.timeout or 0.0))
    if len(forward.clusters) == 1:
        action.cluster = forward.clusters[0].cluster
    else:
        for weighted in forward.clusters:
            part = action.weighted_clusters.clusters.add(name=weighted.cluster)
            part.weight.value = weighted.weight
            part.host_rewrite_literal = weighted.host_rewrite
            _change(part, "request", weighted.request_headers)
            _change(part, "response", weighted.response_headers)
    match forward.rewrite:
        case None:
            pass
        case model.RegexRewrite(pattern, substitution):
            action.regex_rewrite.CopyFrom(
                RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=substitution)
            )
        case prefix:
            action.prefix_rewrite = prefix
    if forward.host_rewrite:
        action.host_rewrite_literal = forward.host_rewrite
    if forward.retry and not shared.retry:
        action.retry_policy.CopyFrom(_retry(forward.retry))
    for mirror in forward.mirrors:
        policy = action.request_mirror_policies.add(cluster=mirror.cluster)
        policy.runtime_fraction.default_value.CopyFrom(percent(mirror.percent))
        policy.trace_sampled.value = False
        policy.disable_shadow_host_suffix_append = True  # Istio's default since 1.27: the copy keeps its Host
    for hashing in forward.hash_policies:
        action.hash_policy.append(_hash_policy(hashing))
    return action


def _retry(retry: model.Retry) -> Message:
    policy = rc.RetryPolicy(
        retry_on=retry.retry_on,
        num_retries=uint32(retry.attempts),
        retriable_status_codes=retry.retriable_statuses,
        host_selection_retry_max_attempts=5,
    )
    if retry.per_try_timeout is not None:
        policy.per_try_timeout.CopyFrom(duration(retry.per_try_timeout))
    if retry.backoff is not None:
        policy.retry_back_off.base_interval.CopyFrom(duration(retry.backoff))
    if retry.previous_hosts:
        policy.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
        )
    if retry.previous_priorities:
        policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        policy.retry_priority.typed_config.CopyFrom(pack(PreviousPrioritiesConfig(update_frequency=2)))
    return policy


def _hash_policy(policy: model.HashPolicy) -> Message:
    message = rc.RouteAction.HashPolicy()
    match policy:
        case model.HashHeader(name):
            message.header.header_name = name
        case model.HashCookie(name, path, ttl, attributes):
            message.cookie.name, message.cookie.path = name, path
            for key, value in attributes:
                message.cookie.attributes.add(name=key, value=value)
            if ttl is not None:
                message.cookie.ttl.CopyFrom(duration(ttl))
        case model.HashQuery(name):
            message.query_parameter.name = name
        case model.HashSourceIp():
            message.connection_properties.source_ip = True
        case _:
            assert_never(policy)
    return message


def _redirect(redirect: model.Redirect) -> Message:
    action = rc.RedirectAction(
        host_redirect=redirect.host, scheme_redirect=redirect.scheme, response_code=_STATUS[redirect.status]
    )
    if redirect.port is not None:
        action.port_redirect = redirect.port
    if redirect.prefix:
        action.prefix_rewrite = redirect.prefix
    elif redirect.path:
        action.path_redirect = redirect.path
    return action


def _request_headers(message: Message, route: model.Route, http: HttpSettings, shared: _Shared) -> None:
    """The route's header changes, after X-Forwarded-For as Istio's Envoy appends it.

    For a peer on the loopback, Envoy would append this machine's address instead of the peer's. The listener disables
    that (see `listeners`), and the route, its virtual host or the route configuration appends the peer.
    """
    changes = route.request_headers
    appends = isinstance(route.action, model.Forward) and _FORWARDED_FOR not in changes.remove
    if appends and not http.proxy_protocol and not shared.peer:
        message.request_headers_to_add.append(_peer())
    _change(message, "request", changes)


def _peer() -> Message:
    peer = HeaderValue(key=_FORWARDED_FOR, value="%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")
    return HeaderValueOption(header=peer, append_action=_APPEND)


def _change(message: Message, side: str, changes: model.HeaderChanges) -> None:
    to_add = getattr(message, f"{side}_headers_to_add")
    for change in changes.put:
        header = HeaderValue(key=change.name, value=change.value)
        action = _OVERWRITE if isinstance(change, model.SetHeader) else _APPEND
        to_add.append(HeaderValueOption(header=header, append_action=action))
    getattr(message, f"{side}_headers_to_remove").extend(changes.remove)


def _fault(delay: model.Delay | None, abort: model.Abort | None) -> Message:
    fault = HTTPFault()
    if delay:
        fault.delay.CopyFrom(FaultDelay(fixed_delay=duration(delay.seconds), percentage=percent(delay.percent)))
    if abort:
        fault.abort.CopyFrom(FaultAbort(percentage=percent(abort.percent)))
        if abort.grpc_status is not None:
            fault.abort.grpc_status = abort.grpc_status
        else:
            fault.abort.http_status = abort.http_status or 503
    return fault


def _cors(cors: model.Cors) -> Message:
    policy = CorsPolicy(
        allow_origin_string_match=[text_matcher(origin) for origin in cors.allow_origins],
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age=cors.max_age,
        forward_not_matching_preflights=boolean(not cors.answer_all),
    )
    if cors.allow_credentials is not None:
        policy.allow_credentials.value = cors.allow_credentials
    return policy
