"""Metrics as values: what Envoys counted, time series in memory, and PromQL over them. No clock and no I/O.

    store = Store()
    store.append(0.0, {})
    store.append(5.0, {(("destination_service_name", "web"),): {Name("istio_requests_total"): 3.0}})
    evaluate("sum(rate(istio_requests_total[1m]))", store, at=5.0)

`flows` holds what an Envoy counts, by the way that a request took. `store` keeps samples, `promql` answers queries.
"""
