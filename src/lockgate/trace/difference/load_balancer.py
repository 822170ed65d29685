"""The load balancer's part of an outcome: its rules as branches, and what each of them does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from lockgate.edge.edge import Edge
from lockgate.edge.network import GatewayPort
from lockgate.loadbalancer.conditions import mismatches
from lockgate.loadbalancer.forwarding import forwarded_for
from lockgate.loadbalancer.model import (
    Action,
    AuthenticateOidc,
    Condition,
    FixedResponse,
    Forward,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    Listener,
    LoadBalancer,
    PathPattern,
    QueryPair,
    QueryString,
    Redirect,
    Rule,
    SourceIp,
    TargetGroup,
)
from lockgate.loadbalancer.pages import fixed_content_type
from lockgate.loadbalancer.patterns import is_literal, literal
from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.routing import certificate_for
from lockgate.loadbalancer.sessions import CALLBACK
from lockgate.trace.difference.attributes import effective
from lockgate.trace.difference.conditions import (
    FALSE,
    TRUE,
    Any,
    Every,
    Formula,
    From,
    Header,
    Holds,
    Method,
    OneOf,
    Part,
    Path,
    Query,
    SomeQuery,
    Source,
    Test,
    Text,
    assumed,
    tested,
)
from lockgate.trace.difference.outcomes import Answer, Aspects, Shares, shares
from lockgate.trace.difference.tree import Branch
from lockgate.trace.model import Where, place

BY = "load balancer"


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A connection to a gateway. Through a load balancer it has no server name."""

    leads: GatewayPort
    tls: bool
    group: TargetGroup | None = None
    server_name: str | None = None
    appends_client: bool = False
    """Whether the last address of X-Forwarded-For is the client's."""

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.leads.workload, self.leads.port, self.tls


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What a rule does. `rule` None is the default rule. `changed` says that the rule rewrites the request."""

    aspects: Aspects
    rule: Rule | None = None
    arrivals: tuple[Arrival, ...] = ()
    where: Where = None

    @property
    def rewrites(self) -> bool:
        return bool(self.rule and self.rule.transforms)


# --- a listener --------------------------------------------------------------------------------------------------


def listener_aspects(edge: Edge, balancer: LoadBalancer, listener: Listener, host: str) -> Aspects:
    """What a connection to a listener is like, whatever is then requested."""
    arn = certificate_for(listener, host, certificate_names(edge, listener))
    known = edge.certificates.get(arn) if arn else None
    return {
        "protocol": listener.protocol,
        "certificate": f"{', '.join(known.names)}" if known and known.names else arn,
        "security policy": listener.ssl_policy,
        "client certificates": listener.mutual_authentication,
        "attributes": {**effective(balancer.attributes), **effective(listener.attributes)},
        "web ACL": edge.unseen.get(balancer.name) or (balancer.web_acl.name if balancer.web_acl else None),
        "security groups": SecurityGroups(balancer.security_groups),
        "scheme": balancer.scheme,
        "addresses": balancer.ip_address_type,
    }


@dataclass(frozen=True, slots=True, eq=False)
class SecurityGroups:
    """The controller's own groups have names before they exist, and IDs in an account: those are not compared."""

    groups: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecurityGroups) and (
            self.groups == other.groups or not (self._are_known and other._are_known)
        )

    @property
    def _are_known(self) -> bool:
        return all(each.startswith("sg-") for each in self.groups)

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return ", ".join(self.groups)


def certificate_names(edge: Edge, listener: Listener) -> dict[str, tuple[str, ...]]:
    return {arn: edge.certificates[arn].names for arn in listener.certificates if arn in edge.certificates}


def branches(edge: Edge, balancer: LoadBalancer, listener: Listener, host: str, side: str) -> Iterator[Branch[Taken]]:
    """The rules of a listener for one host, as they are evaluated; the default rule is the last."""
    if (acl := balancer.web_acl) is not None:
        blocked = Taken({"answer": Answer(BY, "blocked", flag=f"web ACL {acl.name}")})
        # By its text: compiled expressions have no equality.
        yield Branch(assumed(f"the {side} web ACL {acl.name} blocks the request", repr(acl)), blocked)
    if any(isinstance(each, AuthenticateOidc) for each in _actions(listener)):
        yield Branch(Test(Path(), Text("exact", CALLBACK)), Taken({"answer": Answer(BY, 302)}))
    for rule in listener.rules:
        condition = _all(rule, host)
        if condition != FALSE:
            yield Branch(condition, _taken(edge, balancer, listener, rule, rule.actions))
    yield Branch(TRUE, _taken(edge, balancer, listener, None, listener.default_actions))


def _actions(listener: Listener) -> Iterator[Action]:
    yield from listener.default_actions
    for rule in listener.rules:
        yield from rule.actions


# --- conditions --------------------------------------------------------------------------------------------------


def host_conditions(listener: Listener) -> Iterator[HostHeader]:
    for rule in listener.rules:
        yield from (each for each in rule.conditions if isinstance(each, HostHeader))


def host_holds(condition: HostHeader, host: str) -> bool:
    rule = Rule(1, (condition,), ())
    return next(iter(mismatches(rule, Request(host=host))), None) is None


