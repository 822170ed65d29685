"""What was made of a value is kept for as long as that very value comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")
Subject = TypeVar("Subject")

_BY_VALUE = frozenset((str, int, bool, float, tuple, type(None)))
_SLACK = 200  # results that may go unused before any is forgotten


class Memo:
    """Results of pure functions.

    Arguments are known by their identity, as comparing a thousand routes costs more than it saves; strings, numbers
    and tuples by value. So mutable collections may be passed, as long as nobody changes them afterwards. What is not
    asked for any more is forgotten some time after as much new has come; `turn` marks the time.
    """

    def __init__(self) -> None:
        self._earlier: dict[tuple[object, ...], tuple[object, Any]] = {}
        self._now: dict[tuple[object, ...], tuple[object, Any]] = {}
        self._misses = 0
        self._tables: dict[tuple[object, ...], tuple[object, dict[int, tuple[object, Any]]]] = {}
        self._old_tables = self._tables
        self._stable: dict[str, Any] = {}

    def turn(self) -> None:
        if self._misses > len(self._now) // 2 + _SLACK:
            self._earlier, self._now, self._misses = self._now, {}, 0
            self._old_tables, self._tables = self._tables, {}

    def made(self, make: Callable[Arguments, Made], *arguments: Arguments.args, **named: Arguments.kwargs) -> Made:
        """`make(*arguments)`, or what it gave before."""
        assert not named
        key = (make, *[one if type(one) in _BY_VALUE else id(one) for one in arguments])
        kept = self._now.get(key)
        if kept is None:
            kept = self._earlier.get(key)
            if kept is None:
                self._misses += 1
                kept = (arguments, make(*arguments, **named))  # holds the arguments, so that their ids stay theirs
            self._now[key] = kept
        made: Made = kept[1]
        return made

    def each(
        self,
        table_name: str,
        make: Callable[Concatenate[Subject, Arguments], Made],
        subjects: Iterable[Subject],
        *context: Arguments.args,
        **named: Arguments.kwargs,
    ) -> list[Made]:
        """`make(subject, *context)` for each subject, in less time than one by one.

        Each such list has a name of its own, and what is not in it any more is forgotten at once.
        """
        key = (table_name, make, *[one if type(one) in _BY_VALUE else id(one) for one in context])
        table = self._tables.get(key) or self._old_tables.get(key)
        earlier = table[1] if table else {}
        now: dict[int, tuple[object, Any]] = {}
        results: list[Made] = []
        for subject in subjects:
            name = id(subject)
            kept = earlier.get(name)
            if kept is None:
                self._misses += 1
                kept = (subject, make(subject, *context, **named))
            now[name] = kept
            results.append(kept[1])
        self._tables[key] = (context, now)
        return results

    def stable(self, name: str, value: Made) -> Made:
        """The earlier value of that name where the new one equals it, so that what hangs on it is found again."""
        earlier: Made | None = self._stable.get(name)
        if earlier is not None and earlier == value:
            return earlier
        self._stable[name] = value
        return value
