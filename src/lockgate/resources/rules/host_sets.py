"""Compares many host names with many others in less than quadratic time.

A host may start with ``*``, which covers every longer name with the same suffix. Reversed, the names that a wildcard
covers share a prefix, so they are one range of the sorted names, and ranges are nested or disjoint. One pass with a
stack of open ranges therefore finds each relevant pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class HostSet:
    def __init__(self, hosts: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._endings: dict[int, set[str]] = {}  # of wildcards, by length
        for host in hosts:
            if host.startswith("*"):
                self._endings.setdefault(len(host) - 1, set()).add(host[1:])
            else:
                self._names.add(host)

    def covers(self, host: str) -> bool:
        """Whether one of these is `host`, or a wildcard that covers everything that `host` covers."""
        return host in self._names or any(
            len(host) > length and host[len(host) - length :] in endings for length, endings in self._endings.items()
        )


@dataclass(slots=True)
class _Range:
    """A wildcard on the stack: all names that it covers start, reversed, with `ending`."""

    ending: str
    index: int
    earliest: int  # smallest index of the names that it covers


def first_overlaps(hosts: Sequence[str]) -> dict[int, int]:
    """Maps the index of a host to the index of the first earlier host with common names."""
    found: dict[int, int] = {}
    first: dict[str, int] = {}
    for index, host in enumerate(hosts):
        first.setdefault(host, index)
    # A name sorts before the wildcard with the same text: `*.a.example` covers `b.a.example`, but not `.a.example`.
    order = sorted(first, key=lambda host: (host.removeprefix("*")[::-1], host.startswith("*")))
    open_: list[_Range] = []
    lowest: list[int] = []  # running minimum over the open ranges
    for host in order:
        index, name = first[host], host.removeprefix("*")[::-1]
        while open_ and not name.startswith(open_[-1].ending):
            _close(open_, lowest, found)
        if lowest:
            _note(found, index, lowest[-1])
        if host.startswith("*"):
            open_.append(_Range(name, index, len(hosts)))
            lowest.append(min(index, lowest[-1]) if lowest else index)
        elif open_:
            open_[-1].earliest = min(open_[-1].earliest, index)
    while open_:
        _close(open_, lowest, found)
    for index, host in enumerate(hosts):
        if (same := first[host]) < index:
            found[index] = found.get(same, same)
    return found


def _close(open_: list[_Range], lowest: list[int], found: dict[int, int]) -> None:
    closed = open_.pop()
    lowest.pop()
    _note(found, closed.index, closed.earliest)
    if open_:
        open_[-1].earliest = min(open_[-1].earliest, closed.earliest, closed.index)


def _note(found: dict[int, int], index: int, other: int) -> None:
    if other < index:
        found[index] = min(other, found.get(index, other))