def _all(rule: Rule, host: str) -> Formula:
    parts = []
    for condition in rule.conditions:
        if isinstance(condition, HostHeader):
            if not host_holds(condition, host):
                return FALSE
        else:
            parts.append(_formula(condition))
    return Every(tuple(parts))


def _formula(condition: Condition) -> Formula:
    match condition:
        case PathPattern(values, regexes):
            return _values(Path(), values, regexes, fold=False)
        case HttpHeader(name, values, regexes):
            return _values(Header(name.lower()), values, regexes, fold=True)
        case HttpRequestMethod(values):
            return Test(Method(), OneOf(frozenset(values)))
        case SourceIp(values):
            return Test(Source(), From(frozenset(values)))
        case QueryString(pairs):
            return Any(tuple(_pair(each) for each in pairs))
        case HostHeader():
            raise AssertionError("hosts are compared one by one")
        case _:
            assert_never(condition)


def _values(part: Part, values: tuple[str, ...], regexes: tuple[str, ...], *, fold: bool) -> Formula:
    globs = [tested(part, Text("glob", value, fold, "load balancer")) for value in values]
    return Any(
        (*globs, *(tested(part, Text("search", each, fold, "load balancer")) for each in regexes if _compiles(each)))
    )


def _compiles(regex: str) -> bool:
    """An expression that does not compile matches nothing."""
    try:
        re.compile(regex)
    except re.error:
        return False
    return True


def _pair(pair: QueryPair) -> Formula:
    text = Text("escaped glob", pair.value, True, "load balancer")
    if pair.key is None or not is_literal(pair.key, escapes=True):
        return Test(SomeQuery(pair), Holds())
    return tested(Query(literal(pair.key, escapes=True)), text)


# --- actions -----------------------------------------------------------------------------------------------------


def _taken(
    edge: Edge, balancer: LoadBalancer, listener: Listener, rule: Rule | None, actions: tuple[Action, ...]
) -> Taken:
    action = actions[-1]
    aspects: dict[str, object] = {}
    if actions[:-1]:
        aspects["authentication"] = actions[:-1]
    if rule and rule.transforms:
        aspects["rewrite by the load balancer"] = rule.transforms
    arrivals: tuple[Arrival, ...] = ()
    match action:
        case Redirect():
            aspects["answer"] = _redirect(action, listener)
        case FixedResponse(status, content_type, body):
            kind = fixed_content_type(content_type, body or "")
            aspects["answer"] = Answer(BY, int(status), body=body or "", flag=kind if body else "")
        case Forward():
            forwarded, arrivals = _forwarded(edge, balancer, action)
            aspects |= forwarded
        case _:
            raise AssertionError("the API allows no other final action")
    return Taken(aspects, rule, arrivals, place(rule, listener, balancer))


def _redirect(action: Redirect, listener: Listener) -> Answer:
    """What the listener fixes is filled in, so that redirects that are written differently compare."""
    path = action.path.removesuffix("/#{path}") + ("(same path)" if action.path.endswith("/#{path}") else "")
    query = "" if action.query == "#{query}" else f"?{action.query}"
    target = f"{action.protocol.lower()}://{action.host}:{action.port}{path}{query}"
    known = {"#{protocol}": listener.protocol.lower(), "#{host}": "(same host)", "#{port}": str(listener.port)}
    for placeholder, value in known.items():
        target = target.replace(placeholder, value)
    return Answer(BY, int(action.status_code.removeprefix("HTTP_")), target)


def _forwarded(edge: Edge, balancer: LoadBalancer, action: Forward) -> tuple[Aspects, tuple[Arrival, ...]]:
    known = [
        (each.weight, group)
        for each in action.target_groups
        if each.weight > 0 and (group := balancer.target_groups.get(each.target_group)) is not None
    ]
    if not known:
        return {"answer": Answer(BY, 503, flag="no target group has a weight above 0")}, ()
    appends = forwarded_for(balancer) == "append"
    arrivals: list[tuple[int, Arrival]] = []
    weighted: list[tuple[int, str]] = []
    settings: dict[str, object] = {}
    for weight, group in known:
        behind = edge.network.served(group)
        leads = edge.network.gateways.get(behind) if behind else None
        to = "the gateway" if leads else str(behind) if behind else f"no target ({group.name}): 503"
        weighted.append((weight, to))
        if behind is not None:
            settings[f"connection to {to}"] = _settings(group)
        if leads is not None:
            arrivals.append((weight, Arrival(leads, group.protocol == "HTTPS", group, appends_client=appends)))
    sticky = {"stickiness": f"{action.stickiness_seconds} s"} if action.stickiness_seconds is not None else {}
    aspects: dict[str, object] = {"targets": shares(weighted), **settings, **sticky}
    if len(arrivals) > 1:
        aspects["gateways"] = _ports(arrivals)
    arrivals.sort(key=lambda each: -each[0])
    found = {each.key: each for _, each in reversed(arrivals)}
    return aspects, tuple(reversed(found.values()))


def _ports(arrivals: list[tuple[int, Arrival]]) -> Shares:
    return shares([(weight, f"{each.leads.workload}:{each.leads.port}") for weight, each in arrivals])


def _settings(group: TargetGroup) -> dict[str, str]:
    version = {} if group.protocol_version == "HTTP1" else {"version": group.protocol_version}
    return {"protocol": group.protocol, **version, **effective(group.attributes)}
