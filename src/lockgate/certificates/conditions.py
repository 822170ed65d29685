"""A status's conditions as written back: the transition time changes only with the status."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lockgate.certificates.times import write_time
from lockgate.resources.meta import Condition
from lockgate.resources.model import JsonObject


def with_condition(
    conditions: Iterable[Condition],
    type_: str,
    status: str,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int | None = None,
) -> list[JsonObject]:
    """All conditions as JSON, with one set. Its transition time is kept if its status is unchanged."""
    fresh: JsonObject = {"type": type_, "status": status, "reason": reason, "message": message}
    fresh["lastTransitionTime"] = write_time(now)
    if generation:
        fresh["observedGeneration"] = generation
    documents = [document(each) for each in conditions]
    for index, each in enumerate(documents):
        if each["type"] == type_:
            if each["status"] == status and each.get("lastTransitionTime"):
                fresh["lastTransitionTime"] = each["lastTransitionTime"]
            documents[index] = fresh
            return documents
    return [*documents, fresh]


def without_condition(conditions: Iterable[Condition], type_: str) -> list[JsonObject]:
    return [document(each) for each in conditions if each.type != type_]


def document(condition: Condition) -> JsonObject:
    written: JsonObject = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time,
    }
    if condition.observed_generation:
        written["observedGeneration"] = condition.observed_generation
    return written
