"""All analyzers. Each is a module with `CODES`, the codes that it may find, and `analyze`.

To add one, write the module and add a line to `ANALYZERS`, in the order of the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from lockgate.check.analyzers import (
    server_names,
)
from lockgate.edge.edge import Edge
from lockgate.resources.faults import Code, Fault


class Analyzer(Protocol):
    """A module of this package."""

    @property
    def __name__(self) -> str: ...

    @property
    def CODES(self) -> tuple[Code, ...]: ...

    def analyze(self, edge: Edge, /) -> Iterator[Fault]: ...


ANALYZERS: Final[tuple[Analyzer, ...]] = (
    server_names,
)  # fmt: skip
