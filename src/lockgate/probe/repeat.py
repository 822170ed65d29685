"""The same request again and again: percentiles, and the moment of the first failure."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lockgate.probe.observed import Exchange
from lockgate.probe.observing import Place, asked, observe
from lockgate.trace.model import Request

_PERCENTILES = (50, 90, 99)
_MOST_KEPT = 100_000


@dataclass
class Series:
    """The outcomes. `first_failure` is its time and what it was."""

    count: int | None
    until_fails: bool = False
    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    first_failure: tuple[datetime, str] | None = None

    @property
    def failed(self) -> bool:
        return self.first_failure is not None

    @property
    def done(self) -> bool:
        total = self.outcomes.total()
        return (self.until_fails and self.failed) or total >= (self.count or _MOST_KEPT)

    def add(self, answer: Exchange | None, error: str) -> None:
        ok = answer is not None and answer.status is not None and answer.status < 400
        outcome = str(answer.status) if answer is not None and answer.status is not None else error or "no answer"
        self.outcomes[outcome] += 1
        if answer is not None and answer.status is not None:
            self.seconds.append(answer.first_byte)
        if not ok and self.first_failure is None:
            self.first_failure = (datetime.now(UTC), outcome)

    def percentiles(self) -> dict[str, float]:
        """Seconds to the first byte."""
        ordered = sorted(self.seconds)
        if not ordered:
            return {}
        return {f"p{each}": ordered[min(len(ordered) * each // 100, len(ordered) - 1)] for each in _PERCENTILES}

    def as_json(self) -> dict[str, Any]:
        failure = self.first_failure
        return {
            "requests": self.outcomes.total(),
            "outcomes": dict(self.outcomes),
            "first_byte_seconds": {name: round(value, 6) for name, value in self.percentiles().items()},
            "first_failure": {"at": failure[0].isoformat(), "outcome": failure[1]} if failure else None,
        }

    def lines(self) -> Iterator[str]:
        shares = ", ".join(f"{number} × {outcome}" for outcome, number in self.outcomes.most_common())
        times = ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in self.percentiles().items())
        yield f"{self.outcomes.total()} requests: {shares or 'none'}" + (f" · first byte {times}" if times else "")
        if self.first_failure:
            yield f"first failure at {self.first_failure[0]:%Y-%m-%d %H:%M:%S.%f} UTC: {self.first_failure[1]}"


async def run(
    place: Place,
    request: Request,
    protocol: str,
    kind: str,
    interval: float,
    series: Series,
    tell: Callable[[str], None],
    *,
    newest_tls: str = "",
) -> None:
    """Sends one request each `interval` seconds, and tells of every change of the outcome."""
    last = ""
    while not series.done:
        began = time.monotonic()
        sent = asked(request, protocol=protocol, kind=kind, now=time.time(), newest_tls=newest_tls)
        seen = await observe(place, sent)
        broken = next((each.error or each.tls_error for each in seen.connections if each.error or each.tls_error), "")
        answer = seen.answer
        series.add(answer, (answer.error if answer is not None else "") or broken or "no address")
        outcome = str(answer.status) if answer is not None and answer.status else (broken or "no answer")
        if outcome != last:
            tell(f"{datetime.now(UTC):%H:%M:%S.%f} {outcome}")
            last = outcome
        if not series.done:
            await asyncio.sleep(max(0.0, interval - (time.monotonic() - began)))
