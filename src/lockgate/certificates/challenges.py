"""Which challenges may start: a limited number at once, and one per name, since two would write the same record.

Source: cert-manager, `pkg/controller/acmechallenges/scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.resources import cert_manager as cm

MOST_AT_A_TIME = 20  # started in one pass

_FINAL = ("valid", "invalid", "expired", "errored")


def schedule(challenges: Iterable[cm.Challenge], most_concurrent: int) -> list[cm.Challenge]:
    """The challenges to start now, oldest first. A wildcard and its base domain share a name, so they take turns."""
    every = sorted(challenges, key=lambda each: (each.metadata.creation_timestamp, each.namespace, each.name))
    # The record of a final challenge may still exist: the next one of its name waits until it is deleted.
    busy = [each for each in every if each.status.processing]
    taken = {_slot(each) for each in busy}
    chosen: list[cm.Challenge] = []
    for each in every:
        if len(chosen) >= min(MOST_AT_A_TIME, most_concurrent - len(busy)):
            break
        if each.status.processing or each.status.state in _FINAL or each.metadata.deletion_timestamp:
            continue
        if _slot(each) not in taken:
            taken.add(_slot(each))
            chosen.append(each)
    return chosen


def _slot(challenge: cm.Challenge) -> tuple[str, str]:
    return challenge.spec.dns_name, challenge.spec.type
