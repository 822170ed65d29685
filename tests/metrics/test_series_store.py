from __future__ import annotations

import pytest

from lockgate.metrics.store import Labels, Matcher, Name, Samples, Series, Store

A: Labels = (("app", "a"),)
TOTAL = Name("requests_total")


def one(store: Store) -> Series:
    (found,) = store.select([Matcher("app", lambda value: value == "a")])
    return found


def value(number: float) -> Samples:
    return {A: {TOTAL: number}}


def test_a_series_keeps_its_value_and_begins_with_a_zero() -> None:
    store = Store()
    for time, samples in ((0, {}), (5, value(1)), (10, {}), (15, value(1)), (20, value(4))):
        store.append(time, samples)
    assert one(store).between(0, 20_000) == ([0, 5000, 10_000, 15_000, 20_000], [0, 1, 1, 1, 4])
    assert one(store).between(6000, 15_000) == ([10_000, 15_000], [1, 1])
    assert [one(store).latest(time - 300_000, time) for time in (-1, 4999, 5000, 21_000)] == [None, 0, 1, 4]
    assert one(store).latest(20_000, 400_000) is None


def test_what_is_older_than_the_retention_is_forgotten() -> None:
    store = Store(retention=60)
    for second in range(500):
        store.append(second, value(second))
    times, values = one(store).between(0, 500_000)
    assert times[-1] == 499_000
    assert 60 <= store.span <= 67
    assert values == [time / 1000 for time in times]


def test_a_series_that_does_not_change_survives_the_retention() -> None:
    store = Store(retention=60)
    store.append(0, {})
    store.append(1, value(7))
    for second in range(2, 500):
        store.append(second, {})
    assert set(one(store).between(0, 500_000)[1]) == {7}


def test_changes_are_bounded() -> None:
    store = Store(max_changes=1000)
    names = [Name("m", str(number)) for number in range(10)]
    for second in range(1000):
        store.append(second, {A: dict.fromkeys(names, second)})
    assert 80 <= store.span <= 101


def test_series_are_bounded() -> None:
    store = Store(max_series=3)
    store.append(0, {A: {Name("m", str(number)): 1.0 for number in range(5)}})
    assert (len(store), store.dropped) == (3, 2)


def test_time_does_not_go_back() -> None:
    store = Store()
    store.append(5, {})
    with pytest.raises(ValueError, match="increase"):
        store.append(5, {})
