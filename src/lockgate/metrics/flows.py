"""What Envoys count, by the way that requests took.

An Envoy counts completed requests by their `Flow`. Its counts only grow until it ends; the next Envoy begins at zero. A
`Ledger` finds what is new in each reading, so that totals outlive an Envoy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Flow:
    """The way of a request or connection through one Envoy, and how it ended.

    `node` is the Envoy, `listener` its listener. `code` is 0 if there was no response, `flags` are Envoy's response
    flags (``UF``, ``-`` if there are none). `grpc` is the status of a gRPC request, "" of others. `cluster` and
    `upstream` (address:port) are "" if no cluster or endpoint was chosen. Connections have no code.
    """

    node: str
    listener: str
    code: int = 0
    flags: str = "-"
    grpc: str = ""
    cluster: str = ""
    upstream: str = ""


Bin: TypeAlias = tuple[float, float]  # its lower bound, and its width


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often which values occurred. Bins are Envoy's: two significant digits."""

    bins: Mapping[Bin, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.bins.values())

    @property
    def sum(self) -> float:
        """Values are whole numbers, so a bin of width 1 or less has one value. Others count as their bin's middle."""
        return sum((low + max(width - 1, 0) / 2) * count for (low, width), count in self.bins.items())

    def until(self, bounds: Iterable[float]) -> list[int]:
        """For each bound, how many values are not above it. A bin that contains a bound counts."""
        ordered = sorted((low, count) for (low, _), count in self.bins.items())
        return [sum(count for low, count in ordered if low <= bound) for bound in bounds]

    def __add__(self, other: Distribution) -> Distribution:
        bins = dict(self.bins)
        for at, count in other.bins.items():
            bins[at] = bins.get(at, 0) + count
        return Distribution(bins)

    def since(self, earlier: Distribution) -> Distribution:
        """What was added to an earlier state of the same distribution."""
        more = {at: count - earlier.bins.get(at, 0) for at, count in self.bins.items()}
        return Distribution({at: count for at, count in more.items() if count > 0})


@dataclass(frozen=True, slots=True)
class Requests:
    """The completed requests of a flow: their durations in milliseconds, and their bytes on the client's side."""

    durations: Distribution = Distribution()
    received: Distribution = Distribution()
    sent: Distribution = Distribution()

    @property
    def count(self) -> int:
        return self.durations.count

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.durations + other.durations, self.received + other.received, self.sent + other.sent)

    def since(self, earlier: Requests) -> Requests:
        return Requests(
            self.durations.since(earlier.durations),
            self.received.since(earlier.received),
            self.sent.since(earlier.sent),
        )


@dataclass(frozen=True, slots=True)
class Connections:
    """The TCP connections of a flow. Bytes are on the client's side."""

    opened: int = 0
    closed: int = 0
    received: int = 0
    sent: int = 0

    def __add__(self, other: Connections) -> Connections:
        return Connections(
            self.opened + other.opened,
            self.closed + other.closed,
            self.received + other.received,
            self.sent + other.sent,
        )

    def since(self, earlier: Connections) -> Connections:
        return Connections(
            self.opened - earlier.opened,
            self.closed - earlier.closed,
            self.received - earlier.received,
            self.sent - earlier.sent,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """All that one Envoy has counted, or all of them."""

    requests: Mapping[Flow, Requests] = field(default_factory=dict)
    connections: Mapping[Flow, Connections] = field(default_factory=dict)

    def since(self, earlier: Counts) -> Counts:
        """The flows that changed, and by how much."""
        requests = {
            flow: now.since(earlier.requests.get(flow, Requests()))
            for flow, now in self.requests.items()
            if now != earlier.requests.get(flow)
        }
        connections = {
            flow: now.since(earlier.connections.get(flow, Connections()))
            for flow, now in self.connections.items()
            if now != earlier.connections.get(flow)
        }
        return Counts(requests, connections)


class Ledger:
    """What is new in the counts of Envoys, each of which begins at zero."""

    def __init__(self) -> None:
        self._current: dict[str, tuple[object, Counts]] = {}

    def note(self, node: str, process: object, counts: Counts) -> Counts:
        """What is new in `counts`, which are those of the Envoy `process` of this node as it says now."""
        known, earlier = self._current.get(node, (process, Counts()))
        self._current[node] = (process, counts)
        return counts.since(earlier) if known == process else counts
