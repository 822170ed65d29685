"""From an observation and its evidence to causes, the most telling first. Pure: what was seen comes in as values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lockgate.probe.causes import backend, connections, gateway, load_balancer, names
from lockgate.probe.causes.model import Cause
from lockgate.probe.evidence import Evidence
from lockgate.probe.observed import Observation


def causes(seen: Observation, known: Evidence, now: datetime) -> tuple[Cause, ...]:
    """What is wrong, from the first hop to the last; warnings last. Empty if nothing is."""
    found = list(_found(seen, known, now)) or list(_unexplained(seen))
    distinct = {cause.name: cause for cause in reversed(found)}
    ordered = [cause for cause in found if distinct[cause.name] is cause]
    return tuple(sorted(ordered, key=lambda cause: cause.warning))


def _unexplained(seen: Observation) -> Iterator[Cause]:
    """No answer is never well."""
    if all(each.status is None for each in seen.exchanges):
        errors = (each.error or each.tls_error for each in seen.connections)
        because = tuple(dict.fromkeys(each for each in errors if each))
        yield Cause("no-answer", "network", "no answer came, and nothing that was seen says why", because=because)


def _found(seen: Observation, known: Evidence, now: datetime) -> Iterator[Cause]:
    of_names = tuple(names.diagnose(seen, known))
    yield from of_names
    if not any(cause.name == "not-this-load-balancer" for cause in of_names):
        yield from connections.diagnose(seen, known)
    yield from connections.trust(seen, known, now)
    yield from connections.issuances(known)
    yield from load_balancer.diagnose(seen, known)
    yield from gateway.diagnose(seen, known)
    yield from backend.diagnose(seen, known)
    yield from load_balancer.health(seen, known)
    yield from backend.spread(seen, known)


__all__ = ["Cause", "causes"]
