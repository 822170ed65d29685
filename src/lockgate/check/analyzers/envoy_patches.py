"""Patches of EnvoyFilters that cannot be applied to the gateway's Envoy."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault

CODES = (codes.UNSERVED_PATCH,)


def analyze(edge: Edge) -> Iterator[Fault]:
    patches = dict.fromkeys(patch for gateway in edge.gateways.values() for patch in gateway.patches)
    if not patches:
        return
    from lockgate.xds.gateway.patched import unreadable  # Envoy's types take a third of a second to import

    for patch in patches:
        if (reason := unreadable(patch)) is not None:
            yield codes.UNSERVED_PATCH.at(patch.origin, reason=reason)
