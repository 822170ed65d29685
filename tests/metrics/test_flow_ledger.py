from __future__ import annotations

from lockgate.metrics.flows import Connections, Counts, Distribution, Flow, Ledger, Requests

FLOW = Flow("gateway", "0.0.0.0_8443", 200)


def requests(number: int) -> Counts:
    return Counts({FLOW: Requests(Distribution({(1, 0.1): number}))})


def test_totals_outlive_an_envoy() -> None:
    ledger = Ledger()
    new = [
        ledger.note("gateway", process, requests(number)).requests.get(FLOW, Requests()).count
        for process, number in ((1, 3), (1, 5), (1, 5), (2, 4), (2, 6), (3, 0))
    ]
    assert new == [3, 2, 0, 4, 2, 0]
    assert ledger.total.requests[FLOW].count == 11


def test_nodes_are_counted_apart() -> None:
    ledger = Ledger()
    ledger.note("gateway", 1, requests(3))
    other = Flow("alb", "app/x", 200)
    ledger.note("alb", 2, Counts({}, {other: Connections(1, 1, 10, 20)}))
    ledger.note("alb", 3, Counts({}, {other: Connections(2, 1, 10, 20)}))
    assert ledger.total == Counts(requests(3).requests, {other: Connections(3, 2, 20, 40)})


def test_a_distribution() -> None:
    values = Distribution({(0, 0.0): 1, (9, 0.1): 2, (10, 1): 3, (140, 10): 4})
    assert values.count == 10
    assert values.sum == 0 + 18 + 30 + 4 * 144.5
    assert values.until((0.5, 9, 10, 25, 139, 250)) == [1, 3, 6, 6, 6, 10]
    assert [values.quantile(share) for share in (0.05, 0.5, 0.99)] == [0, 10, 140]
    assert Distribution().quantile(0.5) is None
