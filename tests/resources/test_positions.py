"""Where origins are: in one of several definitions of an object, or in the one that counts."""

from __future__ import annotations

from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Origin, Position
from lockgate.resources.model import ObjectKey
from lockgate.resources.positions import Positions
from lockgate.resources.reader import read

KEY = ObjectKey("", "Namespace", "", "shop")
ONE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\nspeck: {}\n"


def test_each_definition_has_its_own_faults() -> None:
    readings = [read(f"# first\n---\n{ONE}---\n{ONE}", "a.yaml"), read(f"\n{ONE}", "b.yaml")]
    locate = Positions(document for reading in readings for document in reading.documents)
    found = [diagnose(fault, locate) for reading in readings for fault in reading.faults]
    assert [f"{each.position} {each.code}" for each in found] == [
        "a.yaml:6:1 LG0011",
        "a.yaml:8:1 LG0013",
        "a.yaml:11:1 LG0011",
        "b.yaml:5:1 LG0011",
    ]
    assert "already defined at a.yaml:3:1" in found[1].message


def test_the_last_definition_counts() -> None:
    documents = (*read(ONE, "a.yaml").documents, *read("\n" + ONE, "b.yaml").documents)
    locate = Positions(documents)
    assert locate(Origin(KEY)) == Position("b.yaml", 2, 1)
    assert locate(Origin(KEY, ("metadata", "name"))) == Position("b.yaml", 4, 18)
    assert locate(Origin(KEY, ("metadata", "name"), at_key=True)) == Position("b.yaml", 4, 12)
    assert locate(Origin(KEY, ("metadata", "labels", "team"))) == Position("b.yaml", 4, 1)
    assert locate(Origin(KEY, definition=("a.yaml", 0))) == Position("a.yaml", 1, 1)
    assert locate(Origin(KEY, definition=("gone.yaml", 0))) == Position("b.yaml", 2, 1)
    assert locate(Origin(ObjectKey("", "Namespace", "", "other"))) is None
