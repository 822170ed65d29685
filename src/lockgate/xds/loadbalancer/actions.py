"""A rule's actions, as the part of a route after its match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from envoy.config.route.v3.route_components_pb2 import RedirectAction, Route
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config as HeaderToMetadata
from envoy.extensions.filters.http.lua.v3.lua_pb2 import LuaPerRoute
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from lockgate.loadbalancer.error_reasons import HEADER
from lockgate.loadbalancer.model import (
    Action,
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    Redirect,
    Rewrite,
    Rule,
)
from lockgate.loadbalancer.pages import content_type, fixed_content_type, page
from lockgate.xds.loadbalancer.answers import mark, on
from lockgate.xds.loadbalancer.errors import server_header
from lockgate.xds.loadbalancer.names import (
    CLUSTER_HEADER,
    FUNCTIONS,
    LUA,
    REWRITES,
    TARGET_HEADER,
    cluster_name,
)
from lockgate.xds.loadbalancer.script import STICKY, Script, forwarding, redirecting
from lockgate.xds.protobuf import duration, header, literal, pack

Outcome: TypeAlias = Any  # a Route without match

_CODES: Final = {"HTTP_301": RedirectAction.MOVED_PERMANENTLY, "HTTP_302": RedirectAction.FOUND}


def outcome(balancer: LoadBalancer, listener: Listener, rule: Rule | None) -> Outcome:
    """The outcome of a rule; None means the default rule."""
    final = final_action(listener, rule)
    transforms = rule.transforms if rule else ()
    match final:
        case Forward():
            return _forward(balancer, listener, final, transforms)
        case Redirect():
            return _redirect(listener, final)
        case FixedResponse():
            return _fixed(listener, final)
        case _:
            return answer(500, listener)


def script_of(balancer: LoadBalancer, listener: Listener, rule: Rule | None) -> Script | None:
    """The script that a rule needs in addition to the plain one."""
    final = final_action(listener, rule)
    match final:
        case Forward():
            return _script(balancer, final, rule.transforms if rule else ())
        case Redirect():
            return None if _is_plain(listener, final) else redirecting(listener, final)
        case _:
            return None


def final_action(listener: Listener, rule: Rule | None) -> Action | None:
    actions = rule.actions if rule else listener.default_actions
    return actions[-1] if actions else None


def answer(status: int, listener: Listener) -> Outcome:
    """One of the load balancer's error pages."""
    return _direct(listener, status, page(status), content_type(status))


def _script(balancer: LoadBalancer, forward: Forward, transforms: Sequence[Rewrite]) -> Script | None:
    names = {
        each.target_group: cluster_name(each.target_group)
        for each in forward.target_groups
        if each.target_group in balancer.target_groups
    }
    return forwarding(balancer, forward, rewrites=bool(transforms), names=names)


def _forward(balancer: LoadBalancer, listener: Listener, forward: Forward, transforms: Sequence[Rewrite]) -> Outcome:
    """Weights are relative to their sum. A group with weight 0 gets nothing; if all are 0, the rule answers 503."""
    groups = [each for each in forward.target_groups if each.weight > 0 and each.target_group in balancer.target_groups]
    if not groups:
        return answer(503, listener)
    route = Route(route={"timeout": duration(0)})
    script = _script(balancer, forward, transforms)
    if script is not None:
        _run(route, script)
    if script is not None and STICKY in script.name.split("+"):
        route.route.cluster_header = CLUSTER_HEADER
        route.request_headers_to_remove.append(CLUSTER_HEADER)
        route.response_headers_to_add.append(header(TARGET_HEADER, "%UPSTREAM_REMOTE_ADDRESS%"))
    elif len(groups) == 1:
        route.route.cluster = cluster_name(groups[0].target_group)
    else:
        for each in groups:
            route.route.weighted_clusters.clusters.add(
                name=cluster_name(each.target_group), weight={"value": each.weight}
            )
    functions = calls_functions(balancer, forward)
    if transforms or functions:
        rules = _rewrites(transforms)
        if functions:
            _await_function(route, listener)
            rules.response_rules.append(_FAILURE)
        route.typed_per_filter_config[REWRITES].CopyFrom(pack(rules))
    return route


