"""Why an IngressGroup cannot become a load balancer. The builder raises it internally and returns it as a value.

It is not a `Fault`, because the controller puts its own message into an event of each member. `faults.refused` converts
it to a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lockgate.resources.faults import Origin


class Refused(Exception):
    """`message` is the controller's. `origin` is the place in a manifest, `fix` says what to change there."""

    def __init__(self, message: str, origin: Origin | None = None, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin
        self.fix = fix


@contextmanager
def about(origin: Origin, *, prefix: str = "") -> Iterator[None]:
    """Adds `origin` to refusals raised inside that have none, and `prefix` to their message."""
    try:
        yield
    except Refused as refused:
        refused.origin = refused.origin or origin
        if prefix:
            refused.message = prefix + refused.message
            refused.args = (refused.message,)
        raise
