"""Unquoted YAML as Kubernetes' own parser takes it."""

from __future__ import annotations

import pytest

from lockgate.resources import durations
from lockgate.resources.scalars import Scalar, plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("yes", True),
        ("y", True),
        ("OFF", False),
        ("n", False),
        ("tRue", "tRue"),
        ("443", 443),
        ("-1", -1),
        ("+7", 7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("-017", -15),
        ("0b101", 5),
        ("089", 89),
        ("80.0", 80),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000),
        ("1.", 1),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("1.17.1", "1.17.1"),
        ("100m", "100m"),
        ("25%", "25%"),
        ("-", "-"),
        ("0x", "0x"),
        ("--", "--"),
        ("istio", "istio"),
        ("٣", "٣"),
        ("9" * 401, "9" * 401),
    ],
)
def test_plain_scalars(text: str, value: Scalar) -> None:
    result = plain_scalar(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [
        ("2160h", 2160 * 3600 * 10**9, "2160h0m0s"),
        ("1h30m", 5400 * 10**9, "1h30m0s"),
        ("90s", 90 * 10**9, "1m30s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        ("100ms", 100_000_000, "100ms"),
        ("1us", 1000, "1µs"),
        ("1µs", 1000, "1µs"),
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        (".5h", 1800 * 10**9, "30m0s"),
        ("1.s", 10**9, "1s"),
        ("-5m", -300 * 10**9, "-5m0s"),
    ],
)
def test_durations(text: str, nanoseconds: int, shown: str) -> None:
    assert durations.nanoseconds(text) == nanoseconds
    assert durations.go_text(nanoseconds) == shown


@pytest.mark.parametrize("text", ["", "90", "90d", "1 h", "h", ".s", "1h ", "1H", "9" * 200 + "h", "9999999h"])
def test_what_is_no_duration(text: str) -> None:
    assert durations.nanoseconds(text) is None
