"""Durations as Istio's manifests write them, in Go's format: ``1h2m3.5s``, ``250ms``."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: object) -> float | None:
    """Seconds, or None if `text` is absent or not a valid duration (validation reports it; translation ignores it)."""
    if not isinstance(text, str) or not text:
        return None
    total, at = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != at:
            return None
        total += float(part[1]) * _SECONDS[part[2]]
        at = part.end()
    return total if at == len(text) else None
