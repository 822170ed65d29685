"""Codes are promises: none twice, and all of this room's in its reference page."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.resources import codes
from lockgate.resources.finding import Position, Severity

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "resources.md"


@pytest.mark.parametrize("prefix", ["LG00", "LG01"])
def test_the_reference_page_has_all_codes(prefix: str) -> None:
    assert codes.table(prefix) in PAGE.read_text()


def test_a_code_is_defined_once() -> None:
    with pytest.raises(ValueError, match="LG0001 is defined twice"):
        codes.define("LG0001", Severity.ERROR, "again", "")


def test_a_finding_in_one_line() -> None:
    finding = codes.SYNTAX.finding("no", Position("a.yaml", 3, 4), mend="yes")
    assert str(finding) == "a.yaml:3:4: error: no — yes [LG0001]"
