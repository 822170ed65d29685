"""Rate limits, as sliding windows. They are off by default, and serve to test how a client handles a 429.

Source: Let's Encrypt, "Rate Limits": what is counted, and the messages for clients that exceed a limit.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgate.embedded.acme.problems import Problem


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any `window`."""

    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """Let's Encrypt allows 300 orders in 3 h, 5 certificates per set of names in 7 d, 5 failures per name in 1 h."""

    orders_per_account: Limit | None = None
    certificates_per_names: Limit | None = None
    failures_per_name: Limit | None = None


@dataclass(slots=True)
class Counters:
    """`check` raises if one more would exceed the limit. `count` records an occurrence if it is limited."""

    limits: Limits
    _times: dict[tuple[str, str], deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def check_order(self, account: str, names: tuple[str, ...], now: datetime) -> None:
        """Raises `Problem` rateLimited if an order must wait."""
        self._check("orders", account, self.limits.orders_per_account, "new orders", now)
        self._check(
            "certificates",
            ",".join(names),
            self.limits.certificates_per_names,
            f"certificates for this exact set of identifiers: {','.join(names)}",
            now,
        )
        for name in names:
            base = name.removeprefix("*.")
            self._check(
                "failures",
                f"{account} {base}",
                self.limits.failures_per_name,
                f"failed authorizations for {base!r}",
                now,
            )

    def count_order(self, account: str, now: datetime) -> None:
        if self.limits.orders_per_account:
            self._times["orders", account].append(now)

    def count_certificate(self, names: tuple[str, ...], now: datetime) -> None:
        if self.limits.certificates_per_names:
            self._times["certificates", ",".join(names)].append(now)

    def count_failure(self, account: str, domain: str, now: datetime) -> None:
        if self.limits.failures_per_name:
            self._times["failures", f"{account} {domain}"].append(now)

    def _check(self, kind: str, key: str, limit: Limit | None, what: str, now: datetime) -> None:
        if limit is None:
            return
        times = self._times[kind, key]
        while times and times[0] <= now - limit.window:
            times.popleft()
        if len(times) < limit.count:
            return
        free = (times[-limit.count] if limit.count else now) + limit.window
        raise Problem(
            "rateLimited",
            f"too many {what} ({len(times)}) in the last {_hours(limit.window)},"
            f" retry after {free.strftime('%Y-%m-%d %H:%M:%S UTC')}",
            headers=[("Retry-After", str(max(1, int((free - now).total_seconds()))))],
        )


def _hours(window: timedelta) -> str:
    return f"{int(window.total_seconds() // 3600)}h{int(window.total_seconds() % 3600 // 60)}m0s"
