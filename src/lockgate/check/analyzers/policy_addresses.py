"""Policies at a gateway behind a load balancer that compare the address of the connection."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.connections import connections
from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path

CODES = (codes.ADDRESS_OF_LOAD_BALANCER,)


def analyze(edge: Edge) -> Iterator[Fault]:
    seen: set[str] = set()
    for each in connections(edge):
        for policy in _policies(edge, each.gateway.filters.http if each.gateway and each.gateway.filters else ()):
            if policy not in seen:
                seen.add(policy)
                namespace, _, name = policy.partition("/")
                found = edge.objects.get(istio.AuthorizationPolicy, namespace, name)
                for path, field, instead in _compared(found) if found else ():
                    origin = Origin(found.key, path) if found else None
                    yield codes.ADDRESS_OF_LOAD_BALANCER.at(
                        origin, field=field, balancer=each.balancer.name, instead=instead
                    )


def _policies(edge: Edge, filters: object) -> Iterator[str]:
    for each in filters if isinstance(filters, tuple) else ():
        for rule in getattr(each, "rules", None) or ():
            yield rule.policy


def _compared(policy: istio.AuthorizationPolicy) -> Iterator[tuple[Path, str, str]]:
    for number, rule in enumerate(policy.spec.rules):
        where: Path = ("spec", "rules", number)
        for index, each in enumerate(rule.from_):
            if each.source is not None:
                if each.source.ip_blocks:
                    yield (*where, "from", index, "source", "ipBlocks"), "ipBlocks", "remoteIpBlocks"
                if each.source.not_ip_blocks:
                    yield (*where, "from", index, "source", "notIpBlocks"), "notIpBlocks", "notRemoteIpBlocks"
        for index, condition in enumerate(rule.when):
            if condition.key == "source.ip":
                yield (*where, "when", index, "key"), "source.ip", "remote.ip"
