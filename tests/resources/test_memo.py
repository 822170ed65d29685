"""The incremental engine: what is made once, what is made again, what is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ReferenceType, ref

from lockgate.resources.memo import Memo


@dataclass(frozen=True)
class Item:
    text: str


def test_a_result_lasts_while_its_arguments_are_the_same_objects() -> None:
    memo, first = Memo(), Item("a")
    made = memo.made(_upper, first, 1)
    assert memo.made(_upper, first, 1) is made
    assert memo.made(_upper, first, 2) is not made
    assert memo.made(_upper, Item("a"), 1) is not made, "an equal argument is another one"


def test_a_result_lasts_while_its_inputs_do() -> None:
    memo, item, calls = Memo(), Item("a"), list[str]()

    def make() -> str:
        calls.append("made")
        return item.text

    for inputs in ([item, None], [item, None], [Item("a"), None], [item, "b"], [item, None]):
        memo.depending("name", inputs, make)
    assert len(calls) == 3
    memo.depending("other", [item, None], make)
    assert len(calls) == 4


def test_an_equal_value_is_the_earlier_object() -> None:
    memo, first = Memo(), Item("a")
    assert memo.stable("name", first) is first
    assert memo.stable("name", Item("a")) is first
    changed = Item("b")
    assert memo.stable("name", changed) is changed
    assert memo.stable("other", Item("b")) is not changed


def test_what_no_build_uses_is_forgotten() -> None:
    memo, kept, dropped = Memo(), Item("kept"), Item("dropped")
    used = memo.made(_upper, kept, 0)
    unused = memo.made(_upper, dropped, 0)
    memo.stable("dropped", dropped)
    for build in range(3):
        memo.turn()
        assert memo.made(_upper, kept, 0) is used
        for number in range(1000):
            memo.made(_upper, kept, 1000 * build + number + 1)
    assert memo.made(_upper, dropped, 0) is not unused
    assert memo.stable("dropped", Item("dropped")) is not dropped


def test_each_function_forgets_for_itself() -> None:
    memo, items, indexes = Memo(), [Item(str(number)) for number in range(1000)], list[ReferenceType[Index]]()
    for number in range(20):
        memo.turn()
        for item in items:
            memo.made(_upper, item, 0)
        indexes.append(ref(memo.made(_index, [Item(str(number))])))
        memo.each("indexes", _one, items, [Item(str(number))])
    assert sum(index() is not None for index in indexes) <= 2, "of those made again in each build, only the last"
    assert sum(len(recent.now) + len(recent.earlier) for recent in memo._tables.values()) <= 2


def test_a_list_computes_only_what_is_new() -> None:
    memo, items, calls = Memo(), [Item(text) for text in "abcdef"], list[str]()

    def make(item: Item, suffix: str) -> str:
        calls.append(item.text)
        return item.text + suffix

    def each(*subjects: Item) -> list[str]:
        del calls[:]
        return memo.each("items", make, list(subjects), "!")

    a, b, c, d, e, f = items
    assert each(a, b, c, d) == ["a!", "b!", "c!", "d!"]
    assert (each(a, e, c, d), calls) == (["a!", "e!", "c!", "d!"], ["e"])
    assert (each(a, c, d), calls) == (["a!", "c!", "d!"], [])
    assert (each(d, c, a), calls) == (["d!", "c!", "a!"], [])
    assert (each(f, d, c, a, f), calls) == (["f!", "d!", "c!", "a!", "f!"], ["f", "f"])
    assert (each(), calls) == ([], [])


def test_equal_facts_are_the_same_list() -> None:
    memo = Memo()
    a, b = Item("a"), Item("b")
    before = memo.facts("texts", _length, [a, b])
    assert memo.facts("texts", _length, [a, Item("c")]) is before, "the same length"
    now = memo.facts("texts", _length, [a, Item("cc")])
    assert now is not before
    assert now[0] is before[0]


def test_a_list_inside_of_what_is_found_again_is_kept() -> None:
    memo, items, calls = Memo(), [Item("a"), Item("b")], list[str]()

    def make(item: Item) -> str:
        calls.append(item.text)
        return item.text

    memo.each("items", make, items)
    for build in range(4):  # others ask for much else
        memo.turn()
        for number in range(1000):
            memo.made(_upper, Item(""), 1000 * build + number)
    memo.each("items", make, [*items, Item("c")])
    assert calls == ["a", "b", "c"]


class Index(dict[str, Item]):
    """One that can be referenced weakly."""


def _index(items: list[Item]) -> Index:
    return Index((item.text, item) for item in items)


def _one(item: Item, _context: list[Item]) -> str:
    return item.text


def _length(item: Item) -> tuple[int]:
    return (len(item.text),)


def _upper(item: Item, number: int) -> list[str]:
    return [item.text.upper()] * number
