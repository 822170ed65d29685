"""What the controller counts of its own work, under the names that the AWS Load Balancer Controller gives them.

Source: aws-load-balancer-controller `pkg/metrics/aws`; controller-runtime `pkg/internal/controller/metrics`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lockgate.controllers.aws import ApiCall
from lockgate.controllers.runtime import Outcome

Labels: TypeAlias = tuple[tuple[str, str], ...]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RECONCILE_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5),
    *(1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
_RETRIES: Final = tuple(range(11))
_ERRORS: Final = {
    "AccessDeniedException": "permission",
    "ServiceLimitExceeded": "service_limit_exceeded",
    "ThrottlingException": "throttled",
    "Throttling": "throttled",
    "ValidationError": "validation",
}


@dataclass
class Histogram:
    """Counts by label set; the last count of each is of values above all bounds."""

    bounds: Sequence[float]
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, labels: Labels, value: float) -> None:
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] = self.sums.get(labels, 0.0) + value

    def lines(self, name: str) -> Iterator[str]:
        for labels, counts in sorted(self.counts.items()):
            total = 0
            for bound, count in zip((*self.bounds, "+Inf"), counts, strict=True):
                total += count
                yield f"{name}_bucket{_set((*labels, ('le', str(bound))))} {total}"
            yield f"{name}_sum{_set(labels)} {self.sums[labels]}"
            yield f"{name}_count{_set(labels)} {total}"


class ControllerMetrics:
    """Calls are counted on botocore's threads, reconciliations on the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, Counter[Labels]] = {}
        self._histograms = {
            "aws_api_call_duration_seconds": Histogram(_SECONDS),
            "aws_api_call_retries": Histogram(_RETRIES),
            "controller_runtime_reconcile_time_seconds": Histogram(_RECONCILE_SECONDS),
        }

    def called(self, call: ApiCall) -> None:
        of = (("service", call.service), ("operation", call.operation))
        labels = (*of, ("status_code", str(call.status)), ("error_code", call.error))
        names = ["aws_api_calls_total"]
        kind = "permission" if call.status in (401, 403) else _ERRORS.get(call.error)
        if kind:
            names.append(f"aws_api_call_{kind}_errors_total")
        with self._lock:
            for name in names:
                self._counters.setdefault(name, Counter())[labels] += 1
            self._histograms["aws_api_call_duration_seconds"].observe(of, call.seconds)
            self._histograms["aws_api_call_retries"].observe(of, call.retries)

    def reconciled(self, controller: str, outcome: Outcome, seconds: float) -> None:
        of = (("controller", controller),)
        with self._lock:
            totals = self._counters.setdefault("controller_runtime_reconcile_total", Counter())
            totals[(*of, ("result", outcome))] += 1
            errors = self._counters.setdefault("controller_runtime_reconcile_errors_total", Counter())
            errors[of] += outcome == "error"
            self._histograms["controller_runtime_reconcile_time_seconds"].observe(of, seconds)

    def exposition(self) -> str:
        """Prometheus' text format."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for name, counted in sorted(self._counters.items()):
            yield f"# TYPE {name} counter"
            yield from (f"{name}{_set(labels)} {count}" for labels, count in sorted(counted.items()))
        for name, histogram in self._histograms.items():
            if histogram.counts:
                yield f"# TYPE {name} histogram"
                yield from histogram.lines(name)


def _set(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}"
