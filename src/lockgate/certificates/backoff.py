"""When to retry a failed issuance: after an hour, doubled with every failure, at most 32 hours.

Source: cert-manager, `pkg/controller/certificates/trigger`, and its FAQ on retries.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lockgate.certificates.times import parse_time
from lockgate.resources import cert_manager as cm

FIRST = timedelta(hours=1)
LONGEST = timedelta(hours=32)


def delay(failures: int) -> timedelta:
    """The delay after the n-th consecutive failure; zero before the first."""
    if failures < 1:
        return timedelta(0)
    return min(FIRST * (1 << min(failures - 1, 16)), LONGEST)


def next_attempt(certificate: cm.Certificate) -> datetime | None:
    """The earliest time of the next attempt; None if there was no failure."""
    status = certificate.status
    if not status.last_failure_time:
        return None
    # Old versions of cert-manager recorded a failure without a count: it was at least one.
    return parse_time(status.last_failure_time) + delay(status.failed_issuance_attempts or 1)
