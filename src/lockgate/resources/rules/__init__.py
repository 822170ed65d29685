"""What is refused beyond the shape: one file for each component that has a say, as the component says it.

A rule takes a parsed object and yields faults. It runs on objects whose shape is right, so it can trust the types.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources.faults import Fault
from lockgate.resources.model import Resource
from lockgate.resources.rules import metadata


def refusals(resource: Resource) -> Iterator[Fault]:
    yield from metadata.refusals(resource)


def warnings(resource: Resource) -> Iterator[Fault]:
    return
    yield
