"""`/metrics`: CloudWatch's metrics of load balancers, their controller's own, and Istio's of gateways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.embedded.faults import exposition as of_calls
from lockgate.loadbalancer.waf.metrics import exposition as of_web_acls
from lockgate.xds.loadbalancer.metrics import cloudwatch, counted, exposition, response_times
from lockgate.xds.loadbalancer.tcp_metrics import flows

if TYPE_CHECKING:
    from lockgate.runtime.running import RunningEdge


class Metrics:
    """An ASGI application over a running edge. Prometheus text format."""

    def __init__(self, edge: RunningEdge) -> None:
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(("/api/", "/-/")):
            from lockgate.runtime.prometheus import PrometheusApi  # only for edges that are asked

            await PrometheusApi(self._edge.traffic)(scope, receive, send)
            return
        found = scope["path"] == "/metrics"
        body = (await self._text() if found else "only /metrics and Prometheus' API are here\n").encode()
        headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _text(self) -> str:
        edge = self._edge
        balancing = edge.load_balancing
        stats = await _stats(edge, "alb")
        metrics = (
            *cloudwatch(stats, balancing.load_balancers, lambda group: balancing.target_states(group).values()),
            *counted(balancing.counts, balancing.load_balancers),
            *flows(stats, balancing.network_load_balancers, lambda group: balancing.target_states(group).values()),
        )
        times = response_times(await _answer(edge, "alb", "/stats/prometheus?filter=upstream_rq_time"))
        apis = (("aws", edge.places.aws_api.faults.calls), ("kubernetes", edge.places.kubernetes_api.faults.calls))
        counts = "".join(of_calls(name, calls) for name, calls in apis)
        await edge.traffic.read()
        traffic = edge.traffic.totals.exposition()
        controller = edge.controller_metrics.exposition()
        return exposition(metrics, times) + of_web_acls(balancing.waf_counts) + counts + controller + traffic


async def _stats(edge: RunningEdge, node: str) -> Mapping[str, int]:
    """An Envoy's counters and gauges; empty while it is unavailable."""
    answers = [await _answer(edge, node, f"/stats?format=json&type={kind}") for kind in ("Counters", "Gauges")]
    return {
        each["name"]: each["value"]
        for answer in answers
        if answer
        for each in json.loads(answer)["stats"]
        if isinstance(each.get("value"), int)
    }


async def _answer(edge: RunningEdge, node: str, path: str) -> str:
    try:
        return await edge.envoys[node].admin(path)
    except OSError:
        return ""
