"""Times and durations as Kubernetes objects and Go's messages write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")


def parse_duration(text: str) -> timedelta:
    """A Go duration (``2160h0m0s``, ``1.5h``). Raises `ValueError`."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return timedelta(0)
    seconds, at = 0.0, 0
    for part in _PART.finditer(body):
        if part.start() != at:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not body or at != len(body):
        raise ValueError(f"time: invalid duration {text!r}")
    return timedelta(seconds=sign * seconds)


def go_duration(duration: timedelta) -> str:
    """As Go prints one: ``2160h0m0s``, ``5m0s``, ``1s``."""
    total = int(duration.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("", total)
    hours, minutes, seconds = total // 3600, total % 3600 // 60, total % 60
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}s"
    return f"{sign}{minutes}m{seconds}s" if minutes else f"{sign}{seconds}s"


def parse_time(text: str) -> datetime:
    """A timestamp of the Kubernetes API. Raises `ValueError`."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def write_time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def go_time(time: datetime) -> str:
    """As Go prints a metav1.Time: ``2026-11-23 16:00:00 +0000 UTC``."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def rfc1123(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
