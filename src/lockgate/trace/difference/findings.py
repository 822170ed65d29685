"""Collects what differs, merges it to the widest classes, and gives each class a witness that really differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.edge.edge import Edge
from lockgate.trace.difference import outcomes, words
from lockgate.trace.difference.choices import Example
from lockgate.trace.difference.conditions import Part
from lockgate.trace.difference.hosts import OWN_NAME
from lockgate.trace.difference.model import Change, Covered, Difference, RequestClass, Side
from lockgate.trace.difference.outcomes import Aspects
from lockgate.trace.difference.space import Cell, Space
from lockgate.trace.difference.tree import merged
from lockgate.trace.difference.witnesses import MOST_TRIED, Way, requests, visible, way
from lockgate.trace.model import Request, Trace, Where
from lockgate.trace.walk import trace

_ENDS = frozenset(("answer", "backend", "targets"))
_WRITTEN = frozenset(("answer", "outcome", "path at the backend", "rewrite by the load balancer"))
"""Aspects that may be written differently and mean the same, so that only a request shows whether they do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Hosts, and one of their ports."""

    hosts: tuple[str, ...]
    scheme: str
    port: int

    @property
    def authority(self) -> str:
        """The Host header of the first host's requests at the gateway."""
        return self.hosts[0] if self.port in (80, 443) else f"{self.hosts[0]}:{self.port}"

    def __str__(self) -> str:
        more = f" and {len(self.hosts) - 1:,} more" if len(self.hosts) > 1 else ""
        return f"{self.scheme}://{self.authority}{more}"


@dataclass(slots=True)
class _Found:
    """The cells of one place with the same changes."""

    cells: list[Cell] = field(default_factory=list)
    ways: list[tuple[Way, Way]] = field(default_factory=list)
    where: tuple[Where, Where] = (None, None)


@dataclass(slots=True)
class _Class:
    """What becomes a `RequestClass`: places with the same conditions and the same changes."""

    changes: tuple[Change, ...]
    conditions: tuple[str, ...]
    breadth: float
    witness: Request
    sides: tuple[Side, Side]
    covered: list[Covered] = field(default_factory=list)
    hosts: dict[str, None] = field(default_factory=dict)
    ports: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Covered:
    """Whether a request is in one of the cells of a place."""

    place: Place
    space: Space
    cells: tuple[Cell, ...]

    def __call__(self, request: Request) -> bool:
        if request.host not in self.place.hosts or (request.scheme, request.port) != (
            self.place.scheme,
            self.place.port,
        ):
            return False
        return any(self.space.holds(request, cell) for cell in self.cells)


