"""Istio's webhook for localityLbSetting: `pkg/config/validation/agent/validation.go`, ValidateLocalityLbSetting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules.istio_names import conflict, problem

_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def refusals(path: Path, setting: istio.LocalityLoadBalancerSetting) -> Iterator[FieldError]:
    if setting.distribute and setting.failover:
        yield conflict(path, "can not simultaneously specify 'distribute' and 'failover'")
        return
    if setting.failover:
        for index, label in enumerate(setting.failover_priority):
            if label in _TOPOLOGY:
                message = f"can not simultaneously set 'failover' and topology label '{label}' in 'failover_priority'"
                yield conflict((*path, "failoverPriority", index), message)
                return
    for index, distribute in enumerate(setting.distribute):
        at = (*path, "distribute", index, "to")
        if not all(1 <= weight <= 100 for weight in distribute.to.values()):
            yield problem(at, "locality weight must be in range [1, 100]")
        elif (total := sum(distribute.to.values())) != 100:
            yield problem(at, f"total locality weight {total} != 100")
        else:
            yield from _localities(at, distribute.to)
    yield from _localities((*path, "distribute"), (one.from_ for one in setting.distribute))
    for index, failover in enumerate(setting.failover):
        at = (*path, "failover", index)
        if failover.from_ == failover.to:
            yield problem(at, "locality lb failover settings must specify different regions")
        if "/" in failover.from_ + failover.to:
            yield problem(at, "locality lb failover only specify region")
        if "*" in failover.from_ + failover.to:
            yield problem(at, "locality lb failover region should not contain '*' wildcard")


def warnings(path: Path, setting: istio.LocalityLoadBalancerSetting, *, detects: bool) -> Iterator[FieldError]:
    """`detects` is whether the policy has outlier detection."""
    if (setting.failover or setting.failover_priority) and not detects:
        yield problem(path, "outlier detection policy must be provided for failover")


def _localities(path: Path, localities: Iterable[str]) -> Iterator[FieldError]:
    """Only the first fault, as upstream. One locality must not cover another."""
    seen: list[tuple[str, ...]] = []
    for locality in localities:
        parts = tuple(locality.split("/", 2))
        if locality.count("*") > 1 or ("*" in locality and not locality.endswith("*")):
            yield problem(path, f"locality {locality} wildcard '*' number can not exceed 1 and must be in the end")
            return
        if not all(parts):
            yield problem(path, f"locality {locality} must not contain empty region/zone/subzone info")
            return
        if any(_overlap(earlier, parts) for earlier in seen):
            yield problem(path, f"locality {locality} overlap with previous specified ones")
            return
        seen.append(parts)


def _overlap(earlier: tuple[str, ...], later: tuple[str, ...]) -> bool:
    """Whether one is the other or above it; ``*`` is above all."""
    one, other = _without_star(earlier), _without_star(later)
    return one == other[: len(one)] or (len(later) < len(earlier) and other == one[: len(other)])


def _without_star(parts: tuple[str, ...]) -> tuple[str, ...]:
    return parts[:-1] if parts[-1] == "*" else parts
