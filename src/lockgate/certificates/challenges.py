"""Which challenges may begin: not too many at once, and never two for one name, since both would write its record.

Source: cert-manager, `pkg/controller/acmechallenges/scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.resources.kinds import Challenge

MOST_AT_A_TIME = 20  # begun in one pass

_FINAL = ("valid", "invalid", "expired", "errored")


def schedule(challenges: Iterable[Challenge], most_concurrent: int) -> list[Challenge]:
    """Those to begin now, the oldest first. A wildcard and its base share a name, and so take turns."""
    every = sorted(challenges, key=lambda each: (each.metadata.creation_timestamp, each.namespace, each.name))
    # One that is final may still have its record: the next one of its name waits until that is gone.
    busy = [each for each in every if each.status.processing]
    taken = {_slot(each) for each in busy}
    chosen: list[Challenge] = []
    for each in every:
        if len(chosen) >= min(MOST_AT_A_TIME, most_concurrent - len(busy)):
            break
        if each.status.processing or each.status.state in _FINAL or each.metadata.deletion_timestamp:
            continue
        if _slot(each) not in taken:
            taken.add(_slot(each))
            chosen.append(each)
    return chosen


def _slot(challenge: Challenge) -> tuple[str, str]:
    return challenge.spec.dns_name, challenge.spec.type