def calls_functions(balancer: LoadBalancer, action: Action | None) -> bool:
    """Whether Lambda functions may respond."""
    if not isinstance(action, Forward):
        return False
    groups = (balancer.target_groups.get(each.target_group) for each in action.target_groups)
    return any(group is not None and group.target_type == "lambda" for group in groups)


def _await_function(route: Outcome, listener: Listener) -> None:
    """A function may run until its own timeout; the load balancer generates the HTTP response from its result."""
    route.route.idle_timeout.FromSeconds(0)
    if listener.attributes.get("routing.http.response.server.enabled") == "false":
        route.response_headers_to_remove.append("server")


# Why a function did not respond: from the invoker's response header to the access log.
_FAILURE: Final = HeaderToMetadata.Rule(
    header=HEADER,
    on_header_present={"metadata_namespace": FUNCTIONS, "key": HEADER},
    remove=True,
)


def _run(route: Outcome, script: Script) -> None:
    context = ParseDict(dict(script.context), Struct())
    per_route = LuaPerRoute(name=script.name, filter_context=context)
    route.typed_per_filter_config[LUA].CopyFrom(pack(per_route))


def _rewrites(transforms: Sequence[Rewrite]) -> Any:
    """Applies the expressions to Host, path and query; the script then replaces them by the result."""
    return HeaderToMetadata(
        request_rules=[
            {
                "header": ":authority" if each.target == "host-header" else ":path",
                "on_header_present": {
                    "metadata_namespace": "lockgate.rewrite",
                    "key": "host" if each.target == "host-header" else "url",
                    "regex_value_rewrite": {
                        "pattern": {"regex": each.regex},
                        "substitution": _substitution(each.replace),
                    },
                },
            }
            for each in transforms
        ]
    )


def _substitution(template: str) -> str:
    """``$1`` in RE2's syntax."""
    return re.sub(r"\$(\d)", r"\\\1", template.replace("\\", "\\\\"))


def _is_plain(listener: Listener, redirect: Redirect) -> bool:
    """Whether Envoy's redirect action can express it."""
    kept = redirect.path == "/#{path}" and redirect.query == "#{query}"
    host = redirect.host == "#{host}" or "#{" not in redirect.host
    return kept and host and _port(listener, redirect).isdigit()


def _port(listener: Listener, redirect: Redirect) -> str:
    return redirect.port.replace("#{port}", str(listener.port))


def _redirect(listener: Listener, redirect: Redirect) -> Outcome:
    """The Location always has the port."""
    if not _is_plain(listener, redirect):
        route = on(Route(direct_response={"status": 500}))  # the script answers first
        _run(route, redirecting(listener, redirect))
        return route
    action = RedirectAction(
        scheme_redirect=redirect.protocol.replace("#{protocol}", listener.protocol).lower(),
        port_redirect=int(_port(listener, redirect)),
        host_redirect="" if redirect.host == "#{host}" else redirect.host,
        response_code=_CODES[redirect.status_code],
    )
    return on(Route(redirect=action))


def _fixed(listener: Listener, fixed: FixedResponse) -> Outcome:
    body = fixed.message_body or ""
    return _direct(listener, int(fixed.status_code), body, fixed_content_type(fixed.content_type, body))


def _direct(listener: Listener, status: int, body: str, kind: str) -> Outcome:
    headers = [*server_header(listener), mark(status, kind)]
    if kind:
        headers.append(header("content-type", literal(kind)))
    return on(
        Route(
            direct_response={"status": status, "body": {"inline_string": body} if body else None},
            response_headers_to_add=headers,
        )
    )
