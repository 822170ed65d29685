"""Automata against RE2 itself, and the classes of texts that several of them make."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.gateway.regex import full_match, mistake
from lockgate.resources.languages import (
    Automaton,
    TooLarge,
    Unsupported,
    classes,
    containing,
    exact,
    glob,
    is_within,
    matching,
    prefix,
    suffix,
)

PIECES = (
    "a", "b", "Ab", "/", ".", "[ab]", "[^a]", "[a-c/]", r"\d", r"\w", r"\W", r"\.", "(a|b)", "(?:ab|/)", "(?i:a)",
    "(?i)", "^", "$", r"\b", r"\B", "a*", "b+?", "a?", "(ab){2}", "[ab]{1,3}", "b{2,}", r"\Qa.b\E", "[[:alpha:]]",
    "[^[:digit:]]", r"\x61", r"\p{Lu}", r"\PL", "|", "(?s:.)", "(?m:^)", r"\A", r"\z", "(?P<n>a)", "[]a]", "{",
    "(?-i:b)",
)  # fmt: skip
patterns = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
texts = st.text("abAB/.1_ \né", max_size=6)


@settings(max_examples=1500, deadline=None)
@given(patterns, st.lists(texts, min_size=6, max_size=6))
def test_an_expression_matches_what_re2_matches(pattern: str, examples: list[str]) -> None:
    if mistake(pattern):
        return
    automaton = matching(pattern)
    for text in examples:
        # RE2 gets the bytes of UTF-8, as Envoy does.
        assert automaton.matches(text.encode().decode("latin-1")) == full_match(pattern, text), (pattern, text)


@settings(max_examples=200, deadline=None)
@given(st.lists(patterns.filter(lambda each: not mistake(each)), min_size=2, max_size=3), st.lists(texts, max_size=8))
def test_each_text_is_in_exactly_one_class(expressions: list[str], examples: list[str]) -> None:
    automata = [matching(each) for each in expressions]
    everything = (1 << 256) - 1
    found = {each.members: each.texts for each in classes(automata, alphabet=everything)}
    for members, shortest in found.items():
        assert {_members(automata, text) for text in shortest} == {members}
    assert {_members(automata, text) for text in examples} <= found.keys()


def _members(automata: list[Automaton], text: str) -> frozenset[int]:
    return frozenset(index for index, each in enumerate(automata) if each.matches(text))


def test_the_shortest_text_of_each_class() -> None:
    found = classes([prefix("/api"), matching("/(api|cart)/[0-9]+")])
    assert {tuple(sorted(each.members)): each.texts[0] for each in found} == {
        (): "",
        (0,): "/api",
        (0, 1): "/api/0",
        (1,): "/cart/0",
    }


@pytest.mark.parametrize(
    ("narrow", "wide", "inside"),
    [
        (prefix("/api/v1"), prefix("/api"), True),
        (prefix("/api"), prefix("/api/v1"), False),
        (matching("/api/[a-c]"), matching("/api/(a|b|c|d)"), True),
        (matching("(?i)/api"), exact("/api"), False),
        (exact("/API"), exact("/api", fold=True), True),
        (suffix(".css"), containing(r"\.css$"), True),
        (glob((("a", False), ("*", True), ("b", False))), prefix("a"), True),
        (glob((("?", True),)), glob((("*", True),)), True),
    ],
)
def test_whether_one_lies_within_another(narrow: Automaton, wide: Automaton, inside: bool) -> None:
    assert is_within(narrow, wide) is inside


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<=a)b", r"(a)\1", "a*+", r"\p{Greek}", "é"])
def test_what_is_not_a_regular_language_is_said(pattern: str) -> None:
    with pytest.raises(Unsupported):
        matching(pattern)


def test_too_many_states_are_said() -> None:
    with pytest.raises(TooLarge):
        matching("(((a{30}){30}){30})")
    many = [matching(f".*a.{{{12 + index}}}b") for index in range(3)]
    with pytest.raises(TooLarge):
        classes(many, most=2000)
    assert is_within(*many[:2]) is None
