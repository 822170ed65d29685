"""`proxy.istio.io/config`: an annotation is text that anybody wrote, and reading it is bounded as files are."""

from __future__ import annotations

import pytest

from lockgate.gateway.mesh import proxy_settings

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
