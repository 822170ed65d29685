"""How the fuzz tests run, and the odd values that they are made of.

Without `LOCKGATE_FUZZ` each draws a small number of inputs that are the same every time; with it, that many new ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Test = TypeVar("Test", bound=Callable[..., Any])

EXAMPLES = int(os.environ.get("LOCKGATE_FUZZ", "0"))


def fuzz(usually: int) -> Callable[[Test], Test]:
    """Settings of a fuzz test: `usually` many fixed examples, or `LOCKGATE_FUZZ` fresh ones."""

    def decorated(test: Test) -> Test:
        chosen = settings(
            max_examples=EXAMPLES or usually,
            derandomize=not EXAMPLES,
            database=None if not EXAMPLES else settings.get_profile("default").database,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        return chosen(test)

    return decorated


# Texts that programs stumble over: control characters, halves of surrogate pairs, odd digits.
ODD_TEXTS = (
    "", " ", "\x00", "\r\n", "a\r\nSet-Cookie: b=c", "\x1b]0;title\x07", "\ud800", "\udfff\ud800", "\ufeff", "\u202e",
    "²", "６４", "-1", "0", "1e999", "9" * 30, "9" * 5000, "true", "null", "~", "=", "*", "**", "..", "../..", "/",
    "//", "~1", "~0~1~", "/-", "$patch", "{}", "[]", "<a>&amp;", "%00", "%zz", "%", "'", '"', "\\", "${x}", "{{ x }}",
    "a" * 300, "a." * 200, "xn--", ".", "-", "127.0.0.1", "::1", "0.0.0.0/0", "arn:aws:a:b:c:d", "é" * 64,
)  # fmt: skip

odd_texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=12))
odd_numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 65536, 2**31, 2**63, 2**64, 2**70, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
odd_scalars = st.one_of(st.none(), st.booleans(), odd_numbers, odd_texts)
odd_values: st.SearchStrategy[Any] = st.recursive(
    odd_scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(odd_texts, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, value: Any, odd: st.SearchStrategy[Any] = odd_values, times: int = 2) -> Any:
    """`value` with an odd value here and there, a member gone, or one more."""
    for _ in range(draw(st.integers(1, times))):
        value = _mutated(draw, value, odd)
    return value


def _mutated(draw: st.DrawFn, value: Any, odd: st.SearchStrategy[Any]) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 5)):
            case 0:
                return {key: item for key, item in value.items() if key != name}
            case 1:
                return {**value, draw(odd_texts): draw(odd)}
            case _:
                return {**value, name: _mutated(draw, value[name], odd)}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(value) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, value[at]]
            case _:
                return [*value[:at], _mutated(draw, value[at], odd), *value[at + 1 :]]
    return draw(odd)
