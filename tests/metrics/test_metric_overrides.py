"""What a Telemetry changes of the metrics that a scrape gets."""

from __future__ import annotations

from lockgate.metrics.flows import Distribution, Flow, Requests
from lockgate.metrics.overrides import Override, split
from lockgate.metrics.standard import OF_REQUESTS, Totals

LABELS = (("app", "a"), ("code", "200"))
FLOW = Flow("gateway", "0.0.0.0_8080", code=200, cluster="outbound|80||web", upstream="10.0.0.1:80")
COUNT, SIZE = "istio_requests_total", "istio_request_bytes"


def test_families_are_counted_with_labels_of_their_own() -> None:
    changes = {
        COUNT: Override(tags=(("app", None), ("side", "'edge'"), ("to", "upstream.address"), ("x", "request.host"))),
        SIZE: Override(disabled=True),
    }
    found = split(LABELS, FLOW, OF_REQUESTS, changes)
    assert found == {
        (("code", "200"), ("side", "edge"), ("to", "10.0.0.1:80")): frozenset({COUNT}),
        LABELS: OF_REQUESTS - {COUNT, SIZE},
    }
    totals = Totals()
    for labels, families in found.items():
        totals.add_requests(labels, Requests(*[Distribution({(5, 1): 2})] * 3), families)
    text = totals.exposition()
    assert f'{COUNT}{{code="200",side="edge",to="10.0.0.1:80"}} 2\n' in text
    assert f"{COUNT}{{app" not in text and SIZE not in text
    assert 'istio_response_bytes_count{app="a",code="200"} 2\n' in text


def test_a_metric_may_be_disabled_later() -> None:
    totals = Totals()
    totals.add_requests(LABELS, Requests(Distribution({(5, 1): 1})))
    assert SIZE in totals.exposition()
    totals.add_requests(LABELS, Requests(Distribution({(5, 1): 1})), OF_REQUESTS - {SIZE})
    assert SIZE not in totals.exposition() and f'{COUNT}{{app="a",code="200"}} 2\n' in totals.exposition()
