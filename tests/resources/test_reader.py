"""Files in, objects and faults out: `tests/cases/resources/reading.yaml`, and what no text may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.resources import core, istio
from lockgate.resources.diagnostics import Diagnostic, diagnose
from lockgate.resources.positions import Positions
from lockgate.resources.reader import Document, Reading, read
from tests.resources.cases import rows


@pytest.mark.parametrize("row", rows("reading.yaml"))
def test_reading(row: dict[str, Any]) -> None:
    reading = read(row["text"], "file.yaml")
    assert [_shown(each) for each in _diagnostics(reading)] == row.get("faults", [])
    assert [_named(document) for document in reading.documents] == row.get("documents", [])


@pytest.mark.parametrize("row", rows("other_files.yaml"))
def test_other_files(row: dict[str, Any]) -> None:
    """Whole only when nothing of it was left out: of a broken file, the last good objects go on."""
    reading = read(bytes.fromhex(row["bytes"]) if "bytes" in row else row["text"], row["file"])
    assert [_shown(each) for each in _diagnostics(reading)] == [row["fault"]]
    assert not reading.documents
    assert reading.whole == (" info " in row["fault"])


def _diagnostics(reading: Reading) -> list[Diagnostic]:
    locate = Positions(reading.documents)
    return [diagnose(fault, locate) for fault in reading.faults]


def _shown(fault: Diagnostic) -> str:
    assert fault.position is not None
    fix = f" — {fault.fix}" if fault.fix else ""
    return f"{fault.position.line}:{fault.position.column} {fault.severity} {fault.code}: {fault.message}{fix}"


def _named(document: Document) -> str:
    meta = document.manifest["metadata"]
    namespace = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{document.manifest['kind']} {namespace}{meta['name']}"


def test_the_examples_are_read_whole() -> None:
    files = sorted((Path(__file__).parents[2] / "examples" / "edge").glob("*.yaml"))
    assert files
    for file in files:
        reading = read(file.read_bytes(), file.name)
        assert reading.documents
        assert all(document.accepted for document in reading.documents)


GATEWAY = """\
# comment
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  selector: {istio: ingressgateway}
  servers:
    - port:
        number: 443
        name: https
        protocol: HTTPS
      hosts:
        - "*"
        - 'a.example'
      tls: {mode: SIMPLE, credentialName: c}
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), "3:1"),
        (("metadata", "name"), "6:9"),
        (("spec",), "7:1"),
        (("spec", "servers"), "9:3"),
        (("spec", "servers", 0), "10:7"),
        (("spec", "servers", 0, "port", "number"), "11:17"),
        (("spec", "servers", 0, "hosts", 1), "16:11"),
        (("spec", "servers", 0, "tls", "credentialName"), "17:43"),
        (("spec", "servers", 0, "tls", "cipherSuites", 3), "17:7"),
        (("spec", "servers", 7, "port"), "9:3"),
    ],
)
def test_every_field_has_a_place(path: tuple[str | int, ...], place: str) -> None:
    (document,) = read("---\n" + GATEWAY, "g.yaml").documents
    position = document.at(*path) if path else document.position
    assert f"{position.line}:{position.column}" == place
    assert isinstance(document.resource, istio.Gateway)
    assert document.resource.spec.servers[0].hosts == ("*", "a.example")


def test_a_key_has_a_place_of_its_own() -> None:
    (document,) = read(GATEWAY, "g.yaml").documents
    position = document.key_at("spec", "servers", 0, "tls", "credentialName")
    assert (position.line, position.column) == (16, 27)


def test_bytes_that_are_no_text() -> None:
    reading = read(b"a: b\nc: \xff\n", "f.yaml")
    assert [f"{each.position} {each.code}" for each in _diagnostics(reading)] == ["f.yaml:2:1 LG0003"]


def test_a_byte_order_mark_is_passed_over() -> None:
    reading = read("\ufeff" + GATEWAY, "f.yaml")
    assert reading.faults == ()
    assert reading == read(("\ufeff" + GATEWAY).encode(), "f.yaml")


def test_windows_line_ends() -> None:
    (document,) = read(GATEWAY.replace("\n", "\r\n"), "f.yaml").documents
    assert document.at("spec", "servers", 0, "port", "number").line == 10


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, '{"a":' * 200_000, "? " * 100_000])
def test_depth_is_bounded(text: str) -> None:
    """Composing these would overrun the C stack."""
    assert {fault.code.id for fault in read(text, "f.yaml").faults} <= {"LG0001", "LG0004"}
    assert read(text, "f.yaml").faults


def test_what_is_too_large_is_not_parsed() -> None:
    (fault,) = read("a" * (32 * 1024 * 1024 + 1), "f.yaml").faults
    assert fault.code.id == "LG0004"


def test_no_fault_repeats_a_secret() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: 'not base64: hunter2'}\n"
    reading = read(text, "f.yaml")
    assert [fault.code.id for fault in reading.faults] == ["LG0103"]
    assert "hunter2" not in str(_diagnostics(reading)) + repr(reading.faults)
    secret = reading.documents[0].resource
    assert isinstance(secret, core.Secret)
    assert "hunter2" not in repr(secret)


_PIECES = """
apiVersion kind metadata name namespace spec v1 Service Ingress Gateway List items ports rules hosts tls
networking.istio.io/v1 - : , { } [ ] & * ! | > ' " # % @ ` --- ... << ? ~ y 0x1F 1e3 .inf {{ }} &a *a !!int !!binary
null true 1_000 12:30:00 é
"""
_SPACES = ("\t", "\r\n", "\ufeff", "\x00", "\ud800", "\u2028", " ", "\n", "\n  ", "\n- ", ": ", "\n---\n")
_WORDS = st.sampled_from([*_PIECES.split(), *_SPACES])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(_WORDS, max_size=60).map("".join), st.binary()))
def test_no_text_makes_the_reader_raise(text: str | bytes) -> None:
    reading = read(text, "f.yaml")
    for fault in _diagnostics(reading):
        assert fault.position is not None
        assert fault.position.line >= 1
    for document in reading.documents:
        document.at("spec", "ports", 0, "port")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["Service", "Ingress", "Gateway", "VirtualService", "DestinationRule", "Certificate"]),
    spec=_JSON,
    metadata=_JSON,
)
def test_no_object_makes_the_reader_raise(kind: str, spec: object, metadata: object) -> None:
    versions = {"Service": "v1", "Ingress": "networking.k8s.io/v1", "Certificate": "cert-manager.io/v1"}
    manifest = {
        "apiVersion": versions.get(kind, "networking.istio.io/v1"),
        "kind": kind,
        "metadata": metadata if isinstance(metadata, dict) else {"name": "a", "labels": metadata},
        "spec": spec,
    }
    read(yaml.safe_dump(manifest, allow_unicode=True), "f.yaml")
