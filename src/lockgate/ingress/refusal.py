"""Why an IngressGroup cannot become a load balancer: raised while building, returned as a value by the builder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lockgate.resources.model import ObjectKey

Path = tuple[str | int, ...]


class Refused(Exception):
    """`message` is the controller's own text. `subject` and `path` say what the user wrote that it is about."""

    def __init__(self, message: str, *, subject: ObjectKey | None = None, path: Path = ()) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.path = path


@contextmanager
def about(subject: ObjectKey, path: Path = (), *, prefix: str = "") -> Iterator[None]:
    """What is refused inside is about `subject` at `path`, unless it says better; `prefix` goes before its message."""
    try:
        yield
    except Refused as refused:
        if refused.subject is None:
            refused.subject, refused.path = subject, path
        if prefix:
            refused.message = prefix + refused.message
            refused.args = (refused.message,)
        raise
