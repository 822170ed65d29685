"""What was made of a value is kept for as long as that very value comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

Subject = TypeVar("Subject")
Context = ParamSpec("Context")
Made = TypeVar("Made")


class Memo:
    """Results of pure functions, for one turn longer than they are asked for.

    The subject is known by its identity, as comparing a thousand routes costs more than it saves; the context by its
    value. A build calls `turn` once and then asks `made`; what one whole turn did not ask for is forgotten.
    """

    def __init__(self) -> None:
        self._earlier: dict[tuple[object, ...], tuple[object, Any]] = {}
        self._now: dict[tuple[object, ...], tuple[object, Any]] = {}

    def turn(self) -> None:
        self._earlier, self._now = self._now, {}

    def made(
        self,
        make: Callable[Concatenate[Subject, Context], Made],
        subject: Subject,
        *context: Context.args,
        **named: Context.kwargs,
    ) -> Made:
        """`make(subject, *context)`, or what it gave before. The context must be hashable."""
        key = (make, id(subject), context, *named.items())
        kept = self._now.get(key) or self._earlier.get(key)
        if kept is None:
            kept = (subject, make(subject, *context, **named))  # holds the subject, so that its id stays its own
        self._now[key] = kept
        made: Made = kept[1]
        return made
