"""The names that requests are compared for: every name in either edge, and examples of what wildcards cover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.gateway.model import Exact, Present, TextMatch
from lockgate.loadbalancer.model import HostHeader
from lockgate.loadbalancer.patterns import is_literal
from lockgate.resources import core
from lockgate.resources.languages import Automaton, TooLarge, Unsupported, classes, matching, suffix
from lockgate.trace.difference import policies
from lockgate.trace.difference.conditions import Text, of_match
from lockgate.trace.difference.entrances import Entrances
from lockgate.trace.difference.gateway import asks_for_authority
from lockgate.trace.difference.load_balancer import host_conditions

OWN_NAME = "the DNS name of "
"""How the names of load balancers begin. They matter only for what no other name shows."""

_MOST_PATTERNS = 30
_NAME = matching(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Names:
    """`described` maps each name to how it is described: itself, or the other names that it is an example of."""

    described: Mapping[str, str]
    undecided: tuple[str, ...] = ()


def names(*edges: Edge) -> Names:
    exact = {name.lower() for edge in edges for name in _exact(edge)}
    balancers = [{each.dns_name.lower(): each.name for each in edge.load_balancers} for edge in edges]
    wildcards = {name.lower() for edge in edges for name in _wildcards(edge)}
    described = {name: name for name in sorted(exact)}
    for wildcard in sorted(wildcards):
        base = wildcard[2:]
        one = _unused("any", base, exact)
        described.setdefault(one, f"other names in {base}")
        described.setdefault(_unused("any", one, exact), f"other names below {base}")
    undecided = []
    patterns = {text for edge in edges for text in _patterns(edge)}
    try:
        if len(patterns) > _MOST_PATTERNS:
            raise TooLarge(f"{len(patterns)} patterns")
        for name in _examples(patterns, wildcards, exact):
            described.setdefault(name, f"names like {name}")
    except (TooLarge, Unsupported) as error:
        undecided.append(f"names that only the load balancer's host patterns match are not compared: {error}")
    shared = set.intersection(*(set(each) for each in balancers))
    described |= {name: f"{OWN_NAME}{balancers[0][name]}" for name in sorted(shared)}
    return Names(described, tuple(undecided))


def groups(found: Names, old: Entrances, new: Entrances) -> list[tuple[str, ...]]:
    """Names that no rule of a load balancer tells apart, in either edge."""
    by_signature: dict[object, list[str]] = {}
    for name in found.described:
        by_signature.setdefault((old.signature(name), new.signature(name)), []).append(name)
    return [tuple(each) for each in by_signature.values()]


def _exact(edge: Edge) -> Iterator[str]:
    for zone in edge.zones:
        for record in zone.record_sets:
            name = record.name.rstrip(".")
            if record.type in ("A", "AAAA", "CNAME") and not name.startswith(("*", "_")):
                yield name
    for gateway in edge.gateways.values():
        for configuration in gateway.routes.values():
            for host in configuration.virtual_hosts:
                yield from (each for each in host.domains if not each.startswith("*"))
        for listener in gateway.listeners:
            for chain in listener.filter_chains:
                yield from (each for each in chain.server_names if not each.startswith("*"))
    for service in edge.objects.all(core.Service):
        yield from (each.ip for each in service.status.load_balancer.ingress if each.ip)
    for condition in _conditions(edge):
        yield from (each for each in condition.values if is_literal(each))
    yield from (each.value for each in _authorities(edge) if isinstance(each, Exact) and ":" not in each.value)


def _wildcards(edge: Edge) -> Iterator[str]:
    """Names such as ``*.shop.example``."""
    for zone in edge.zones:
        yield from (each.name.rstrip(".") for each in zone.record_sets if each.name.startswith("*."))
    for gateway in edge.gateways.values():
        for configuration in gateway.routes.values():
            for host in configuration.virtual_hosts:
                yield from (each for each in host.domains if each.startswith("*."))
        for listener in gateway.listeners:
            for chain in listener.filter_chains:
                yield from (each for each in chain.server_names if each.startswith("*."))
    for condition in _conditions(edge):
        yield from (each for each in condition.values if _is_wildcard(each))
    for certificate in edge.certificates.values():
        yield from (each for each in certificate.names if each.startswith("*."))


def _patterns(edge: Edge) -> Iterator[Text]:
    """What else the load balancer's rules compare hosts with."""
    for condition in _conditions(edge):
        others = (each for each in condition.values if not (is_literal(each) or each == "*" or _is_wildcard(each)))
        yield from (Text("glob", each, True) for each in others)
        yield from (Text("search", each, True) for each in condition.regex_values)
    yield from (of_match(each) for each in _authorities(edge) if not isinstance(each, Exact))


def _is_wildcard(pattern: str) -> bool:
    return pattern.startswith("*.") and is_literal(pattern[2:])


def _authorities(edge: Edge) -> Iterator[TextMatch]:
    """What routes and policies compare the Host header with."""
    for each in edge.gateways.values():
        for configuration in each.routes.values():
            for host in configuration.virtual_hosts:
                yield from (match for match in asks_for_authority(host) if not isinstance(match, Present))
        yield from policies.asks_for_authority(each)


def _conditions(edge: Edge) -> Iterator[HostHeader]:
    for balancer in edge.application_load_balancers:
        for listener in balancer.listeners:
            yield from host_conditions(listener)


def _unused(label: str, base: str, exact: set[str]) -> str:
    name = f"{label}.{base}"
    return name if name not in exact else _unused(f"{label}0", base, exact)


def _examples(patterns: Iterable[Text], wildcards: Iterable[str], exact: set[str]) -> Iterator[str]:
    """A name for each combination of patterns. Raises `TooLarge`, `Unsupported`."""
    made: list[Automaton] = [each.automaton() for each in patterns]
    if not made:
        return
    below = [suffix(each[1:]) for each in sorted(wildcards)]
    for each in classes([*made, *(below if len(below) <= _MOST_PATTERNS else ())], within=_NAME):
        if any(index < len(made) for index in each.members):
            yield from [name for name in each.texts if name not in exact][:1]
