"""Whatever a file holds, it is read: into the values that other parsers find in it, or into faults with places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.edge.kustomization import Kustomization, choose, reach
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.resources.chunks import Chunk, split
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Fault, Position
from lockgate.resources.reader import read
from lockgate.resources.source import load
from tests.fuzz.fuzzing import fuzz, mutated, odd_texts, odd_values

EDGE = Path(__file__).parents[2] / "examples" / "edge"
OBJECTS: list[Any] = [each for file in sorted(EDGE.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())]
FILES = [file.read_text() for file in sorted(EDGE.glob("*.yaml"))]

# Pieces of YAML and JSON, and what stands between them.
PIECES = (
    "a", "apiVersion: v1", "kind: List", "items:", "metadata: {name: a}", "- ", ": ", "? ", "&a ", "*a", "<<: *a",
    "!b ", "|", ">-", '"', "'", "{", "}", "[", "]", ",", "#c", "%TAG ! x", "%YAML 1.1", "---", "...", "{{ .Values.a }}",
    "\t", "\r\n", "\n", "\n  ", "\n- ", "\n---\n", "\u2028", "\ufeff", "\x00", "\x85", "\ud800", '{"a": 1}', "0x1F",
    "1_0", "~",
)  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(PIECES), odd_texts), max_size=40).map("".join)


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A file of the example with pieces put in, taken out and doubled."""
    text = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), texts))
        text = text[:start] + put + text[end:]
    return text


def check(text: str | bytes) -> None:
    reading = read(text, "f.yaml")
    for fault in reading.faults:
        line = str(diagnose(fault, lambda origin: None))
        assert fault.code.id in line
        assert "pydantic" not in line
        if isinstance(fault.origin, Position):
            assert fault.origin.line >= 1
            assert fault.origin.column >= 1
    for document in reading.documents:
        assert document.at("spec", "rules", 0).line >= document.at().line >= 1
        json.dumps(document.manifest).encode()
    everything = Manifests(reading.documents, reading.faults, ("f.yaml",), frozenset(), {"f.yaml": (b"", reading)})
    load_balancers(plan(everything, Options(("f.yaml",))))


@fuzz(150)
@given(st.one_of(texts, edited(), st.binary(max_size=60), texts.map(lambda text: text.encode("utf-16", "replace"))))
def test_any_text(text: str | bytes) -> None:
    check(text)


@fuzz(150)
@given(st.lists(st.sampled_from(OBJECTS).flatmap(mutated), max_size=3), st.booleans())
def test_any_objects(objects: list[Any], as_list: bool) -> None:
    check(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}) if as_list else json_stream(objects))


def json_stream(values: list[Any]) -> str:
    return "\n".join(json.dumps(each) for each in values)


@fuzz(150)
@given(st.lists(st.dictionaries(odd_texts, odd_values, min_size=1, max_size=3), max_size=5), st.sampled_from([None, 1]))
def test_a_stream_of_json_is_cut_into_its_objects(objects: list[Any], indent: int | None) -> None:
    """Each piece is one of them, at its place."""
    text = " \n".join(json.dumps(each, indent=indent) for each in objects)
    pieces = list(split(text, "f.json"))
    lines = text.split("\n")
    assert len(pieces) == len(objects)
    for piece, value in zip(pieces, objects, strict=True):
        assert isinstance(piece, Chunk)
        place = piece.position()
        assert lines[place.line - 1][place.column - 1 :].startswith("{")
        assert json.loads(piece.text) == json.loads(json.dumps(value))


@fuzz(150)
@given(texts)
def test_nothing_is_lost_between_documents(text: str) -> None:
    """What is in no document is comments, marks and space."""
    pieces = [each for each in split(text, "f.yaml") if not isinstance(each, Fault)]
    rest = text
    for piece in pieces:
        assert piece.text in rest
        rest = rest[rest.index(piece.text) + len(piece.text) :]
    if not pieces and not any(isinstance(each, Fault) for each in split(text, "f.yaml")):
        assert all(
            line.lstrip(" \t\r")[:1] in ("", "#", "%") or line.startswith(("---", "...")) for line in text.split("\n")
        )


class _AsKubernetes(yaml.SafeLoader):
    """PyYAML's own reader, without its implicit types."""


_AsKubernetes.yaml_implicit_resolvers = {}


@fuzz(150)
@given(st.dictionaries(odd_texts, odd_values, max_size=3))
def test_yaml_says_what_pyyaml_says(value: dict[str, Any]) -> None:
    """For quoted texts, maps and lists: which word means what is Kubernetes' own."""
    texts_only = _texts(value)
    try:
        json.dumps(texts_only, ensure_ascii=False).encode()
        text = yaml.safe_dump(texts_only, default_style='"', allow_unicode=True)
    except (yaml.YAMLError, UnicodeEncodeError):
        return  # halves of surrogate pairs are refused
    assert load(Chunk("f.yaml", 0, text), []) == yaml.load(text, _AsKubernetes)


def _texts(value: Any) -> Any:
    match value:
        case dict():
            return {key: _texts(item) for key, item in value.items()}
        case list():
            return [_texts(item) for item in value]
        case _:
            return str(value)[:400]


folders = st.sampled_from(["a", "b", "c", "d/e", "d/f"])
links = st.sampled_from(["../a", "../b", "../c", "../d/e", "../../a", "../f", "x.yaml", ".", "https://x//y?ref=1", ""])
kustomizations = st.dictionaries(
    folders, st.fixed_dictionaries({"resources": st.lists(links, max_size=3), "kind": odd_texts | st.just("Component")})
)


@fuzz(150)
@given(kustomizations)
def test_every_kustomization_is_rendered_once_or_left_out_with_a_reason(contents: dict[str, Any]) -> None:
    known = {
        folder: Kustomization.of(folder, f"{folder}/kustomization.yaml", text) for folder, text in contents.items()
    }
    choice = choose(known, known)
    assert not set(choice.rendered) & choice.variants.keys()
    assert set(choice.rendered) <= known.keys()
    for folder in choice.rendered:
        others = set(choice.rendered) - {folder}
        assert not others & reach([folder], known)
    for shared in choice.variants.values():
        assert set(shared) <= set(choice.rendered)


@fuzz(100)
@given(odd_values)
def test_any_content_of_a_kustomization(value: Any) -> None:
    made = Kustomization.of("a", "a/kustomization.yaml", value)
    assert all(isinstance(each, str) for each in (*made.parts, *made.inputs))
