"""The policies of a gateway as formulas: which requests its filters refuse before a route is looked at.

Follows `gateway.policies.evaluate`. What is known of every request is decided here: the port, the server name, the
address of a load balancer. A claim of a JSON web token or a name in a client's certificate is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import assert_never

from lockgate.gateway import compare
from lockgate.gateway.model import Gateway, HeaderMatch, Present, TextMatch
from lockgate.gateway.policies import model as policies
from lockgate.gateway.policies.evaluate import template_expression, value_of
from lockgate.trace.difference.choices import Example
from lockgate.trace.difference.conditions import (
    FALSE,
    TRUE,
    Any,
    Every,
    Formula,
    From,
    Header,
    Not,
    Part,
    Path,
    Source,
    Test,
    Text,
    assumed,
    of_match,
    tested,
)
from lockgate.trace.difference.load_balancer import Arrival
from lockgate.trace.difference.requests import Known, header_formula
from lockgate.trace.model import Where

BALANCER = "10.0.0.10"  # as in `gateway_hops.gateway_request`
LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The requests that a filter refuses, with the rule that does."""

    condition: Formula
    where: Where = None
    status: int = 403


def refusals(gateway: Gateway, arrival: Arrival, known: Known) -> Iterator[Refusal]:
    """In the order of the filters."""
    for each in gateway.filters.http if gateway.filters else ():
        if isinstance(each, policies.Jwt):
            named = " or ".join(dict.fromkeys(provider.policy for provider in each.providers))
            origin = next((provider.origin for provider in each.providers), None)
            yield Refusal(assumed(f"it has a token that RequestAuthentication {named} refuses", each), origin, 401)
            continue
        if isinstance(each, policies.Wasm):
            if each.on(arrival.leads.port):
                refused = assumed(f"the module of WasmPlugin {each.name} refuses it", each)
                yield Refusal(refused if each.module != "" else TRUE, each.origin)
            continue
        if each.rules is None or each.action == "AUDIT":
            continue
        rules = [(_rule(rule, gateway, arrival, known), rule.origin) for rule in each.rules]
        if each.server:
            refused = assumed(f"the server of {each.server.provider} refuses it", each)
            matched = Any(tuple(condition for condition, _ in rules))
            yield Refusal(Every((matched, refused)), next((origin for _, origin in rules), None))
        elif each.action == "DENY":
            yield from (Refusal(condition, origin) for condition, origin in rules if condition != FALSE)
        else:
            allowed = Any(tuple(condition for condition, _ in rules))
            yield Refusal(Not(allowed), next((origin for _, origin in rules), None))


def reads_tokens(gateway: Gateway) -> tuple[policies.Jwt, ...]:
    """The filters that read JSON web tokens. What they pass on to a backend depends on the token."""
    return tuple(each for each in gateway.filters.http if isinstance(each, policies.Jwt)) if gateway.filters else ()


INVALID_TOKEN: Mapping[Part, Example] = {Header("authorization"): ("Bearer none",)}


def authority_tests(gateway: Gateway, authority: str) -> tuple[bool, ...]:
    """What the rules say of a host's name; hosts for which it is equal are refused alike."""
    found = []
    for each in gateway.filters.access_control if gateway.filters else ():
        for rule in each.rules or ():
            for part in (*rule.permissions, *rule.principals):
                found += [_names(leaf, authority) for leaf in _leaves(part)]
    return tuple(found)


def asks_for_authority(gateway: Gateway) -> Iterator[TextMatch]:
    """What the rules ask of the Host header."""
    for each in gateway.filters.access_control if gateway.filters else ():
        for rule in each.rules or ():
            for part in (*rule.permissions, *rule.principals):
                for leaf in _leaves(part):
                    match leaf:
                        case policies.RequestHeader(":authority", match) if not isinstance(match, Present):
                            yield match
                        case policies.ServerName(match):
                            yield match
                        case _:
                            pass


def _names(leaf: policies.Leaf, authority: str) -> bool:
    match leaf:
        case policies.RequestHeader(":authority", match):
            return not isinstance(match, Present) and compare.holds(match, authority)
        case policies.ServerName(match):
            return compare.holds(match, authority.partition(":")[0])
        case _:
            return False


def _leaves(predicate: policies.Predicate) -> Iterator[policies.Leaf]:
    match predicate:
        case policies.All(parts) | policies.OneOf(parts):
            for each in parts:
                yield from _leaves(each)
        case policies.Not(part):
            yield from _leaves(part)
        case _:
            yield predicate


def _rule(rule: policies.Rule, gateway: Gateway, arrival: Arrival, known: Known) -> Formula:
    done = Any(tuple(_formula(each, gateway, arrival, known) for each in rule.permissions))
    by = Any(tuple(_formula(each, gateway, arrival, known) for each in rule.principals))
    return Every((done, by))


def _formula(predicate: policies.Predicate, gateway: Gateway, arrival: Arrival, known: Known) -> Formula:
    match predicate:
        case policies.All(parts):
            return Every(tuple(_formula(each, gateway, arrival, known) for each in parts))
        case policies.OneOf(parts):
            return Any(tuple(_formula(each, gateway, arrival, known) for each in parts))
        case policies.Not(part):
            return Not(_formula(part, gateway, arrival, known))
        case policies.DirectRemoteIp(block):
            return _constant(_within(BALANCER, block)) if arrival.group else _from(block)
        case policies.RemoteIp(block):
            return _client(block, gateway, arrival)
        case policies.DestinationIp(block):
            return _constant(_within(LOCAL, block))
        case policies.DestinationPort(port):
            return _constant(port == arrival.leads.port)
        case policies.ServerName(match):
            return _constant(compare.holds(match, (arrival.server_name if arrival.tls else "") or ""))
        case policies.RequestHeader(":path"):
            return assumed(f"path and query are {value_of(predicate)}", predicate)
        case policies.RequestHeader(name, match):
            return header_formula(HeaderMatch(name, match), known)
        case policies.UrlPath(match):
            return tested(Path(), of_match(match))
        case policies.UriTemplate(template):
            return tested(Path(), Text("regex", template_expression(template)))
        case policies.Authenticated():
            return assumed(f"the client's certificate has the name {value_of(predicate)}", predicate)
        case policies.Metadata(_, path):
            return assumed(f"the token's claim {'.'.join(path[1:])} is {value_of(predicate)}", predicate)
        case _:
            assert_never(predicate)


def _client(block: str, gateway: Gateway, arrival: Arrival) -> Formula:
    """The client's address, as `gateway.routing.client_address` finds it."""
    trusted = gateway.http.trusted_proxies
    if not trusted:
        return _constant(_within(BALANCER, block)) if arrival.group else _from(block)
    if trusted == 1 and arrival.group and arrival.appends_client:
        return _from(block)
    return assumed(f"the address that X-Forwarded-For names is in {block}", (policies.RemoteIp(block), trusted))


def _from(block: str) -> Formula:
    return Test(Source(), From(frozenset((block,))))


def _constant(holds: bool) -> Formula:
    return TRUE if holds else FALSE


def _within(address: str, block: str) -> bool:
    return ip_address(address) in ip_network(block, strict=False)
