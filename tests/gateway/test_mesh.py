"""`proxy.istio.io/config`: an annotation is text that anybody wrote, and reading it is bounded as files are."""

from __future__ import annotations

import pytest

from lockgate.gateway.mesh import http_settings
from lockgate.gateway.proxy_config import Variables, proxy_config
from lockgate.gateway.telemetry.formats import of_mesh

BOMB = "x0: &x0 {k: v}\n" + "".join(f"x{n + 1}: &x{n + 1} {{<<: [{', '.join([f'*x{n}'] * 9)}]}}\n" for n in range(9))


NONE = Variables({}, {})


def test_its_fields_replace_the_meshs_but_variables_and_headers_are_merged() -> None:
    mesh = {
        "gatewayTopology": {"numTrustedProxies": 1, "proxyProtocol": {}},
        "proxyHeaders": {"server": {"disabled": True}},
        "proxyMetadata": {"ISTIO_META_HTTP10": "1"},
    }
    own = """
    gatewayTopology: {numTrustedProxies: 2}
    proxyHeaders: {attemptCount: {disabled: true}}
    proxyMetadata: {A: b}
    """
    made = http_settings({}, proxy_config(mesh, own, NONE))
    assert (made.trusted_proxies, made.proxy_protocol) == (2, False)
    assert (made.server_name, made.attempt_count, made.http10) == (None, False, True)
    assert http_settings({}, proxy_config({}, "", NONE)).trusted_proxies == 0


def test_a_field_that_is_nearly_another_is_refused() -> None:
    with pytest.raises(ValueError, match="it has no field gatewayTopolgy; did you mean gatewayTopology"):
        proxy_config({}, "gatewayTopolgy: {numTrustedProxies: 2}", NONE)


@pytest.mark.parametrize("annotation", ["[" * 100_000, "a: [", BOMB, "- a", "text", "a: b\n---\nc: d\n"])
def test_what_is_no_mapping_is_refused(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        proxy_config({}, annotation, NONE)


def test_istiods_own_fields_are_kept_if_those_given_are_no_object() -> None:
    json_log = {"accessLogEncoding": "JSON"}
    own = of_mesh(json_log)
    assert '"response_flags": "%RESPONSE_FLAGS%"' in own.fields
    assert all(of_mesh(json_log | {"accessLogFormat": text}) == own for text in ("text", "[1]", "{"))
    assert of_mesh({}).text.endswith("%ROUTE_NAME%\n")
