"""Istio's standard metrics of labelled requests and connections.

Source: Istio's documentation, "Istio Standard Metrics".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.metrics.flows import Connections, Distribution, Requests
from lockgate.metrics.store import Labels, Name, Samples

# Envoy's default bounds, which Istio keeps: of milliseconds and of bytes alike.
BOUNDS: Final = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000),
    *(300_000, 600_000, 1_800_000, 3_600_000),
)
_LE: Final = (*(f"{bound:g}" if bound < 1 else str(bound) for bound in BOUNDS), "+Inf")
COUNT: Final = "istio_requests_total"
_HISTOGRAMS: Final = {
    "istio_request_duration_milliseconds": "durations",
    "istio_request_bytes": "received",
    "istio_response_bytes": "sent",
}
_COUNTERS: Final = {
    "istio_tcp_connections_opened_total": "opened",
    "istio_tcp_connections_closed_total": "closed",
    "istio_tcp_received_bytes_total": "received",
    "istio_tcp_sent_bytes_total": "sent",
}


OF_REQUESTS: Final = frozenset({COUNT, *_HISTOGRAMS})
OF_CONNECTIONS: Final = frozenset(_COUNTERS)


class Totals:
    """The metrics' current values, by labels. Of further labels than `limit`, `dropped` counts the requests and
    connections. A Telemetry may leave out `families`."""

    def __init__(self, limit: int = 1000) -> None:
        self.dropped = 0
        self._limit = limit
        self._requests: dict[Labels, Requests] = {}
        self._connections: dict[Labels, Connections] = {}
        self._families: dict[Labels, frozenset[str]] = {}
        self._changed: set[Labels] = set()

    def add_requests(self, labels: Labels, more: Requests, families: frozenset[str] = OF_REQUESTS) -> None:
        if labels not in self._requests and len(self) >= self._limit:
            self.dropped += more.count
            return
        self._requests[labels] = self._requests.get(labels, Requests()) + more
        self._families[labels] = self._families.get(labels, frozenset()) - OF_REQUESTS | families
        self._changed.add(labels)

    def add_connections(self, labels: Labels, more: Connections, families: frozenset[str] = OF_CONNECTIONS) -> None:
        if labels not in self._connections and len(self) >= self._limit:
            self.dropped += more.opened
            return
        self._connections[labels] = self._connections.get(labels, Connections()) + more
        self._families[labels] = self._families.get(labels, frozenset()) - OF_CONNECTIONS | families
        self._changed.add(labels)

    def __len__(self) -> int:
        return len(self._requests) + len(self._connections)

    def changed(self) -> Samples:
        """The values of all labels that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {labels: dict(self._values(labels)) for labels in changed}

    def exposition(self) -> str:
        """All values in Prometheus' text format."""
        by_metric: dict[str, list[str]] = {}
        for labels in sorted({*self._requests, *self._connections}):
            text = ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
            for name, value in self._values(labels):
                bound = f',le="{name.le}"' if name.le else ""
                by_metric.setdefault(_family(name.metric), []).append(
                    f"{name.metric}{{{text}{bound}}} {_number(value)}"
                )
        lines: list[str] = []
        for family, some in sorted(by_metric.items()):
            lines.append(f"# TYPE {family} {'histogram' if family in _HISTOGRAMS else 'counter'}")
            lines += some
        return "".join(f"{line}\n" for line in lines)

    def _values(self, labels: Labels) -> Iterator[tuple[Name, float]]:
        families = self._families[labels]
        if requests := self._requests.get(labels):
            if COUNT in families:
                yield Name(COUNT), requests.count
            for metric, of in _HISTOGRAMS.items():
                if metric not in families:
                    continue
                yield from _histogram(metric, getattr(requests, of))
        if connections := self._connections.get(labels):
            yield from (
                (Name(metric), getattr(connections, of)) for metric, of in _COUNTERS.items() if metric in families
            )


def _histogram(metric: str, values: Distribution) -> Iterator[tuple[Name, float]]:
    for bound, count in zip(_LE, (*values.until(BOUNDS), values.count), strict=True):
        yield Name(f"{metric}_bucket", bound), count
    yield Name(f"{metric}_sum"), values.sum
    yield Name(f"{metric}_count"), values.count


def _family(metric: str) -> str:
    for ending in ("_bucket", "_sum", "_count"):
        if (family := metric.removesuffix(ending)) in _HISTOGRAMS:
            return family
    return metric


def escaped(value: str) -> str:
    """A label's value in the text format."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
