"""Incremental builds: results of pure functions are kept and reused while their arguments stay the same objects.

Theory of operation. Most objects of an edge are unchanged between two builds, and the cache of manifests and of API
objects returns the very same Python object for an unchanged one. A build is therefore a tree of pure functions, each
called through a `Memo`. Its key is the function and the identity of each argument (`id`), or the value of small scalars
and tuples: comparing a thousand routes by value would cost more than building them. Each entry also holds its
arguments. So no argument is freed while its entry exists, and no new object can get its `id`.

There is no invalidation, because entries cannot become wrong; they only become unused. Two generations remove those:
`made` looks in the current generation, then in the earlier one, and moves what it finds to the current one. `turn`
starts a new generation once enough new results have been made, and drops the entries that no build used meanwhile.
Each function has generations of its own: an index of ten thousand objects, of which each change makes another one, must
not wait until the routes of half of them have changed.

`each` does the same for a list of subjects with one shared context. It keeps the previous list with its results, and
compares the two lists by identity. This comparison runs in C: among ten thousand subjects, one changed subject is found
in a fifth of a millisecond, and only that subject costs more. `facts` also stops changes early: if a changed subject
leads to an equal result, the result stays the same object, and so does the list of results. Whatever depends on that
list is found again. A function of "the hosts of all VirtualServices" is not called for a changed weight.

Identity has one weakness: a function that builds an equal but new value makes all results that depend on it unusable.
`stable` repairs this at the few places where it matters: if the new value equals the previous one of that name, it
returns the previous object, and everything that depends on it is found again.

Some functions find their inputs while they run: a stack depends on the Services that its Ingresses name. `depending`
takes such inputs as a list of their own, apart from the function that uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from lockgate.resources.differences import Difference, difference

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")
Subject = TypeVar("Subject")
Kept = TypeVar("Kept")

_BY_VALUE = frozenset((str, int, bool, float, tuple, type(None)))
_SLACK = 200  # unused results that are kept before any is dropped


class Memo:
    """Caches results of pure functions.

    Arguments are compared by identity; strings, numbers and tuples by value. Mutable collections may be passed if
    nobody changes them afterwards. Call `turn` once per build: it drops results that are no longer used, after a
    similar number of new ones.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, _Recent[tuple[object, Any]]] = {}  # by function or name
        self._tables: dict[tuple[str, Hashable], _Recent[_Table]] = {}
        self._misses = 0
        self._stable: dict[Hashable, Any] = {}
        self._old_stable = self._stable
        self._successive: dict[Hashable, tuple[Any, Any]] = {}
        self._old_successive = self._successive

    def turn(self) -> None:
        every = self._misses > sum(len(each.now) for each in self._results.values()) // 2 + _SLACK
        for name, recent in list(self._results.items()):
            recent.turn(every)
            if not recent.earlier and not recent.now:
                del self._results[name]
        for table in self._tables.values():
            # Not always: a list inside of a function that was found again has not been asked for; it may be next time.
            table.turn(False)
        if every:
            self._misses = 0
            self._old_stable, self._stable = self._stable, {}
            self._old_successive, self._successive = self._successive, {}

    def made(self, make: Callable[Arguments, Made], *arguments: Arguments.args, **named: Arguments.kwargs) -> Made:
        """`make(*arguments)`, or its earlier result."""
        assert not named
        recent = self._results.get(make) or self._recent(make)
        key = tuple([one if type(one) in _BY_VALUE else id(one) for one in arguments])
        kept = recent.get(key)
        if kept is None:
            self._misses += 1
            # With the arguments, so that their ids stay theirs.
            kept = recent.add(key, (arguments, make(*arguments, **named)))
        made: Made = kept[1]
        return made

    def depending(self, name: Hashable, inputs: Sequence[object], make: Callable[[], Made]) -> Made:
        """`make()`, or its earlier result of this name if the inputs are the same; `make` may use nothing else."""
        recent = self._results.get(name) or self._recent(name)
        key = tuple([one if type(one) in _BY_VALUE else id(one) for one in inputs])
        kept = recent.get(key)
        if kept is None:
            self._misses += 1
            kept = recent.add(key, (inputs, make()))
        made: Made = kept[1]
        return made

    def _recent(self, name: Hashable) -> _Recent[tuple[object, Any]]:
        return self._results.setdefault(name, _Recent())

    def each(
        self,
        table_name: str,
        make: Callable[Concatenate[Subject, Arguments], Made],
        subjects: Sequence[Subject],
        *context: Arguments.args,
        **named: Arguments.kwargs,
    ) -> list[Made]:
        """`make(subject, *context)` for each subject, faster than separate calls of `made`. Do not modify the list.

        Each list has its own `table_name`. Results of subjects that are no longer in the list are dropped at once.
        """
        return self._of_table(table_name, False, make, subjects, context, named)

    def facts(
        self,
        table_name: str,
        make: Callable[Concatenate[Subject, Arguments], Made],
        subjects: Sequence[Subject],
        *context: Arguments.args,
        **named: Arguments.kwargs,
    ) -> list[Made]:
        """The same for small results, of which equal ones stay the same object; if all do, so does the list."""
        return self._of_table(table_name, True, make, subjects, context, named)

    def _of_table(
        self,
        table_name: str,
        alike: bool,
        make: Callable[..., Made],
        subjects: Sequence[Subject],
        context: tuple[object, ...],
        named: dict[str, object],
    ) -> list[Made]:
        assert not named
        recent = self._tables.get((table_name, make)) or self._tables.setdefault((table_name, make), _Recent())
        key = tuple([one if type(one) in _BY_VALUE else id(one) for one in context])
        table = recent.get(key)
        if table is None:
            self._misses += len(subjects)
            return recent.add(key, _Table(context, subjects, [make(subject, *context) for subject in subjects])).results
        if (changed := difference(table.subjects, subjects)) is not None:
            self._misses += len(changed.added)
            made = self._made_again(table, changed, make, context)
            if alike and len(changed.added) == len(changed.removed):
                before = table.results[changed.first : changed.last]
                made = [old if old is new or old == new else new for old, new in zip(before, made, strict=True)]
                same = all(old is new for old, new in zip(before, made, strict=True))
            else:
                same = False
            table = _Table(context, subjects, table.results if same else changed.applied(table.results, made))
            recent.now[key] = table
        results: list[Made] = table.results
        return results

    def _made_again(
        self, table: _Table, changed: Difference[Subject], make: Callable[..., Made], context: tuple[object, ...]
    ) -> list[Made]:
        """The results between the common start and end of both lists."""
        results = table.results[changed.first : changed.last]
        kept = dict(zip(map(id, changed.removed), results, strict=True))
        return [kept[id(subject)] if id(subject) in kept else make(subject, *context) for subject in changed.added]

    def succeeding(self, name: Hashable, inputs: Subject, make: Callable[[Subject, Made | None], Made]) -> Made:
        """`make(inputs, earlier)`, where `earlier` is the previous result of this name; that result itself if the
        inputs equal the previous ones. For results that open connections go on with."""
        kept = self._successive.get(name) or self._old_successive.get(name)
        if kept is None or (kept[0] is not inputs and kept[0] != inputs):
            self._misses += 1
            kept = (inputs, make(inputs, kept[1] if kept is not None else None))
        self._successive[name] = kept
        made: Made = kept[1]
        return made

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


class _Recent(Generic[Kept]):
    """What was kept of one function or name: in the current generation, and in the earlier one."""

    __slots__ = ("earlier", "misses", "now")

    def __init__(self) -> None:
        self.earlier: dict[tuple[object, ...], Kept] = {}
        self.now: dict[tuple[object, ...], Kept] = {}
        self.misses = 0

    def get(self, key: tuple[object, ...]) -> Kept | None:
        kept = self.now.get(key)
        if kept is None and (kept := self.earlier.get(key)) is not None:
            self.now[key] = kept
        return kept

    def add(self, key: tuple[object, ...], kept: Kept) -> Kept:
        self.misses += 1
        self.now[key] = kept
        return kept

    def turn(self, always: bool) -> None:
        if always or self.misses > max(len(self.now), len(self.earlier)) // 2:
            self.earlier, self.now, self.misses = self.now, {}, 0


class _Table:
    """The subjects of one list, with their results."""

    __slots__ = ("context", "results", "subjects")

    def __init__(self, context: tuple[object, ...], subjects: Sequence[object], results: list[Any]) -> None:
        self.context = context  # so that its ids stay its own
        self.subjects = subjects
        self.results = results
