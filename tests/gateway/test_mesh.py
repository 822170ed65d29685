"""`proxy.istio.io/config`: an annotation is text that anybody wrote, and reading it is bounded as files are."""

from __future__ import annotations

import pytest

from lockgate.gateway.mesh import mesh, proxy_settings

BOMB = "x0: &x0 {k: v}\n" + "".join(f"x{n + 1}: &x{n + 1} {{<<: [{', '.join([f'*x{n}'] * 9)}]}}\n" for n in range(9))


def test_it_goes_over_the_mesh() -> None:
    made = proxy_settings(
        {"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}}, "gatewayTopology: {numTrustedProxies: 2}"
    )
    assert made.trusted_proxies == 2
    assert proxy_settings({}, "").trusted_proxies == 0


@pytest.mark.parametrize("annotation", ["[" * 100_000, "a: [", BOMB, "- a", "text", "a: b\n---\nc: d\n"])
def test_what_is_no_mapping_is_refused(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        proxy_settings({}, annotation)


def test_istiods_own_fields_are_kept_if_those_given_are_no_object() -> None:
    json_log = {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"}
    own = mesh(json_log).http.access_log
    assert own is not None
    assert '"response_flags": "%RESPONSE_FLAGS%"' in own.fields
    assert all(mesh(json_log | {"accessLogFormat": text}).http.access_log == own for text in ("text", "[1]", "{"))
    text = mesh({"accessLogFile": "/dev/stdout"}).http.access_log
    assert text is not None
    assert text.text.endswith("%ROUTE_NAME%\n")
