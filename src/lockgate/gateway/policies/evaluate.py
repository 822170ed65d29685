"""Predicts what access control does with a request, and says why.

Source: Envoy's `source/extensions/filters/common/rbac` (matchers.cc, engine_impl.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, assert_never

from lockgate.gateway import compare
from lockgate.gateway.model import Exact, Prefix, Present, Regex, Suffix, TextMatch, ValueMatch
from lockgate.gateway.policies.model import (
    JWT_FILTER,
    JWT_PAYLOAD,
    All,
    Authenticated,
    DestinationIp,
    DestinationPort,
    DirectRemoteIp,
    Leaf,
    Metadata,
    Not,
    OneOf,
    Predicate,
    Rbac,
    RemoteIp,
    RequestHeader,
    Rule,
    ServerName,
    UriTemplate,
    UrlPath,
)
from lockgate.gateway.regex import full_match


@dataclass(frozen=True, slots=True)
class Seen:
    """What a filter knows about a request, or about a connection that carries bytes.

    `peer` is the address of the connection's other end, `client` the one from which the request comes. `identities` are
    the names of a client certificate. `metadata` is what earlier filters stored.
    """

    peer: str
    client: str
    port: int
    local: str = "127.0.0.1"
    server_name: str = ""
    path: str = ""
    header: Callable[[str], str | None] = lambda name: None
    identities: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A rule that does not hold, and the condition that fails."""

    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one filter decides. `rule` is the one that matched; without one, `unmatched` says why each did not."""

    filter: Rbac
    allowed: bool
    rule: Rule | None = None
    unmatched: tuple[Unmatched, ...] = ()
    would_refuse: bool = False  # the rules of dry runs


def rule_on(rbac: Rbac, seen: Seen) -> Ruling:
    rules = rbac.rules or ()
    matched = next((rule for rule in rules if holds(rule, seen)), None)
    unmatched = tuple(Unmatched(rule, mismatch(rule, seen)) for rule in rules) if matched is None else ()
    allowed = rbac.rules is None or _allows(rbac, matched is not None)
    refused = rbac.shadow is not None and not _allows(rbac, any(holds(rule, seen) for rule in rbac.shadow))
    return Ruling(rbac, allowed, matched, unmatched, refused)


def _allows(rbac: Rbac, matched: bool) -> bool:
    match rbac.action:
        case "ALLOW":
            return matched
        case "DENY":
            return not matched
        case "AUDIT" | "CUSTOM":  # what a server would say is not known here
            return True
        case _:
            assert_never(rbac.action)


def holds(rule: Rule, seen: Seen) -> bool:
    return any(unmet(each, seen) is None for each in rule.permissions) and any(
        unmet(each, seen) is None for each in rule.principals
    )


def mismatch(rule: Rule, seen: Seen) -> str:
    """The first condition of a rule that does not hold, in words."""
    for alternatives in (rule.permissions, rule.principals):
        reasons = [unmet(each, seen) for each in alternatives]
        if None not in reasons:
            return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
    return ""


# --- predicates --------------------------------------------------------------------------------------------------


def unmet(predicate: Predicate, seen: Seen) -> str | None:
    """Why a predicate does not hold, in words; None if it does."""
    match predicate:
        case All(parts):
            return next((reason for each in parts if (reason := unmet(each, seen)) is not None), None)
        case OneOf(parts):
            if any(unmet(each, seen) is None for each in parts):
                return None
            return _none_of(parts, seen)
        case Not(part):
            if unmet(part, seen) is not None:
                return None
            return _excluded(part, seen)
        case _:
            return None if _is_true(predicate, seen) else _none_of((predicate,), seen)


def _is_true(leaf: Leaf, seen: Seen) -> bool:
    match leaf:
        case DirectRemoteIp(block):
            return _within(seen.peer, block)
        case RemoteIp(block):
            return _within(seen.client, block)
        case DestinationIp(block):
            return _within(seen.local, block)
        case DestinationPort(port):
            return seen.port == port
        case ServerName(match):
            return compare.holds(match, seen.server_name)
        case RequestHeader(name, match):
            value = seen.header(name)
            return value is not None and _is(match, value)
        case UrlPath(match):
            return compare.holds(match, _without_query(seen.path))
        case UriTemplate(template):
            return full_match(template_expression(template), _without_query(seen.path))
        case Authenticated(match):
            return any(compare.holds(match, name) for name in seen.identities)
        case Metadata():
            return _is_stored(leaf, seen.metadata)
        case _:
            assert_never(leaf)


def _is(match: ValueMatch, value: str) -> bool:
    return isinstance(match, Present) or compare.holds(match, value)


def _is_stored(leaf: Metadata, metadata: Mapping[str, Any]) -> bool:
    value = stored(metadata, leaf.filter, leaf.path)
    if isinstance(value, str) and not leaf.only_lists:
        return compare.holds(leaf.match, value)
    if isinstance(value, list) and leaf.lists:
        return any(isinstance(each, str) and compare.holds(leaf.match, each) for each in value)
    return False


def stored(metadata: Mapping[str, Any], filter_: str, path: tuple[str, ...]) -> Any:
    value: Any = metadata.get(filter_)
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


@cache
def _network(block: str) -> Any:
    return ip_network(block)


def _within(address: str, block: str) -> bool:
    try:
        return ip_address(address) in _network(block)
    except ValueError:
        return False


def _without_query(target: str) -> str:
    return target.partition("?")[0].partition("#")[0]


@cache
def template_expression(template: str) -> str:
    """The expression of a template. Source: Envoy's `source/extensions/path/uri_template_lib`."""
    literal = "a-zA-Z0-9-._~%!$&'()+,;:@="
    escaped = "".join("\\" + each if each in "$()+." else each for each in template)
    return escaped.replace("**", f"[{literal}/]\0").replace("*", f"[{literal}]+").replace("\0", "*")


