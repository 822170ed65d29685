"""A rule's retries, with Istio's defaults.

Source: istio/istio `pilot/pkg/networking/core/route/retry/retry.go`.
"""

from __future__ import annotations

from typing import Final

from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Retry
from lockgate.resources import istio

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT: Final = Retry(2, DEFAULT_RETRY_ON)
_DEFAULT_WITH_HASHING: Final = Retry(2, DEFAULT_RETRY_ON, previous_hosts=False)


def retry(own: istio.HTTPRetry | None, mesh: Mesh, hashed: bool) -> Retry | None:
    """None means no retries. With hash-based load balancing, a retry does not move to another endpoint, unless the rule
    says so."""
    policy = own if own is not None else mesh.default_retries
    if policy is None:
        return _DEFAULT_WITH_HASHING if hashed else _DEFAULT
    if policy.attempts <= 0:
        return None
    retry_on, statuses = _retry_on(policy.retry_on)
    return Retry(
        attempts=policy.attempts,
        retry_on=retry_on,
        retriable_statuses=statuses,
        per_try_timeout=seconds(policy.per_try_timeout),
        backoff=seconds(policy.backoff),
        previous_hosts=not hashed if policy.retry_ignore_previous_hosts is None else policy.retry_ignore_previous_hosts,
        previous_priorities=policy.retry_remote_localities is True,
    )


def _retry_on(text: str) -> tuple[str, tuple[int, ...]]:
    """Envoy's retry conditions, and the status codes among them."""
    if not text:
        return DEFAULT_RETRY_ON, ()
    names, statuses = [], []
    for token in text.split(","):
        if token.strip().isdecimal():
            statuses.append(int(token))
        elif token:
            names.append(token)
    if statuses and "retriable-status-codes" not in names:
        names.append("retriable-status-codes")
    return ",".join(names), tuple(statuses)
