"""What a backend gets of a request, and where redirects lead.

Source: Envoy's `source/common/router/config_impl.cc`.
"""

from __future__ import annotations

from lockgate.gateway import compare
from lockgate.gateway.model import (
    AddHeader,
    Forward,
    HeaderChanges,
    Redirect,
    RegexRewrite,
    Route,
    SetHeader,
    WeightedCluster,
)
from lockgate.gateway.regex import rewritten
from lockgate.gateway.request import Received


def host_of(authority: str) -> str:
    """A Host header without its port."""
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdigit() and not authority.endswith("]") else authority


def sent_headers(
    action: Forward, route: Route, part: WeightedCluster, received: Received
) -> tuple[tuple[str, str], ...]:
    """The headers at one of the action's clusters."""
    request = received.request
    headers = [(name.lower(), value) for name, value in request.headers]
    headers = [(name, value) for name, value in headers if name != "x-forwarded-proto"]
    headers.append(("x-forwarded-proto", received.forwarded))
    _append(headers, "x-forwarded-for", request.peer)
    if action.rewrite is not None:
        headers.append(("x-envoy-original-path", received.target))
    if len(action.clusters) > 1:
        _change(headers, part.request_headers)
    _change(headers, route.request_headers)
    return tuple(headers)


def rewritten_target(action: Forward, route: Route, target: str) -> str:
    path, mark, query = target.partition("?")
    match action.rewrite:
        case None:
            return target
        case RegexRewrite(pattern, substitution):
            return rewritten(pattern, substitution, path) + mark + query
        case prefix:
            return prefix + path[compare.consumed(route.match.path, path) :] + mark + query


def location(action: Redirect, route: Route, received: Received) -> str:
    final = action.scheme or received.scheme
    port = f":{action.port}" if action.port is not None else ""
    host = action.host or _redirect_host(received, final, bool(port))
    path, mark, query = received.target.partition("?")
    if action.prefix:
        path = action.prefix + path[compare.consumed(route.match.path, path) :]
    elif action.path:
        path = action.path
        if "?" in path:
            mark = query = ""
    return f"{final}://{host}{port}{path}{mark}{query}"


def _redirect_host(received: Received, final: str, other_port: bool) -> str:
    """The requested Host, without a port that would be wrong for the new scheme."""
    authority = received.request.authority
    host = host_of(authority)
    default = (received.forwarded, authority[len(host) + 1 :]) in (("http", "80"), ("https", "443"))
    return host if other_port or (final != received.forwarded and default) else authority


def _change(headers: list[tuple[str, str]], changes: HeaderChanges) -> None:
    for name in changes.remove:
        headers[:] = [pair for pair in headers if pair[0] != name]
    # Whatever their order in the configuration: Envoy overwrites before it appends.
    for change in changes.put:
        if isinstance(change, SetHeader):
            headers[:] = [pair for pair in headers if pair[0] != change.name]
            headers.append((change.name, change.value))
    for change in changes.put:
        if isinstance(change, AddHeader):
            _append(headers, change.name, change.value)


def _append(headers: list[tuple[str, str]], name: str, value: str) -> None:
    for index, (own, earlier) in enumerate(headers):
        if own == name:
            headers[index] = (own, f"{earlier},{value}")
            return
    headers.append((name, value))
