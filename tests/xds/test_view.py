"""`show envoy` as a value: which resources of a snapshot are shown, and that no key is."""

from __future__ import annotations

import json

import pytest
from test_gateway import BACKEND, made

from lockgate.gateway.credentials import KeyPair
from lockgate.xds.view import SECTIONS, snapshot_json

SNAPSHOT = made(credentials={"kubernetes://x": KeyPair(b"chain of a.example", b"its private key")})


def test_every_section_is_shown_under_envoys_field_names() -> None:
    shown = snapshot_json(SNAPSHOT)
    assert tuple(shown) == SECTIONS
    assert [each["name"] for each in shown["clusters"]] == [BACKEND]
    assert shown["endpoints"][0]["cluster_name"] == BACKEND
    (listener,) = (each for each in shown["listeners"] if each["name"] == "0.0.0.0_8443")
    assert listener["address"]["socket_address"] == {"address": "127.0.0.2", "port_value": 28443}


def test_a_secret_is_its_name_only() -> None:
    assert snapshot_json(SNAPSHOT)["secrets"] == [{"name": "kubernetes://x"}]
    assert "private key" not in json.dumps(snapshot_json(SNAPSHOT))


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("routes",), {"routes": ["http.8080", "https"]}),
        (("routes/http.*",), {"routes": ["http.8080"]}),
        (("routes/http.*", "listeners/readiness"), {"routes": ["http.8080"], "listeners": ["readiness"]}),
        (("secrets/*x",), {"secrets": ["kubernetes://x"]}),
        (("secrets/*y", "clusters/nothing"), {}),
        (("http.8080",), {}),
    ],
)
def test_filters(filters: tuple[str, ...], names: dict[str, list[str]]) -> None:
    shown = snapshot_json(SNAPSHOT, filters)
    assert {section: sorted(each["name"] for each in entries) for section, entries in shown.items()} == names
