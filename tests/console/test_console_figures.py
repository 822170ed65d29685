"""Figures of the last minute: counts are exact, old seconds are forgotten, quantiles are near."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockgate.console.figures import KEPT, WINDOW, Tally, Window


def test_rates_errors_and_latencies_of_a_node() -> None:
    window = Window()
    window.count(100, 200, 10, [("a", 4), ("a>b", None)])
    window.count(100, 503, 20, [("a", 6)])
    window.count(101, 404, 30, [("b", 1)])
    window.advance(102)
    found = window.figures()
    assert found["a"][:3] == (1.0, 0.5, 0.0)
    assert found["a>b"] == (0.5, 0.0, 0.0, 0, 0, 0.0)
    assert found["b"][2] == 1.0
    assert found[Window.ALL][0] == 1.5
    assert window.total("a") == 2
    assert [each[:3] for each in window.closed_since(0)] == [(100, 2, 1), (101, 1, 0)]
    assert [each[0] for each in window.closed_since(100)] == [101]


def test_an_error_arises_where_the_request_got_no_further() -> None:
    window = Window()
    window.count(100, 503, 20, [("a", 6), ("b", 6), ("a>b", None)], {"b", "a>b"})
    window.count(100, 200, 20, [("a", 6), ("b", 6), ("a>b", None)], {"b", "a>b"})
    window.advance(101)
    found = window.figures()
    assert {name: (each[1], each[5]) for name, each in found.items()} == {
        "": (0.5, 0.0),
        "a": (0.5, 0.0),
        "b": (0.5, 0.5),
        "a>b": (0.5, 0.5),
    }


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = Window()
    window.count(0, 200, 1, [("a", 1)])
    window.advance(WINDOW - 1)
    assert "a" in window.figures()
    window.advance(WINDOW + 1)
    assert window.figures() == {}
    window.advance(10_000)  # the machine slept
    assert len(window.closed_since(0)) <= KEPT


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200))
def test_a_quantile_is_never_off_by_more_than_a_seventh(taken: list[int]) -> None:
    tally = Tally()
    for each in taken:
        tally.count(200, each)
    exact = sorted(taken)[(len(taken) + 1) // 2 - 1]
    assert max(exact, 1) - 1 <= tally.quantile(0.5) <= max(exact, 1) * 8 / 7 + 1


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("abc"), st.integers(0, 1000)), max_size=100))
def test_the_running_sum_is_the_sum_of_the_last_minute(counted: list[tuple[int, str, int]]) -> None:
    window = Window()
    now = 0
    for second, node, taken in sorted(counted):
        window.count(second, 200, taken, [(node, taken)])
        now = second
    window.advance(now + 1)
    for node in "abc":
        expected = [each for each in counted if each[1] == node and each[0] > now + 1 - WINDOW]
        found = window.figures().get(node)
        assert (found is not None) == bool(expected)
