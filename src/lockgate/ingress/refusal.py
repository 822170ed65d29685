"""Why an IngressGroup cannot become a load balancer: raised while building, returned as a value by the builder.

It is not a `Fault` yet, because the controller puts its own text into an event of each member; `faults.refused` makes
the fault of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lockgate.resources.faults import Origin


class Refused(Exception):
    """`message` is the controller's own text. `origin` is the part of a manifest that it is about."""

    def __init__(self, message: str, origin: Origin | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin


@contextmanager
def about(origin: Origin, *, prefix: str = "") -> Iterator[None]:
    """What is refused inside is about `origin`, unless it says better; `prefix` goes before its message."""
    try:
        yield
    except Refused as refused:
        refused.origin = refused.origin or origin
        if prefix:
            refused.message = prefix + refused.message
            refused.args = (refused.message,)
        raise
