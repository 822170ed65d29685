"""Codes are promises: none twice, and all of this room's in its reference page."""

from __future__ import annotations

import pytest

from lockgate.resources.codes import CODES, codes, objects, reading
from lockgate.resources.diagnostics import Diagnostic, diagnose
from lockgate.resources.faults import Fault, Origin, Position
from lockgate.resources.model import ObjectKey

WEB = Origin(ObjectKey("", "Service", "shop", "web"), ("spec",))


@pytest.mark.parametrize("variants", CODES.values(), ids=CODES)
def test_a_code_is_defined_once(variants: tuple[object, ...]) -> None:
    first = codes()[list(CODES.values()).index(variants)]  # type: ignore[arg-type]
    assert {(each.severity, each.title, each.why) for each in CODES[first.id]} == {
        (first.severity, first.title, first.why)
    }


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
