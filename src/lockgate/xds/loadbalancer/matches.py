"""A rule's conditions as routes. One rule becomes several routes if its paths are compared separately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, assert_never

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, Route, RouteMatch
from envoy.extensions.filters.http.lua.v3.lua_pb2 import LuaPerRoute

from lockgate.loadbalancer.model import (
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    PathPattern,
    QueryPair,
    QueryString,
    SourceIp,
)
from lockgate.loadbalancer.patterns import expression, is_literal, quote
from lockgate.xds.loadbalancer.actions import Outcome
from lockgate.xds.loadbalancer.names import LUA, PEER, SIZE_HEADER
from lockgate.xds.loadbalancer.script import FRESH, REFUSALS
from lockgate.xds.protobuf import Message, pack

Guard: TypeAlias = str | None  # a regular expression for the whole host name, without port


def routes_of(
    name: str, conditions: Sequence[Condition], outcome: Outcome, guard: Guard, *, strict: bool
) -> Iterable[Message]:
    """The routes of one rule; they differ only in their path. Their name is the rule's priority, for access logs.
    `strict` is the strictest desync mode, in which the script checks every request.
    """
    plain = LUA not in outcome.typed_per_filter_config
    answered = not outcome.HasField("route")
    for match in _matches(conditions, guard):
        if plain and not match.headers:  # a header rule would be compared twice for requests that do not match
            yield _fresh(name, match, outcome, strict)
        route = Route(name=name, match=match)
        route.MergeFrom(outcome)
        if plain and answered:
            route.typed_per_filter_config[LUA].CopyFrom(pack(LuaPerRoute(name=REFUSALS)))
        yield route


def _fresh(name: str, match: Message, outcome: Outcome, strict: bool) -> Message:
    """The same route for requests that need no check by the script, which most are: Envoy compares headers much faster
    than Lua reads one. If such a request is not forwarded, it needs no script at all.
    """
    route = Route(name=name, match=match)
    route.MergeFrom(outcome)
    route.match.headers.extend(
        [
            HeaderMatcher(name="x-forwarded-for", present_match=False),
            HeaderMatcher(name="x-amzn-trace-id", present_match=False),
            HeaderMatcher(name="content-length", present_match=False),
            HeaderMatcher(
                name="content-type",
                string_match={"prefix": "application/grpc"},
                invert_match=True,
                treat_missing_header_as_empty=True,
            ),
            # Below this size neither a line nor the target can be too long; with a transfer coding the value is not a
            # number.
            HeaderMatcher(name=SIZE_HEADER, range_match={"start": 0, "end": 16384}),
        ]
    )
    runs = LuaPerRoute(name=FRESH) if strict or outcome.HasField("route") else LuaPerRoute(disabled=True)
    route.typed_per_filter_config[LUA].CopyFrom(pack(runs))
    return route


def trace_refused(refusal: Outcome) -> Message:
    """A load balancer refuses the method TRACE before any rule ("HTTP 405: Method not allowed")."""
    route = Route(name="-1", match=RouteMatch(prefix="", headers=[_header(":method", "TRACE")]))
    route.MergeFrom(refusal)
    route.typed_per_filter_config[LUA].CopyFrom(pack(LuaPerRoute(disabled=True)))
    return route


def _matches(conditions: Sequence[Condition], guard: Guard) -> Iterable[Message]:
    rest = RouteMatch()
    if guard is not None:
        rest.headers.append(_header(":authority", f"(?i)(?:{guard})(?::[0-9]+)?", regex=True))
    paths: list[Message] = [RouteMatch(prefix="")]
    for condition in conditions:
        match condition:
            case PathPattern():
                paths = _paths(condition)
            case HostHeader():
                pass  # matched by virtual host and guard
            case HttpHeader():
                rest.headers.append(_http_header(condition))
            case HttpRequestMethod(values):
                rest.headers.append(_one_of(":method", values))
            case QueryString(values):
                rest.headers.append(_query(values))
            case SourceIp(values):
                ranges = [_range(value) for value in values]
                rest.filter_state.add(key=PEER, address_match={"ranges": ranges})
            case _:
                assert_never(condition)
    for path in paths:
        path.MergeFrom(rest)
        yield path


def _paths(condition: PathPattern) -> list[Message]:
    """Exact and prefix comparisons for patterns that allow it; one regular expression for all others.

    ``/a`` with ``/a/*``, the form of a Prefix path, is a single comparison.
    """
    found: list[Message] = []
    regexes = [f".*(?:{regex}).*" for regex in condition.regex_values]
    values = list(dict.fromkeys(condition.values))
    for value in values:
        if is_literal(value):
            if f"{value}/*" in values and value.startswith("/") and not value.endswith("/"):
                found.append(RouteMatch(path_separated_prefix=value))
            else:
                found.append(RouteMatch(path=value))
        elif value.endswith("*") and is_literal(value[:-1]):
            parent = value.removesuffix("/*")
            if not (parent != value and parent in values and parent.startswith("/")):
                found.append(RouteMatch(prefix=value[:-1]))
        else:
            regexes.append(expression(value))
    if regexes:
        found.append(RouteMatch(safe_regex={"regex": "|".join(f"(?:{regex})" for regex in regexes)}))
    return found


def _http_header(condition: HttpHeader) -> Message:
    """Envoy compares each line of a repeated header separately, as a load balancer does."""
    if len(condition.values) == 1 and not condition.regex_values and (plain := _plain(condition.values[0])):
        return HeaderMatcher(name=condition.name, string_match={**plain, "ignore_case": True})
    alternatives = [expression(value) for value in condition.values]
    alternatives += [f".*(?:{regex}).*" for regex in condition.regex_values]
    return _header(condition.name, f"(?i)(?:{'|'.join(alternatives)})", regex=True)


def _plain(pattern: str) -> dict[str, str] | None:
    """A pattern that is one comparison (equals, starts with, ends with, contains), which is cheaper than a regex."""
    inner = pattern.strip("*")
    if not inner or not is_literal(inner):
        return None
    before, after = pattern.startswith("*"), pattern.endswith("*")
    if before and after:
        return {"contains": inner}
    return {"suffix" if before else "prefix" if after else "exact": inner}


def _one_of(name: str, values: Sequence[str]) -> Message:
    if len(values) == 1:
        return _header(name, values[0])
    return _header(name, "|".join(quote(value) for value in values), regex=True)


def _query(pairs: Sequence[QueryPair]) -> Message:
    """One regex over path and query: every parameter is compared as sent, in any order."""
    alternatives = "|".join(_pair(pair) for pair in pairs)
    return _header(":path", rf"(?i)[^?]*\?(?:.*&)?(?:{alternatives})(?:&.*)?", regex=True)


def _pair(pair: QueryPair) -> str:
    anything = "[!-%'-~]"  # within a parameter
    value = expression(pair.value, escapes=True, any_character=anything)
    if pair.key is None:
        return f"[^=&]*={value}"
    key = expression(pair.key, escapes=True, any_character="[!-%'-<>-~]")
    return f"{key}={value}"


def _range(cidr: str) -> dict[str, object]:
    address, _, length = cidr.partition("/")
    return {"address_prefix": address, "prefix_len": {"value": int(length or ("128" if ":" in cidr else "32"))}}


def _header(name: str, value: str, *, regex: bool = False) -> Message:
    if regex:
        return HeaderMatcher(name=name, string_match={"safe_regex": {"regex": value}})
    return HeaderMatcher(name=name, string_match={"exact": value})
