"""One trace of both hops, in a collector: `up --otlp`. `collector/` is the OpenTelemetry Collector, to try by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.edge.conftest import ROOT, Start, Up
from tests.edge.otlp_collector import Collected, Received, collecting

pytestmark = pytest.mark.edge

EXAMPLE = ROOT / "examples" / "edge"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_both_hops_are_in_one_trace(up: Start, protocol: str) -> None:
    with collecting() as found:
        edge = up(EXAMPLE, "--otlp", getattr(found, protocol)).ready()
        root = _seen(edge, "https://towpath.example/root")["x-amzn-trace-id"].removeprefix("Root=1-").replace("-", "")
        w3c = _seen(edge, "https://towpath.example/w3c", "traceparent", f"00-{TRACE}-{PARENT}-01")["traceparent"]
        b3 = _seen(edge, "https://towpath.example/b3", "b3", f"{TRACE[:16]}-{PARENT}-1")["traceparent"]
        _seen(edge, "https://towpath.example/unsampled", "traceparent", f"00-{TRACE}-{PARENT}-00")
        edge.wait(until=lambda: len(found.spans) >= 6, what="spans of both hops of three requests")

        for path, trace, parent in (
            ("/root", root, ""),
            ("/w3c", TRACE, PARENT),
            ("/b3", f"{'0' * 16}{TRACE[:16]}", PARENT),
        ):
            balancer, gateway = _of(found, path)
            assert (balancer.trace, balancer.parent) == (trace, parent)
            assert (gateway.trace, gateway.parent) == (trace, balancer.span)
            assert gateway.service == "istio-ingressgateway.istio-system"
            said = {"w3c": w3c, "b3": b3}.get(path[1:], "")
            assert not said or said == f"00-{trace}-{gateway.span}-01", "the backend goes on with the gateway's span"
        assert not [each for each in found.spans if "/unsampled" in str(each.attributes)]


def test_spans_say_which_rule_route_and_line_decided(up: Start, tmp_path: Path) -> None:
    with collecting() as found:
        edge = up(EXAMPLE, "--otlp", found.http).ready()
        edge.curl("https://towpath.example/where")
        edge.wait(until=lambda: len(found.spans) >= 2, what="spans of both hops")
        balancer, gateway = _of(found, "/where")
        attributes = balancer.attributes
        assert attributes["lockgate.synthetic"] is True
        assert attributes["lockgate.load_balancer"] == balancer.service
        assert (attributes["lockgate.listener"], attributes["lockgate.rule"]) == (443, "1")
        assert attributes["lockgate.target_group"].startswith("k8s-istiosys-")
        file, _, line = attributes["lockgate.manifest"].rpartition(":")
        assert "path: /" in Path(file).read_text().splitlines()[int(line) - 1]
        assert attributes["http.response.status_code"] == 200
        service = gateway.attributes["lockgate.virtual_service"]
        assert service == "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/towpath"


def _seen(edge: Up, url: str, name: str = "", value: str = "") -> dict[str, str]:
    """The headers that the backend got."""
    headers = ["-H", f"{name}: {value}"] if name else []
    return dict(json.loads(edge.curl(url, *headers))["headers"])


def _of(found: Collected, path: str) -> tuple[Received, Received]:
    """The load balancer's span of a request, and the gateway's."""
    (balancer,) = [each for each in found.spans if each.attributes.get("url.path") == path]
    (gateway,) = [each for each in found.spans if each.attributes.get("http.url", "").endswith(path)]
    return balancer, gateway