class Findings:
    def __init__(self, old: Edge, new: Edge) -> None:
        self._edges = old, new
        self._open: dict[tuple[Change, ...], _Found] = {}
        self._classes: dict[object, _Class] = {}
        self._undecided: dict[str, None] = {}
        self._left_out: list[str] = []
        self.described: Mapping[str, str] = {}
        self.examples: tuple[Mapping[Part, Example], ...] = ()
        """Parts of requests to try for what no condition tells."""

    def undecided(self, text: str) -> None:
        self._undecided[text] = None

    def left_out(self, hosts: Iterable[str]) -> None:
        self._left_out += hosts

    def add(
        self,
        space: Space,
        cell: Cell,
        aspects: Sequence[Aspects],
        where: tuple[Where, Where],
        ways: tuple[Way, Way],
    ) -> None:
        """One cell, decided."""
        found = _essential(outcomes.changes(*aspects))
        if found:
            kept = self._open.setdefault(found, _Found(where=where))
            kept.cells.append(cell)
            kept.ways.append(ways)

    def close(self, place: Place, space: Space, everything: Cell) -> None:
        """Makes classes of what was added for a place."""
        for changes, found in self._open.items():
            self._close(place, space, everything, changes, found)
        self._open = {}

    def _close(self, place: Place, space: Space, everything: Cell, changes: tuple[Change, ...], found: _Found) -> None:
        conditions = words.conditions(space, merged(found.cells), everything)
        key = changes, conditions
        known = self._classes.get(key)
        if known is None or _must_show(changes):
            witness = self._witness(place, space, changes, found)
            if witness is None:
                return
            request, traces = witness
            sides = tuple(Side(answer_of(each), at) for each, at in zip(traces, found.where, strict=True))
            breadth = words.breadth(found.cells, everything)
            known = self._classes.setdefault(key, _Class(changes, conditions, breadth, request, (sides[0], sides[1])))
        known.covered.append(_Covered(place, space, tuple(found.cells)))
        known.hosts |= dict.fromkeys(self.described.get(each, each) for each in place.hosts)
        known.ports[f"{place.scheme} {place.port}"] = None

    def _witness(
        self, place: Place, space: Space, changes: tuple[Change, ...], found: _Found
    ) -> tuple[Request, tuple[Trace, Trace]] | None:
        """A request of the class that both edges decide as predicted, and that shows the difference."""
        tried = equal = 0
        for cell, ways in zip(found.cells, found.ways, strict=True):
            for request in requests(space, cell, place.scheme, place.hosts[0], place.port, self.examples):
                if tried >= MOST_TRIED:
                    break
                tried += 1
                if not all(_goes(edge, request, each) for edge, each in zip(self._edges, ways, strict=True)):
                    continue
                traces = trace(self._edges[0], request), trace(self._edges[1], request)
                if not _must_show(changes) or visible(traces[0]) != visible(traces[1]):
                    return request, traces
                equal += 1
        what = "; ".join(f"{each.aspect}: {each.old} → {each.new}" for each in changes[:2])
        asked = words.conditions(space, merged(found.cells), space.whole)
        about = f"{place}{', ' + asked[0] if asked else ''} ({what})"
        if equal:
            self.undecided(f"{about}: written differently, and {equal} requests that were tried are treated equally")
        else:
            self.undecided(f"{about}: no example of such a request was found")
        return None

    def result(self) -> Difference:
        if self._left_out:
            names = ", ".join(self._left_out[:3])
            self.undecided(
                f"the routes of {len(self._left_out):,} more hosts differ and were not compared in detail: {names}, …"
            )
        total = len({each for each in self.described.values() if not each.startswith(OWN_NAME)})
        classes = [self._class(each, total) for each in self._classes.values()]
        classes.sort(key=lambda each: (-len(each.hosts), -each.breadth, len(each.conditions), each.witness.url))
        return Difference(tuple(classes), tuple(self._undecided), total)

    def _class(self, found: _Class, total: int) -> RequestClass:
        hosts = tuple(each for each in found.hosts if not each.startswith(OWN_NAME)) or tuple(found.hosts)
        return RequestClass(
            hosts,
            tuple(found.ports),
            found.conditions,
            found.changes,
            found.witness,
            *found.sides,
            every_host=len(hosts) == total > 1,
            breadth=found.breadth,
            covered=tuple(found.covered),
        )


def _essential(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Without what follows from another change: an answer has no backend and no timeout."""
    ends = [each for each in changes if each.aspect in _ENDS]
    old = next((each.old for each in ends if each.old != "none"), "a route")
    new = next((each.new for each in ends if each.new != "none"), "a route")
    if old.startswith("no connection") or new.startswith("no connection"):
        return (*(each for each in changes if each.aspect == "DNS"), Change("outcome", old, new))
    if any("none" in (each.old, each.new) for each in ends):
        kept = (each for each in changes if each.aspect in ("DNS", "certificate"))
        return (*kept, Change("outcome", old, new))
    moved = any(each.aspect == "backend" for each in ends)
    return tuple(each for each in changes if not (moved and each.aspect.startswith("connection to ")))


def _must_show(changes: tuple[Change, ...]) -> bool:
    return {each.aspect for each in changes} <= _WRITTEN


def _goes(edge: Edge, request: Request, predicted: Way) -> bool:
    """Whether a request takes the predicted rule and, if one is predicted, the predicted route."""
    found = way(edge, request)
    if found is None:
        return predicted.rule is None and predicted.route is None
    return found.rule is predicted.rule and (predicted.route is None or found.route is predicted.route)


def answer_of(found: Trace) -> str:
    """How a request ends, in a few words."""
    ending = found.ending
    if ending.backend:
        backend = found.hop("backend")
        target = backend.data.get("target") if backend else None
        asked = f" (as {target})" if target and target != found.request.target else ""
        destination = found.hop("destination")
        several = destination.data.get("shares", {}) if destination else {}
        total = sum(several.values()) or 1
        named = ", ".join(f"{100 * weight / total:.3g} % {name}" for name, weight in several.items())
        return f"{named if len(several) > 1 else ending.backend}{asked}"
    if ending.location:
        return f"{ending.status} to {ending.location}"
    if ending.status is not None:
        return f"{ending.status} from the {ending.by}"
    return ending.cause or "no answer"
