"""Times and durations in the formats of Kubernetes objects and of Go's messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lockgate.resources import durations


def parse_duration(text: str) -> timedelta:
    """A Go duration (``2160h0m0s``, ``1.5h``), to the microsecond. Raises `ValueError`."""
    nanoseconds = durations.nanoseconds(text)
    if nanoseconds is None:
        raise ValueError(f"time: invalid duration {text!r}")
    return timedelta(microseconds=nanoseconds // 1000)


def go_duration(duration: timedelta) -> str:
    """A duration as Go prints it: ``2160h0m0s``, ``5m0s``, ``1s``."""
    return durations.go_text(duration // timedelta(microseconds=1) * 1000)


def parse_time(text: str) -> datetime:
    """A timestamp of the Kubernetes API. Raises `ValueError`."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def write_time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def go_time(time: datetime) -> str:
    """A metav1.Time as Go prints it: ``2026-11-23 16:00:00 +0000 UTC``."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def rfc1123(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
