"""The changes that roll a workload out, as values, and the conditions in statuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from lockgate.resources.model import JsonObject, Resource


@dataclass(frozen=True, slots=True)
class Create:
    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch of everything except the status."""

    of: Resource
    patch: JsonObject


@dataclass(frozen=True, slots=True)
class SetStatus:
    of: Resource
    status: JsonObject


@dataclass(frozen=True, slots=True)
class Delete:
    of: Resource


Change: TypeAlias = Create | Patch | SetStatus | Delete


def condition(type_: str, status: bool | None, reason: str, message: str) -> JsonObject:
    named = {True: "True", False: "False", None: "Unknown"}[status]
    return {"type": type_, "status": named, "reason": reason, "message": message}


def conditions(before: object, made: Iterable[JsonObject], now: str, *, updates: bool = False) -> list[JsonObject]:
    """The conditions with their times: the time of an earlier one stays as long as its status does. With `updates`,
    they have a time of their last update, too, as a Deployment's have."""
    earlier = {each.get("type"): each for each in before if isinstance(each, dict)} if isinstance(before, list) else {}
    found: list[JsonObject] = []
    for each in made:
        old = earlier.get(each["type"], {})
        same = old.get("status") == each["status"]
        times = {"lastTransitionTime": old.get("lastTransitionTime") or now if same else now}
        if updates:
            unchanged = same and all(old.get(name) == each[name] for name in ("reason", "message"))
            times["lastUpdateTime"] = old.get("lastUpdateTime") or now if unchanged else now
        found.append({**each, **times})
    return found


def counts(**numbers: int) -> JsonObject:
    """The numbers of a status. The API leaves out zeros; in a merge patch, None removes the earlier number."""
    return {name: number or None for name, number in numbers.items()}
