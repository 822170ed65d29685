"""`proxy.istio.io/config`: an annotation is text that anybody wrote, and reading it is bounded as files are."""

from __future__ import annotations

import pytest

from lockgate.gateway.mesh import http_settings, proxy_config
from lockgate.gateway.telemetry.formats import of_mesh

BOMB = "x0: &x0 {k: v}\n" + "".join(f"x{n + 1}: &x{n + 1} {{<<: [{', '.join([f'*x{n}'] * 9)}]}}\n" for n in range(9))


def test_it_goes_over_the_mesh() -> None:
    mesh = {"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}}
    proxy = proxy_config(mesh, "gatewayTopology: {numTrustedProxies: 2}")
    assert http_settings(mesh, proxy).trusted_proxies == 2
    assert http_settings({}, proxy_config({}, "")).trusted_proxies == 0


@pytest.mark.parametrize("annotation", ["[" * 100_000, "a: [", BOMB, "- a", "text", "a: b\n---\nc: d\n"])
def test_what_is_no_mapping_is_refused(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        proxy_config({}, annotation)


def test_istiods_own_fields_are_kept_if_those_given_are_no_object() -> None:
    json_log = {"accessLogEncoding": "JSON"}
    own = of_mesh(json_log)
    assert '"response_flags": "%RESPONSE_FLAGS%"' in own.fields
    assert all(of_mesh(json_log | {"accessLogFormat": text}) == own for text in ("text", "[1]", "{"))
    assert of_mesh({}).text.endswith("%ROUTE_NAME%\n")
