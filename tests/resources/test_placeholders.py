"""Which text is a placeholder, as a table, and what that must never do to other text."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.resources.placeholders import masked, slug, substitute, suspicious, tokens

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "resources" / "placeholders.yaml").read_text())


@pytest.mark.parametrize("case", CASES["tokens"], ids=lambda case: case["text"] or "empty")
def test_tokens(case: dict[str, Any]) -> None:
    assert [slug(token) for token in tokens(case["text"])] == case["names"]


@pytest.mark.parametrize("case", [each for each in CASES["tokens"] if each["names"]], ids=lambda case: case["text"])
def test_a_manifest_with_a_token_is_suspicious(case: dict[str, Any]) -> None:
    for text in (f"hosts: ['{case['text']}']", f'host: "{case["text"]}"'):
        assert suspicious(text)
    if not case["text"].startswith(("[", "{")):  # without quotes those are lists and maps
        assert suspicious(f"host: {case['text']}\n")


@pytest.mark.parametrize(
    "text", ["kind: Service\nspec: {ports: [{port: 80}]}", "hosts: [a.shop.example, '*.b.example']"]
)
def test_a_plain_manifest_is_not(text: str) -> None:
    assert not suspicious(text)


@pytest.mark.parametrize("case", CASES["masks"], ids=lambda case: case["text"])
def test_masks(case: dict[str, Any]) -> None:
    assert masked(case["text"]) == case["masked"]


@given(st.text(max_size=60))
def test_tokens_are_parts_of_the_text_in_order(text: str) -> None:
    found = tokens(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert all(first.end <= second.start for first, second in pairwise(found))
    assert substitute(text, lambda token: text[token.start : token.end]) == text


@given(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), min_size=1, max_size=3), st.booleans())
def test_a_token_in_a_host_leaves_a_host(labels: list[str], first: bool) -> None:
    host = ".".join(["${THE_NAME}", *labels] if first else [*labels, "${THE_NAME}"])
    assert "the-name" in substitute(host, slug).split(".")
