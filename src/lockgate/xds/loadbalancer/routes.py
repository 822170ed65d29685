"""Rules as routes: in strict priority order, first match wins, the default rule last.

Rules with host conditions are grouped by host, so that a request is compared only with rules that could match it. Each
name and each ``*.suffix`` of the rules becomes a virtual host, with all rules that a request to that host can match, in
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from lockgate.loadbalancer.forwarding import desync_mode, forwarded_for
from lockgate.loadbalancer.model import HostHeader, Listener, LoadBalancer, Rule
from lockgate.loadbalancer.patterns import expression, is_literal
from lockgate.xds.loadbalancer.actions import Outcome, answer, outcome
from lockgate.xds.loadbalancer.authorization import ask_first, authentication_of, callback_route, logs_in, rule_key
from lockgate.xds.loadbalancer.clients import client_headers
from lockgate.xds.loadbalancer.errors import added_headers
from lockgate.xds.loadbalancer.matches import Guard, routes_of, trace_refused
from lockgate.xds.loadbalancer.names import SIZE_HEADER, listener_name
from lockgate.xds.loadbalancer.rule_index import indexed
from lockgate.xds.loadbalancer.waf import without_waf
from lockgate.xds.protobuf import ADD_IF_ABSENT, Message, header


def route_configuration(balancer: LoadBalancer, listener: Listener) -> Message:
    return RouteConfiguration(
        name=listener_name(balancer, listener.port),
        virtual_hosts=_virtual_hosts(balancer, listener),
        ignore_port_in_host_matching=True,
        validate_clusters={"value": False},  # routes may arrive before their clusters
        request_headers_to_add=_request_headers(balancer, listener),
        response_headers_to_add=added_headers(listener),
        # Headers that Envoy adds for external clients.
        request_headers_to_remove=["x-envoy-external-address", "x-envoy-internal", SIZE_HEADER, *_removed(balancer)],
        most_specific_header_mutations_wins=True,
    )


def _request_headers(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    """X-Forwarded-Proto is Envoy's own: it replaces the one of a client whose address it uses."""
    made = [
        header("X-Forwarded-Port", str(listener.port)),
        *client_headers(balancer, listener),
    ]
    if forwarded_for(balancer) == "append":
        port = balancer.attributes.get("routing.http.xff_client_port.enabled") == "true"
        peer = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS" + ("%" if port else "_WITHOUT_PORT%")
        made.append(header("X-Forwarded-For", peer, ADD_IF_ABSENT))
    return made


def _removed(balancer: LoadBalancer) -> list[str]:
    return ["x-forwarded-for"] if forwarded_for(balancer) == "remove" else []


# --- which rules can match a host --------------------------------------------------------------------------------


_Candidate: TypeAlias = tuple[Rule, Outcome, Guard]  # a rule that can match a host


@dataclass(frozen=True, slots=True)
class _Hosts:
    """One rule's host condition: names, suffixes (``.example.com`` for ``*.example.com``), and all other patterns."""

    names: frozenset[str]
    suffixes: tuple[str, ...]
    others: tuple[str, ...]  # regular expressions for the whole name


