from __future__ import annotations

from lockgate.metrics.flows import Connections, Counts, Distribution, Flow, Ledger, Requests
from lockgate.metrics.standard import Totals

FLOW = Flow("gateway", "0.0.0.0_8443", 200)


def requests(number: int) -> Counts:
    return Counts({FLOW: Requests(Distribution({(1, 0.1): number}))})


def test_what_is_new_outlives_an_envoy() -> None:
    ledger = Ledger()
    new = [
        ledger.note("gateway", process, requests(number)).requests.get(FLOW, Requests()).count
        for process, number in ((1, 3), (1, 5), (1, 5), (2, 4), (2, 6), (3, 0))
    ]
    assert new == [3, 2, 0, 4, 2, 0]


def test_nodes_are_counted_apart() -> None:
    ledger = Ledger()
    ledger.note("gateway", 1, requests(3))
    other = Flow("alb", "app/x")
    for process, opened, new in ((1, 1, 1), (1, 3, 2), (2, 2, 2)):
        counts = Counts({}, {other: Connections(opened, 0, 10 * opened, 0)})
        assert ledger.note("alb", process, counts) == Counts({}, {other: Connections(new, 0, 10 * new, 0)})


def test_a_distribution() -> None:
    values = Distribution({(0, 0.0): 1, (9, 0.1): 2, (10, 1): 3, (140, 10): 4})
    assert values.count == 10
    assert values.sum == 0 + 18 + 30 + 4 * 144.5
    assert values.until((0.5, 9, 10, 25, 139, 250)) == [1, 3, 6, 6, 6, 10]
    assert (values + values).since(values) == values


def test_labels_are_bounded() -> None:
    totals = Totals(limit=2)
    for name in ("a", "b", "c", "a"):
        totals.add_requests((("app", name),), Requests(Distribution({(1, 0.1): 2})))
    totals.add_connections((("app", "d"),), Connections(opened=1))
    assert (len(totals), totals.dropped) == (2, 3)
    assert 'istio_requests_total{app="a"} 4\n' in totals.exposition()
