"""Changes of one field in the text of a manifest: text and edit in, text out."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.resources import source
from lockgate.resources.chunks import Chunk
from lockgate.resources.editing import CannotEdit, edited
from lockgate.resources.faults import Edit, Origin, Remove, Set
from lockgate.resources.field_errors import Path
from lockgate.resources.model import ObjectKey

ORIGIN = Origin(ObjectKey("", "Service", "shop", "web"))


def change(text: str, path: Path, edit: Edit) -> str:
    return edited(Chunk("a.yaml", 0, text), path, edit).text


def set_(text: str, path: Path, value: object) -> str:
    return change(text, path, Set(ORIGIN, value))


def remove(text: str, path: Path) -> str:
    return change(text, path, Remove(ORIGIN))


BLOCK = """\
# The gateway.
kind: Gateway   # of Istio
metadata:
  name: "edge"

  # why it has labels
  labels: {app: edge,  tier: 'front'}
spec:
  servers:
  - port:
      number: 443  # TLS
    hosts:
      - shop.example   # the shop
      - "api.example"
    # the last comment
  - hosts: [a.example]
    text: |
      one
      two

  empty:
"""


@pytest.mark.parametrize(
    ("path", "value", "before", "after"),
    [
        (("kind",), "Other", "kind: Gateway   # of Istio", "kind: Other   # of Istio"),
        (("metadata", "name"), "other", 'name: "edge"', 'name: "other"'),
        (("metadata", "labels", "tier"), "it's", "'front'", "'it''s'"),
        (("metadata", "labels", "new"), "x", "'front'}", "'front', new: x}"),
        (("metadata", "labels"), {}, "{app: edge,  tier: 'front'}", "{}"),
        (("metadata", "namespace"), "a", "'front'}\n", "'front'}\n  namespace: a\n"),
        (("metadata", "annotations", "a.b/c"), "true", "'front'}\n", "'front'}\n  annotations:\n    a.b/c: \"true\"\n"),
        (("spec", "servers", 0, "port", "number"), 8443, "443  # TLS", "8443  # TLS"),
        (("spec", "servers", 0, "port", "name"), "on", "443  # TLS\n", '443  # TLS\n      name: "on"\n'),
        (("spec", "servers", 0, "hosts", 0), "*", "shop.example   #", '"*"   #'),
        (("spec", "servers", 0, "hosts", 1), "*", '"api.example"', '"*"'),
        (("spec", "servers", 0, "hosts", 2), "b", '"api.example"\n', '"api.example"\n      - b\n'),
        (("spec", "servers", 0, "hosts"), ["*"], '- shop.example   # the shop\n      - "api.example"', '- "*"'),
        (("spec", "servers", 1, "hosts"), ["*"], "[a.example]", '["*"]'),
        (("spec", "servers", 1, "hosts", 1), "*", "[a.example]", '[a.example, "*"]'),
        (("spec", "servers", 1, "text"), "three", "|\n      one\n      two\n", "three\n"),
        (("spec", "servers", 1, "mode"), "X", "      two\n", "      two\n    mode: X\n"),
        (("spec", "servers", 2), {"a": [1]}, "      two\n", "      two\n  - a: [1]\n"),
        (("spec", "empty"), 5, "  empty:\n", "  empty: 5\n"),
        (("spec", "empty", "a", "b"), 5, "  empty:\n", "  empty: {a: {b: 5}}\n"),
        (
            ("spec", "new"),
            {"a": {"b": [{"c": 1}]}},
            "  empty:\n",
            "  empty:\n  new:\n    a:\n      b:\n        - c: 1\n",
        ),
    ],
)
def test_set(path: Path, value: object, before: str, after: str) -> None:
    assert BLOCK.count(before) == 1
    assert set_(BLOCK, path, value) == BLOCK.replace(before, after)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (("kind",), "kind: Gateway   # of Istio\n", ""),
        (("metadata", "name"), '  name: "edge"\n', ""),
        (("metadata", "labels", "app"), "app: edge,  ", ""),
        (("metadata", "labels", "tier"), ",  tier: 'front'", ""),
        (("spec", "servers", 0, "port"), "- port:\n      number: 443  # TLS\n    hosts", "- hosts"),
        (("spec", "servers", 0, "port", "number"), "number: 443  # TLS", "{}  # TLS"),
        (("spec", "servers", 0, "hosts", 0), "      - shop.example   # the shop\n", ""),
        (("spec", "servers", 0, "hosts", 1), '      - "api.example"\n', ""),
        (("spec", "servers", 1, "hosts", 0), "[a.example]", "[]"),
        (("spec", "servers", 1, "text"), "    text: |\n      one\n      two\n", ""),
        (("spec", "servers", 1), "  - hosts: [a.example]\n    text: |\n      one\n      two\n", ""),
        (("spec", "empty"), "  empty:\n", ""),
    ],
)
def test_remove(path: Path, before: str, after: str) -> None:
    assert BLOCK.count(before) == 1
    assert remove(BLOCK, path) == BLOCK.replace(before, after)


def test_json_stays_json() -> None:
    text = json.dumps({"metadata": {"name": "a"}, "spec": {"hosts": ["a"]}}, indent=2)
    made = set_(text, ("metadata", "annotations", "b"), "c")
    assert json.loads(made) == {"metadata": {"name": "a", "annotations": {"b": "c"}}, "spec": {"hosts": ["a"]}}
    assert made.splitlines()[2:4] == ['    "name": "a",', '    "annotations": {"b": "c"}']
    assert json.loads(set_(text, ("spec", "hosts"), ["*"]))["spec"] == {"hosts": ["*"]}


def test_lines_end_as_they_did() -> None:
    text = BLOCK.replace("\n", "\r\n")
    assert set_(text, ("metadata", "name"), "b") == text.replace('"edge"', '"b"')
    assert set_(text, ("metadata", "namespace"), "b") == text.replace("'front'}\r\n", "'front'}\r\n  namespace: b\r\n")
    assert remove(text, ("metadata", "name")) == text.replace('  name: "edge"\r\n', "")


def test_what_is_so_already_stays() -> None:
    assert set_(BLOCK, ("spec", "servers", 0, "hosts", 1), "api.example") == BLOCK


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x {b: 1}\nc: *x\n", ("c", "b")),
        ("a: &x {b: 1}\nc: *x\n", ("a", "b")),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", ("c", "b", "e")),
        ("a: 1\n", ("a", "b")),
        ("a: [1]\n", ("a", 2)),
        ("a: {b: [1]}\n", ("a", "c", 0)),
        ("a:\n  b: 1\n  c: 2\n", ("a",)),
        ("a: [\n", ("a",)),
        ("# nothing\n", ("a",)),
    ],
)
def test_what_cannot_be_set(text: str, path: Path) -> None:
    with pytest.raises(CannotEdit):
        set_(text, path, 7)


def test_a_field_that_is_merged_is_set_over_it() -> None:
    text = "a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n"
    assert set_(text, ("c", "b"), 7) == "a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n  b: 7\n"


KEYS = st.text("abcxyz-./0 :#'\"é", min_size=1, max_size=6)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 99999), KEYS, st.text(max_size=12), st.just("on"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=9,
)
MANIFESTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


def _paths(value: Any, path: Path = ()) -> list[Path]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in entries for found in _paths(inner, (*path, key)))]


@given(st.data(), MANIFESTS, st.sampled_from([False, None]), st.booleans(), st.integers(2, 4))
def test_any_field_of_any_manifest(
    data: st.DataObject, manifest: Any, flow: bool | None, lists: bool, indent: int
) -> None:
    """What comes out has the change and no other, whatever goes in; a second time, nothing changes."""
    text = yaml.safe_dump(manifest, default_flow_style=flow, indent=indent, sort_keys=False, width=1000)
    chunk = Chunk("a.yaml", 0, text)
    value = source.load(chunk, [])
    path = data.draw(st.sampled_from(_paths(value)[1:]))
    edit: Edit = Remove(ORIGIN) if lists and data.draw(st.booleans()) else Set(ORIGIN, data.draw(VALUES))
    try:
        made = edited(chunk, path, edit)
    except CannotEdit:
        return
    if isinstance(edit, Set):
        assert edited(made, path, edit) == made
    lines, after = text.splitlines(), made.text.splitlines()
    same = sum(1 for line in lines if line in after)
    assert same >= len(lines) - 1 - _height(value, path)


def _height(value: Any, path: Path) -> int:
    """How many lines the field can have."""
    for part in path:
        value = value[part]
    return 2 + sum(str(value).count(mark) for mark in (",", ":", "[", "{", "\\n", "\n"))