def _virtual_hosts(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    rules = [(rule, _hosts(rule), _outcome(balancer, listener, rule)) for rule in listener.rules]
    last = _outcome(balancer, listener, None)
    first = [trace_refused(answer(405, listener))]
    without_waf(first[0], balancer)
    if any(logs_in(listener, rule) for rule in (*listener.rules, None)):
        first.append(callback_route(balancer, listener))
    strict = desync_mode(balancer) == "strictest"
    names = dict.fromkeys(name for _, hosts, _ in rules if hosts for name in sorted(hosts.names))
    suffixes = dict.fromkeys(suffix for _, hosts, _ in rules if hosts for suffix in hosts.suffixes)
    index = _Index(rules)
    made = [_virtual_host(name, [name], index.for_name(name), last, first, strict) for name in names]
    for suffix in suffixes:
        domains = [f"*{suffix}", *([suffix] if suffix not in names else [])]
        made.append(_virtual_host(f"*{suffix}", domains, index.for_suffix(suffix), last, first, strict))
    made.append(_virtual_host("*", ["*"], index.for_any(), last, first, strict))
    return made


def _outcome(balancer: LoadBalancer, listener: Listener, rule: Rule | None) -> Outcome:
    made = outcome(balancer, listener, rule)
    if authentication_of(listener, rule) is not None:
        ask_first(made, rule_key(balancer, listener, rule))
    return made


def _virtual_host(
    name: str, domains: list[str], rules: Sequence[_Candidate], last: Outcome, first: list[Message], strict: bool
) -> Message:
    def routes(candidates: Sequence[_Candidate]) -> list[Message]:
        made = list(first)
        for rule, result, guard in candidates:
            made.extend(routes_of(str(rule.priority), rule.conditions, result, guard, strict=strict))
        made.extend(routes_of("0", (), last, None, strict=strict))
        return made

    matcher = indexed(rules, lambda candidate: candidate[0], routes)
    if matcher is not None:
        return VirtualHost(name=name, domains=domains, matcher=matcher)
    return VirtualHost(name=name, domains=domains, routes=routes(rules))


def _hosts(rule: Rule) -> _Hosts | None:
    """None if a rule has no host condition."""
    condition = next((each for each in rule.conditions if isinstance(each, HostHeader)), None)
    if condition is None or any(set(value) == {"*"} for value in condition.values):
        return None
    names, suffixes, others = [], [], []
    for value in (each.lower() for each in condition.values):
        if is_literal(value):
            names.append(value)
        elif value.startswith("*") and is_literal(value[1:]):
            suffixes.append(value[1:])
        else:
            others.append(expression(value))
    others.extend(f".*(?:{_before_port(regex)}).*" for regex in condition.regex_values)
    return _Hosts(frozenset(names), tuple(dict.fromkeys(suffixes)), tuple(others))


def _before_port(regex: str) -> str:
    """A regex value in which `$` means the end of the name, although Envoy's text continues with a port."""
    made, in_class, escaped = "", False, False
    for char in regex:
        at_end = char == "$" and not in_class and not escaped
        made += "(?::[0-9]+)?$" if at_end else char
        in_class = not escaped and (char == "[" or (in_class and char != "]"))
        escaped = char == "\\" and not escaped
    return made


_Entry: TypeAlias = tuple[Rule, _Hosts | None, Outcome]


class _Index:
    """Finds the rules that can match a host, without scanning all rules."""

    def __init__(self, rules: Sequence[_Entry]) -> None:
        self._rules = rules
        self._everywhere = [at for at, (_, hosts, _) in enumerate(rules) if hosts is None or hosts.others]
        self._by_name: dict[str, list[int]] = {}
        self._by_suffix: dict[str, list[int]] = {}
        for at, (_, hosts, _) in enumerate(rules):
            for name in hosts.names if hosts else ():
                self._by_name.setdefault(name, []).append(at)
            for suffix in hosts.suffixes if hosts else ():
                self._by_suffix.setdefault(suffix, []).append(at)

    def for_name(self, name: str) -> list[_Candidate]:
        return self._meeting(self._by_name.get(name, []) + self._with_suffix_of(name))

    def for_suffix(self, suffix: str) -> list[_Candidate]:
        return self._meeting(self._with_suffix_of(suffix))

    def for_any(self) -> list[_Candidate]:
        return self._meeting([])

    def _with_suffix_of(self, name: str) -> list[int]:
        return [at for start in range(len(name)) for at in self._by_suffix.get(name[start:], ())]

    def _meeting(self, certain: list[int]) -> list[_Candidate]:
        """Rules in order. Only rules that match some of these hosts but not all keep their guard."""
        surely = set(certain)
        found = []
        for at in sorted(surely.union(self._everywhere)):
            rule, hosts, result = self._rules[at]
            guard = None if hosts is None or at in surely else "|".join(hosts.others)
            found.append((rule, result, guard))
        return found
