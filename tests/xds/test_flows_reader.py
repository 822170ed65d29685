from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.metrics.flows import Connections, Counts, Distribution, Flow, Requests
from lockgate.xds.flows import read, request_tag

CLUSTER = "outbound|80|v1|web.shop.svc.cluster.local"


def histogram(name: str, tag: str, *bins: tuple[float, float, int]) -> dict[str, Any]:
    totals = [{"lower_bound": low, "width": width, "count": count} for low, width, count in bins]
    return {"name": f"lockgate.flow.{name}.k.{tag}", "totals": totals}


def requests(*details: dict[str, Any]) -> str:
    return json.dumps({"stats": [{"histograms": {"supported_percentiles": [0], "details": list(details)}}]})


def test_requests_by_flow() -> None:
    tag = f"0.0.0.0_8443;503;UF,URX;;{CLUSTER};127.0.0.1:80"
    text = requests(
        histogram("durations", tag, (3, 0.1, 2), (120, 10, 1)),
        histogram("received", tag, (51, 1, 3)),
        histogram("sent", tag, (1000, 100, 3)),
    )
    flow = Flow("gateway", "0.0.0.0_8443", 503, "UF,URX", "", CLUSTER, "127.0.0.1:80")
    durations = Distribution({(3, 0.1): 2, (120, 10): 1})
    expected = Requests(durations, Distribution({(51, 1): 3}), Distribution({(1000, 100): 3}))
    assert read("gateway", text) == Counts({flow: expected})


@pytest.mark.parametrize(
    ("values", "flow"),
    [
        ("l;200;-;0;c;u", Flow("n", "l", 200, grpc="0", cluster="c", upstream="u")),
        ("l;404;NR;;;", Flow("n", "l", 404, "NR")),
        ("l;0;DC;;c;", Flow("n", "l", 0, "DC", cluster="c")),
        ("l;-;;;c;d;u", Flow("n", "l", 0, cluster="c;d", upstream="u")),
    ],
)
def test_values_of_a_flow(values: str, flow: Flow) -> None:
    assert list(read("n", requests(histogram("durations", values, (1, 0.1, 1)))).requests) == [flow]


def test_connections_that_failed_to_open_are_opened_and_closed() -> None:
    counts = {
        "opened.k.l;-;c;u": 3,
        "closed.k.l;-;c;u": 1,
        "closed.k.l;DC;c;u": 1,
        "received.k.l;DC;c;u": 10,
        "sent.k.l;-;c;u": 20,
        "closed.k.l;UF;c;u": 2,
    }
    text = json.dumps({"stats": [{"name": f"lockgate.flow.{name}", "value": value} for name, value in counts.items()]})
    assert read("n", "", text).connections == {
        Flow("n", "l", cluster="c", upstream="u"): Connections(3, 2, 10, 20),
        Flow("n", "l", flags="UF", cluster="c", upstream="u"): Connections(2, 2),
    }


def test_a_listeners_name_is_literal() -> None:
    assert request_tag("100%")["value_format"].startswith("100%%;")
