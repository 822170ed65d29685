"""Go's durations (``1h30m``, ``1.5s``, ``100ms``), as Kubernetes, cert-manager and Istio write them."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_PART})+)")
_ONE = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")


@lru_cache(maxsize=1024)
def nanoseconds(text: str) -> int | None:
    """As `time.ParseDuration`; None if the duration is not valid, or longer than Go supports (290 years)."""
    if len(text) > 100 or not _DURATION.fullmatch(text):
        return None
    total = int(sum(Fraction(number.rstrip(".") or "0") * _NANOSECONDS[unit] for number, unit in _ONE.findall(text)))
    if total >= 2**63:
        return None
    return -total if text.startswith("-") else total


def go_text(duration: int) -> str:
    """Nanoseconds as `Duration.String` prints them: ``2h0m0s``, ``1.5s``, ``100ms``."""
    if duration == 0:
        return "0s"
    sign, rest = ("-", -duration) if duration < 0 else ("", duration)
    if rest < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if rest >= size:
                return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, remainder = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(remainder, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
