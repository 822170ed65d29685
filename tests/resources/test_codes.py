"""Codes are promises: each is defined once, and its page is current. Faults, and how they are reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.resources.codes import CODES, codes, document, objects, reading
from lockgate.resources.diagnostics import Diagnostic, diagnose
from lockgate.resources.faults import Code, Fault, Origin, Position
from lockgate.resources.model import ObjectKey

PAGES = Path(__file__).parents[2] / "docs" / "codes"
WEB = Origin(ObjectKey("", "Service", "shop", "web"), ("spec",))


@pytest.mark.parametrize("code", codes(), ids=lambda code: code.id)
def test_a_code_is_defined_once(code: Code) -> None:
    """All that share its id are variants: they differ in words only."""
    for variant in CODES[code.id]:
        assert (variant.severity, variant.title, variant.what) == (code.severity, code.title, code.what)


def test_the_pages_are_current() -> None:
    hint = "write them: python -m lockgate.resources.codes.document docs/codes"
    assert (PAGES / "index.md").read_text() == document.index(), hint
    assert {path.stem for path in PAGES.glob("*.md")} == {"index", *CODES}
    for code in codes():
        assert (PAGES / f"{code.id}.md").read_text() == document.page(code), hint


def test_a_fault_in_one_line() -> None:
    fault = reading.SYNTAX.at(Position("a.yaml", 3, 4), problem="no")
    assert str(diagnose(fault, lambda origin: None)) == "a.yaml:3:4: error: this is not valid YAML: no [LG0001]"


def test_the_line_of_an_origin_is_found_when_it_is_reported() -> None:
    fault = reading.NO_NAME.at(WEB)
    assert fault == reading.NO_NAME.at(WEB.under())
    before = diagnose(fault, lambda origin: Position("a.yaml", 3))
    after = diagnose(fault, lambda origin: Position("a.yaml", 13))
    assert (before.position, after.position) == (Position("a.yaml", 3), Position("a.yaml", 13))
    assert str(diagnose(fault, lambda origin: None)).startswith("Service shop/web: error: ")


def test_an_origin_among_the_values_is_shown_as_its_place() -> None:
    fault = objects.DUPLICATE_OBJECT.at(WEB, object=WEB.key, earlier=WEB)
    assert "at Service shop/web" in fault.message
    assert "at a.yaml:3:1" in diagnose(fault, lambda origin: Position("a.yaml", 3)).message


def test_a_fault_needs_the_values_of_its_templates() -> None:
    with pytest.raises(TypeError, match="LG0007 takes the values field, found, not kind"):
        reading.NO_KIND.at(None, kind="x")


def test_a_diagnostic_survives_json() -> None:
    for fault in (Fault(reading.NO_NAME, WEB), reading.BAD_CHARACTER.at(Position("a.yaml", 3, 4))):
        shown = diagnose(fault, lambda origin: None)
        assert Diagnostic.of_json(shown.as_json()) == shown


def test_commands_that_only_print_codes_start_quickly() -> None:
    """The registry and what reports a fault import neither pydantic nor YAML."""
    modules = "lockgate.resources.codes, lockgate.resources.diagnostics, lockgate.cli.codes"
    heavy = "{'pydantic', 'yaml', 'lockgate.resources.model'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print({heavy})"], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr
