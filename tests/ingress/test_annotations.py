"""Annotations: how their text is read, what JSON may look like, unknown names, and the reference page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations import spec
from lockgate.ingress.annotations.document import page
from lockgate.ingress.annotations.json_values import Node, decode
from lockgate.ingress.annotations.values import Malformed
from lockgate.ingress.faults import nearest, spec_of, unknown_annotations
from lockgate.resources import networking
from lockgate.resources.faults import Origin

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "tests/cases/ingress/values.yaml").read_text())
TYPES: dict[str, spec.Type[Any]] = {
    item.name: item for item in (spec.STRING, spec.BOOL, spec.INT32, spec.INT64, spec.LIST, spec.MAP)
}


@pytest.mark.parametrize("row", VALUES, ids=lambda row: f"{row['type']} {row['text']!r}")
def test_values(row: dict[str, Any]) -> None:
    read = TYPES[row["type"]].read
    if "error" in row:
        with pytest.raises(Malformed) as caught:
            read(row["text"])
        assert caught.value.reason == row["error"].replace("\n", "\\n")
        return
    value = read(row["text"])
    assert (list(value) if isinstance(value, tuple) else value) == row["value"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ('{"a": "b', "unexpected end of JSON input"),
        ("{'a': 1}", r"invalid character '\'' looking for beginning of object key string"),
        ('{"a": 1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a": 1 "b": 2}', "invalid character '\"' after object key:value pair"),
        ('[{"a": 1} 2]', "invalid character '2' after array element"),
        ("[1] ]", "invalid character ']' after top-level value"),
        ("redirect", "invalid character 'r' looking for beginning of value"),
        ('"a\nb"', r"invalid character '\n' in string literal"),
        (r'"\x"', "invalid character 'x' in string escape code"),
        ("NaN", "invalid JSON: NaN is not JSON"),
        ("[" * 5000, "unexpected end of JSON input"),
    ],
)
def test_malformed_json_is_reported_in_gos_words(text: str, error: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(text, lambda root: root)
    if text.startswith("[["):
        assert caught.value.reason  # how deep a decoder goes is its own matter: what counts is that it refuses
    else:
        assert caught.value.reason == error


def test_fields_are_found_in_any_case_and_map_keys_are_not() -> None:
    def read(root: Node) -> tuple[str | None, list[str]]:
        return root.object("Action")["redirectConfig"].string(), [key for key, _ in root.entries()]

    assert decode('{"RedirectConfig": "a", "REDIRECTCONFIG": "b"}', read) == ("b", ["RedirectConfig", "REDIRECTCONFIG"])


def test_an_unpaired_surrogate_is_not_a_character() -> None:
    def read(root: Node) -> list[tuple[str, str | None]]:
        return [(key, node.string()) for key, node in root.entries()]

    assert decode(r'{"a\ud800": "b\udc00", "c": "\ud83d\ude00"}', read) == [("a\ufffd", "b\ufffd"), ("c", "\U0001f600")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("listenPorts", "listen-ports"),
        ("targetType", "target-type"),
        ("certificate-arns", "certificate-arn"),
        ("healthcheck_path", "healthcheck-path"),
        ("security-group", "security-groups"),
        ("action.ssl-redirect", "actions.ssl-redirect"),
        ("condition.Web", "conditions.Web"),
        ("utterly-else", ""),
    ],
)
def test_the_nearest_known_name(name: str, meant: str) -> None:
    assert spec_of(name) is None
    assert nearest(name) == meant


@pytest.mark.parametrize(
    "name", ["actions.ssl-redirect", "scheme", "listener-attributes.HTTPS-443", "frontend-nlb-tags"]
)
def test_known_names(name: str) -> None:
    assert spec_of(name) is not None


@pytest.mark.parametrize("name", ["actions.", "actions.{service}", "Scheme"])
def test_names_that_look_known(name: str) -> None:
    assert spec_of(name) is None


def test_an_unknown_name_is_reported_at_its_place() -> None:
    key = a.SCHEME.key + "s"
    ingress = networking.Ingress.model_validate(
        {"metadata": {"name": "web", "namespace": "a", "annotations": {key: "internal"}}}
    )
    [fault] = unknown_annotations(ingress)
    assert fault.origin == Origin(ingress.key, ("metadata", "annotations", key))
    assert fault.fix == f"did you mean {a.SCHEME.key}?"
    assert fault.subject == "Ingress a/web"


def test_the_reference_page_is_current() -> None:
    written = (ROOT / "docs/reference/annotations.md").read_text()
    assert written == page(), "write it again: python -m lockgate.ingress.annotations.document > docs/reference/…"
