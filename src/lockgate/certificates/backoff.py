"""When to try again after an issuance failed: an hour, doubled with every failure, up to a day and eight hours.

Source: cert-manager, `pkg/controller/certificates/trigger`, and its FAQ on retries.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lockgate.certificates.times import parse_time
from lockgate.resources.kinds import Certificate

FIRST = timedelta(hours=1)
LONGEST = timedelta(hours=32)


def delay(failures: int) -> timedelta:
    """After the n-th failure in a row; nothing before the first."""
    if failures < 1:
        return timedelta(0)
    return min(FIRST * (1 << min(failures - 1, 16)), LONGEST)


def next_attempt(certificate: Certificate) -> datetime | None:
    """The earliest time of the next try; None when nothing failed."""
    status = certificate.status
    if not status.last_failure_time:
        return None
    # A failure noted by an old cert-manager has no count: it was at least one.
    return parse_time(status.last_failure_time) + delay(status.failed_issuance_attempts or 1)