# --- words -------------------------------------------------------------------------------------------------------


def _none_of(parts: tuple[Predicate, ...], seen: Seen) -> str:
    leaves = [leaf for part in parts for leaf in leaves_of(part)]
    if not leaves:
        return "it never matches"
    values = list(dict.fromkeys(value_of(leaf) for leaf in leaves))
    listed = " or ".join(values[:4]) + (" or …" if len(values) > 4 else "")
    within = "in " if isinstance(leaves[0], (DirectRemoteIp, RemoteIp, DestinationIp)) else ""
    return f"{_subject(leaves[0], seen)} is not {within}{listed}"


def _excluded(part: Predicate, seen: Seen) -> str:
    held = next((leaf for leaf in leaves_of(part) if _is_true(leaf, seen)), None)
    if held is None:
        return "it never matches"
    return f"{_subject(held, seen)} is excluded by {value_of(held)}"


def leaves_of(predicate: Predicate) -> Iterator[Leaf]:
    match predicate:
        case All(parts) | OneOf(parts):
            for each in parts:
                yield from leaves_of(each)
        case Not(part):
            yield from leaves_of(part)
        case _:
            yield predicate


def _subject(leaf: Leaf, seen: Seen) -> str:
    match leaf:
        case DirectRemoteIp():
            return f"the peer {seen.peer}"
        case RemoteIp():
            return f"the client {seen.client}"
        case DestinationIp():
            return f"the gateway's address {seen.local}"
        case DestinationPort():
            return f"port {seen.port}"
        case ServerName():
            return f"the server name {seen.server_name or '(none)'}"
        case RequestHeader(name):
            shown = {":method": "method", ":authority": "host"}.get(name, f"header {name}")
            value = seen.header(name)
            return f"{shown} (absent)" if value is None else f"{shown} {value or '(empty)'}"
        case UrlPath() | UriTemplate():
            return f"path {_without_query(seen.path)}"
        case Authenticated():
            return (
                f"the client certificate {', '.join(seen.identities)}" if seen.identities else "no client certificate"
            )
        case Metadata(filter_, path):
            value = stored(seen.metadata, filter_, path)
            shown = ".".join(path[1:] if filter_ == JWT_FILTER and path[:1] == (JWT_PAYLOAD,) else path)
            what = "JWT claim" if filter_ == JWT_FILTER else "metadata"
            return f"{what} {shown} {'(absent)' if value is None else value}"
        case _:
            assert_never(leaf)


def value_of(leaf: Leaf) -> str:
    """The value as an AuthorizationPolicy writes it."""
    match leaf:
        case DirectRemoteIp(block) | RemoteIp(block) | DestinationIp(block):
            return block
        case DestinationPort(port):
            return str(port)
        case UriTemplate(template):
            return template.replace("**", "\0").replace("*", "{*}").replace("\0", "{**}")
        case RequestHeader(_, match):
            return _written(match)
        case ServerName(match) | UrlPath(match) | Authenticated(match) | Metadata(match=match):
            return _written(match)
        case _:
            assert_never(leaf)


def _written(match: ValueMatch | TextMatch) -> str:
    match match:
        case Exact(value):
            return value
        case Prefix(value):
            return f"{value}*"
        case Suffix(value):
            return f"*{value}"
        case Regex(".+") | Present():
            return "*"
        case Regex(pattern):
            return pattern
        case _:
            assert_never(match)
