"""TLS to destinations whose certificates nobody checks."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path

CODES = (codes.UNVERIFIED_UPSTREAM,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for rule in edge.objects.all(istio.DestinationRule):
        for path, policy in _policies(rule):
            if policy.tls is not None and policy.tls.insecure_skip_verify:
                origin = Origin(rule.key, (*path, "tls", "insecureSkipVerify"))
                yield codes.UNVERIFIED_UPSTREAM.at(origin, host=rule.spec.host)


def _policies(rule: istio.DestinationRule) -> Iterator[tuple[Path, istio.TrafficPolicy | istio.PortTrafficPolicy]]:
    """Each traffic policy with its path: for the host, its subsets, and their ports."""
    places: list[tuple[Path, istio.TrafficPolicy | None]] = [(("spec", "trafficPolicy"), rule.spec.traffic_policy)]
    places += [
        (("spec", "subsets", index, "trafficPolicy"), subset.traffic_policy)
        for index, subset in enumerate(rule.spec.subsets)
    ]
    for path, policy in places:
        if policy is None:
            continue
        yield path, policy
        for index, port in enumerate(policy.port_level_settings):
            yield (*path, "portLevelSettings", index), port
