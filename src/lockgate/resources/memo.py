"""Incremental builds: results of pure functions are kept and reused while their arguments stay the same objects.

Theory of operation. Most objects of an edge are unchanged between two builds, and the cache of manifests and of API
objects returns the very same Python object for an unchanged one. A build is therefore a tree of pure functions, each
called through a `Memo`. Its key is the function and the identity of each argument (`id`), or the value of small scalars
and tuples: comparing a thousand routes by value would cost more than building them. Each entry also holds its
arguments. So no argument is freed while its entry exists, and no new object can get its `id`.

There is no invalidation, because entries cannot become wrong; they only become unused. Two generations remove those:
`made` looks in the current generation, then in the earlier one, and moves what it finds to the current one. `turn`
starts a new generation once enough new results have been made, and drops the entries that no build used meanwhile.
`each` does the same for a list of subjects with one shared context. It keeps a table per list, replaces it on each
call, and saves one key per subject.

Identity has one weakness: a function that builds an equal but new value makes all results that depend on it unusable.
`stable` repairs this at the few places where it matters: if the new value equals the previous one of that name, it
returns the previous object, and everything that depends on it is found again.

Some functions find their inputs while they run: a stack depends on the Services that its Ingresses name. `depending`
takes such inputs as a list of their own, apart from the function that uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")
Subject = TypeVar("Subject")

_BY_VALUE = frozenset((str, int, bool, float, tuple, type(None)))
_SLACK = 200  # unused results that are kept before any is dropped


class Memo:
    """Caches results of pure functions.

    Arguments are compared by identity; strings, numbers and tuples by value. Mutable collections may be passed if
    nobody changes them afterwards. Call `turn` once per build: it drops results that are no longer used, after a
    similar number of new ones.
    """

    def __init__(self) -> None:
        self._earlier: dict[tuple[object, ...], tuple[object, Any]] = {}
        self._now: dict[tuple[object, ...], tuple[object, Any]] = {}
        self._misses = 0
        self._tables: dict[tuple[object, ...], tuple[object, dict[int, tuple[object, Any]]]] = {}
        self._old_tables = self._tables
        self._stable: dict[Hashable, Any] = {}
        self._old_stable = self._stable

    def turn(self) -> None:
        if self._misses > len(self._now) // 2 + _SLACK:
            self._earlier, self._now, self._misses = self._now, {}, 0
            self._old_tables, self._tables = self._tables, {}
            self._old_stable, self._stable = self._stable, {}

    def made(self, make: Callable[Arguments, Made], *arguments: Arguments.args, **named: Arguments.kwargs) -> Made:
        """`make(*arguments)`, or its earlier result."""
        assert not named
        key = (make, *[one if type(one) in _BY_VALUE else id(one) for one in arguments])
        kept = self._now.get(key)
        if kept is None:
            kept = self._earlier.get(key)
            if kept is None:
                self._misses += 1
                # With the arguments, so that their ids stay theirs.
                kept = (arguments, make(*arguments, **named))
            self._now[key] = kept
        made: Made = kept[1]
        return made

    def depending(self, name: Hashable, inputs: Sequence[object], make: Callable[[], Made]) -> Made:
        """`make()`, or its earlier result of this name if the inputs are the same; `make` may use nothing else."""
        key = (name, *[one if type(one) in _BY_VALUE else id(one) for one in inputs])
        kept = self._now.get(key) or self._earlier.get(key)
        if kept is None:
            self._misses += 1
            kept = (inputs, make())
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
        """`make(subject, *context)` for each subject, faster than separate calls of `made`.

        Each list has its own `table_name`. Results of subjects that are no longer in the list are dropped at once.
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

    def stable(self, name: Hashable, value: Made) -> Made:
        """The previous value of this name if the new one equals it, so that results that depend on it are found
        again."""
        earlier: Made | None = self._stable.get(name)
        if earlier is None:
            earlier = self._old_stable.get(name)
        if earlier is not None and (earlier is value or earlier == value):
            value = earlier
        else:
            self._misses += 1
        self._stable[name] = value
        return value
