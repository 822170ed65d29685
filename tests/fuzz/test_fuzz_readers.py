"""Whatever stands in a file, it is read or refused with a place and a reason; and what is read can be planned."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.resources.reader import read
from lockgate.runtime import settings
from tests.fuzz.fuzzing import ODD_TEXTS, fuzz, mutated, odd_values

GUIDE = Path(__file__).parents[1] / "edge" / "guide"
PIECES = ("---\n", "\n", ": ", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!binary ", "!!python/object:os.system ",
          "|\n", ">\n", "? ", "'", '"', "#", "\t", "{{ .Values.x }}", "${VAR}", "\x00", "\ufeff", "%YAML 1.1\n",
          "apiVersion: v1\n", "kind: List\n", "items:\n", "\\ud800", "\x1b[31m", "\x85", "\u2028")  # fmt: skip


@cache
def texts() -> tuple[str, ...]:
    return tuple(file.read_text() for file in sorted(GUIDE.glob("*.yaml")))


@cache
def manifests() -> tuple[Any, ...]:
    return tuple(each for text in texts() for each in yaml.safe_load_all(text) if each)


@st.composite
def damaged(draw: st.DrawFn) -> str | bytes:
    text = draw(st.sampled_from(texts()))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 30))
        piece = draw(st.sampled_from(PIECES + ODD_TEXTS))
        text = text[:at] + piece + text[at + length :]
    encoded = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(encoded)))
        encoded = encoded[:at] + draw(st.binary(max_size=4)) + encoded[at:]
    return encoded


def _written(value: Any) -> str:
    return json.dumps(value)


@fuzz(150)
@given(text=damaged())
def test_every_text_is_read_or_refused(text: str | bytes) -> None:
    reading = read(text, "file.yaml")
    for fault in reading.faults:
        assert fault.message
        assert fault.origin is not None


@fuzz(150)
@given(value=st.sampled_from(manifests()).flatmap(mutated) | odd_values)
def test_every_value_is_read_or_refused(value: Any) -> None:
    reading = read(_written(value), "file.json")
    for document in reading.documents:
        assert isinstance(document.manifest, dict)


@st.composite
def sets(draw: st.DrawFn) -> str:
    """All manifests of the guide, two of them odd."""
    found = list(manifests())
    for _ in range(2):
        at = draw(st.integers(0, len(found) - 1))
        found[at] = draw(mutated(found[at]))
    return "\n---\n".join(_written(each) for each in found)


@fuzz(60)
@given(text=sets())
def test_what_is_read_can_be_planned(text: str) -> None:
    reading = read(text, "file.yaml")
    given_ = Manifests(reading.documents, reading.faults, ("file.yaml",), frozenset(), {})
    planned = plan(given_, Options(name="fuzz", paths=("file.yaml",)))
    load_balancers(planned)


SETTINGS = {
    "account": "123456789012",
    "region": "eu-west-1",
    "hostedZones": {"towpath.example": "Z08765432TOWPATH0001"},
    "userPoolClients": {"abc": "secret"},
    "backends": {"shop/web:3000": "http://127.0.0.1:5173", "lambda:orders": "http://127.0.0.1:3001"},
    "ports": {"443": 8443},
    "openProxy": False,
    "supply": True,
    "quotas": {"application-load-balancers": 120},
}


@fuzz(200)
@given(value=mutated(SETTINGS), cut=st.integers(0, 400))
def test_every_lockgate_yaml_is_read_or_refused(tmp_path_factory: Any, value: Any, cut: int) -> None:
    file = tmp_path_factory.getbasetemp() / "lockgate.yaml"
    text = _written(value)
    file.write_text(text if cut > 100 else text[:cut])
    try:
        settings.read(file)
    except settings.BadSettings as error:
        assert "secret" not in str(error) or "secret" in ODD_TEXTS
