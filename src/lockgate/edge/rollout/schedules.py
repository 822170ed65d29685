"""Cron schedules: five fields, the words for common ones, and ``@every 1h30m``.

Source: robfig/cron `parser.go`, `spec.go`, which kube-controller-manager uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS: Final[tuple[tuple[int, int, dict[str, int]], ...]] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_YEARS: Final = 5  # a schedule without a time in these years, such as 30 February, has none


@dataclass(frozen=True, slots=True)
class Every:
    """At intervals from the last time."""

    interval: timedelta

    def next(self, after: datetime) -> datetime | None:
        return after.replace(microsecond=0) + self.interval


@dataclass(frozen=True, slots=True)
class Fields:
    """At minutes that fit. `any_day` are the days of the month and of the week that were written as ``*``: if neither
    is, one of both is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: tuple[bool, bool]

    def next(self, after: datetime) -> datetime | None:
        """The first time after `after`, in its time zone."""
        at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        last = at.year + _YEARS
        while at.year <= last:
            if at.month not in self.months or not self._fits(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _fits(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return (day and weekday) if any(self.any_day) else (day or weekday)


Schedule = Every | Fields


def schedule(text: str) -> Schedule:
    """Raises `ValueError` with the reason."""
    if text.startswith("@every "):
        return Every(timedelta(seconds=max(round(_seconds(text.removeprefix("@every "))), 1)))
    if text.startswith("@") and text not in _WORDS:
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = _WORDS.get(text, text).split()
    if len(parts) != len(_BOUNDS):
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minutes, hours, days, months, weekdays = (
        _field(part, *bounds) for part, bounds in zip(parts, _BOUNDS, strict=True)
    )
    any_day = parts[2][0] in "*?", parts[4][0] in "*?"
    return Fields(minutes, hours, days, months, weekdays, any_day)


def _field(text: str, lowest: int, highest: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        range_, slash, step = part.partition("/")
        first, dash, end = range_.partition("-")
        if first in ("*", "?"):
            start, stop = lowest, highest
        else:
            start = _number(first, names)
            stop = _number(end, names) if dash else highest if slash else start
        size = _number(step, {}) if slash else 1
        if start < lowest:
            raise ValueError(f"beginning of range ({start}) below minimum ({lowest}): {part}")
        if stop > highest:
            raise ValueError(f"end of range ({stop}) above maximum ({highest}): {part}")
        if start > stop:
            raise ValueError(f"beginning of range ({start}) beyond end of range ({stop}): {part}")
        if size == 0:
            raise ValueError(f"step of range should be a positive number: {part}")
        found.update(range(start, stop + 1, size))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    if (named := names.get(text.lower())) is not None:
        return named
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"failed to parse int from {text}")
    return int(text)


def _seconds(text: str) -> float:
    found = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"failed to parse duration @every {text}")
    return sum(float(number) * _UNITS[unit] for number, unit in found)
