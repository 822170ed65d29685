"""The Lua scripts for requests: behaviour that Envoy's settings cannot express.

One plain script runs for every forwarded request; it contains only what the listener's attributes require. Rules that
need more (stickiness, rewrites, other protocol versions, redirects with placeholders) name a script of their own.
Values that differ between rules are passed as the script's filter context, so that rules share compiled scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lockgate.loadbalancer.forwarding import (
    DEFAULT_PORTS,
    MOST_FORWARDED,
    desync_mode,
    drops_invalid_headers,
    forwarded_for,
    keeps_host,
)
from lockgate.loadbalancer.model import Forward, Listener, LoadBalancer, Redirect
from lockgate.loadbalancer.pages import content_type, page
from lockgate.xds.loadbalancer import lua
from lockgate.xds.loadbalancer.answers import everywhere
from lockgate.xds.loadbalancer.answers import marked as value

Context: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """A script by its name in the listener, and the context that one rule passes to it."""

    name: str
    context: Context


PLAIN: Final = "plain"  # runs for forwarded requests unless their rule names another script
CHECKED: Final = "checked"
FRESH: Final = "fresh"  # the plain script without the checks for unusual headers
REFUSALS: Final = "refusals"  # for requests that are not forwarded: only the checks before any rule
STICKY: Final = "sticky"
REWRITE: Final = "rewrite"
REDIRECT: Final = "redirect"


def source(name: str, balancer: LoadBalancer, listener: Listener, *, traced: bool = False) -> str:
    """The source of a script of `listener`. Names are those above, joined by ``+`` if a rule needs several. `traced`
    requests hand on a trace context."""
    desired = name.split("+")
    marked = everywhere(balancer, listener) or name in (REFUSALS, REDIRECT)
    parts = [lua.PAGES % _pages(400, 414, 463, 464, 500, marked=marked), lua.TRACE]
    fresh = desired == [FRESH]
    calls = [] if fresh else ["if too_long(handle, headers) then return end"]
    parts.append(lua.LIMITS % {"most": MOST_FORWARDED})
    if fresh:
        pass
    elif forwarded_for(balancer) == "append":
        client_port = balancer.attributes.get("routing.http.xff_client_port.enabled") == "true"
        parts.append(lua.APPEND % (lua.ADDRESS_AND_PORT if client_port else lua.ADDRESS))
    else:
        parts.append(lua.KEEP)
    if not fresh:
        calls.append("if forwarded(handle, headers) then return end")
    for part, call in _desync(balancer, fresh=fresh):
        parts.append(part)
        calls.extend([f"if {call} then return end"] if call else [])
    if desired == [REFUSALS]:
        return "".join(parts) + _request(calls)
    if desired == [REDIRECT]:
        parts.append(lua.REDIRECT)
        return "".join(parts) + _request([*calls, "redirect(handle, headers, context)"])
    if desired not in ([PLAIN], [FRESH]):
        parts += [lua.NO_GRPC, lua.VERSIONS]
        calls.append("if incompatible(handle, headers, context) then return end")
    elif speaks_http2(balancer, listener) and not fresh:
        parts.append(lua.NO_GRPC)
        calls.append("if no_grpc(handle, headers) then return end")
    if drops_invalid_headers(balancer):
        parts.append(lua.DROP_INVALID)
        calls.append("drop_invalid(handle, headers)")
    calls.append('headers:add("x-amzn-trace-id", "Root=" .. identifier())' if fresh else "trace(headers)")
    if traced:
        parts.append(lua.HAND_ON)
        calls.append("hand_on(handle, headers)")
    mutual = listener.mutual_authentication
    if mutual is not None and mutual.mode == "passthrough":
        parts.append(lua.CLIENT_CHAIN % {"name": lua.quoted(client_chain_header(listener).lower())})
        calls.append("client_chain(handle, headers)")
    if REWRITE in desired:
        parts.append(lua.REWRITE)
        calls.append("if rewrite(handle, headers) then return end")
    if listener.port not in DEFAULT_PORTS and not keeps_host(balancer):
        parts.append(lua.HOST_PORT % listener.port)
        calls.append("host(headers)")
    response = ""
    if STICKY in desired:
        parts.append(lua.STICKY)
        calls.insert(0, "stick(handle, headers, context)")  # first, because the route is chosen again
        response = lua.STICKY_RESPONSE
    return "".join(parts) + _request(calls) + response


def _request(calls: Sequence[str]) -> str:
    body = "".join(f"  {call}\n" for call in calls)
    context = "  local context = handle:filterContext()\n" if "context" in body else ""
    return f"function envoy_on_request(handle)\n  local headers = handle:headers()\n{context}{body}end\n"


def _desync(balancer: LoadBalancer, *, fresh: bool) -> Iterable[tuple[str, str]]:
    """The Lua pieces, and the call of each, if any. A fresh request has no body framing to check."""
    mode = desync_mode(balancer)
    if fresh and mode != "strictest":
        return
    yield lua.CLASSIFIED, ""
    yield {"monitor": lua.MONITOR, "strictest": lua.STRICTEST}.get(mode, lua.DEFENSIVE), ""
    if not fresh:
        yield lua.FRAMING, "suspect(handle, headers)"
    if mode == "strictest":
        yield lua.NAMES_AND_VALUES, "strange(handle, headers)"


def speaks_http2(balancer: LoadBalancer, listener: Listener) -> bool:
    on = balancer.attributes.get("routing.http2.enabled", "true") == "true"
    return on and listener.protocol == "HTTPS"


def client_chain_header(listener: Listener) -> str:
    renamed = listener.attributes.get("routing.http.request.x_amzn_mtls_clientcert.header_name")
    return renamed or "X-Amzn-Mtls-Clientcert"


def redirecting(listener: Listener, redirect: Redirect) -> Script:
    protocol = listener.protocol.lower()
    context = {
        "protocol": redirect.protocol.replace("#{protocol}", protocol).lower(),
        "host": redirect.host,
        "port": redirect.port,
        "path": redirect.path,
        "query": redirect.query,
        "request_protocol": protocol,
        "request_port": str(listener.port),
        "status": redirect.status_code.removeprefix("HTTP_"),
    }
    return Script(REDIRECT, context)


def forwarding(balancer: LoadBalancer, forward: Forward, *, rewrites: bool, names: Mapping[str, str]) -> Script | None:
    """The script of a forward that needs more than the plain one, else None. `names` maps target groups to clusters."""
    groups = [each for each in forward.target_groups if each.target_group in names]
    sticky = [_stickiness(balancer.target_groups[each.target_group].attributes) for each in groups]
    version = {balancer.target_groups[each.target_group].protocol_version for each in groups} or {"HTTP1"}
    needs_sticking = forward.stickiness_seconds is not None or any(sticky)
    if not needs_sticking and not rewrites and version == {"HTTP1"}:
        return None
    context: dict[str, Any] = {"version": sorted(version)[-1]}
    if needs_sticking:
        context["key"] = balancer.arn
        context["seconds"] = forward.stickiness_seconds or 0
        context["groups"] = [
            {"cluster": names[each.target_group], "weight": each.weight, **how}
            for each, how in zip(groups, sticky, strict=True)
        ]
    parts = [CHECKED, *([REWRITE] if rewrites else []), *([STICKY] if needs_sticking else [])]
    return Script("+".join(parts), context)


def _stickiness(attributes: Mapping[str, str]) -> dict[str, Any]:
    if attributes.get("stickiness.enabled") != "true":
        return {}
    if attributes.get("stickiness.type", "lb_cookie") == "app_cookie":
        seconds = attributes.get("stickiness.app_cookie.duration_seconds", "86400")
        cookie = attributes.get("stickiness.app_cookie.cookie_name", "")
        return {"sticky": "app", "duration": int(seconds), "cookie": cookie}
    return {"sticky": "lb", "duration": int(attributes.get("stickiness.lb_cookie.duration_seconds", "86400"))}


def _pages(*statuses: int, marked: bool) -> str:
    """The page for each status, with its marker if any."""

    def answer(status: int) -> str:
        mark = lua.quoted(value(status, content_type(status))) if marked else "nil"
        return f"[{status}] = {{ body = {lua.quoted(page(status))}, mark = {mark} }}"

    return ", ".join(map(answer, statuses))
