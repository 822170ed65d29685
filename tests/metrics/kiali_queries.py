"""The queries of Kiali 2.31, as its graph, health and metrics pages compose them, and of Istio's dashboards."""

from __future__ import annotations

from collections.abc import Iterator

SOURCE = "source_cluster,source_workload_namespace,source_workload,source_canonical_service,source_canonical_revision"
SERVICE = "destination_cluster,destination_service_namespace,destination_service,destination_service_name"
WORKLOAD = (
    "destination_workload_namespace,destination_workload,destination_canonical_service,destination_canonical_revision"
)
DESTINATION = f"{SERVICE},{WORKLOAD}"
CODE = "request_protocol,response_code,grpc_response_status,response_flags"
NAMESPACE = "shop"


def kiali() -> Iterator[str]:
    yield from graph()
    yield from times()
    yield from health()
    yield from pages()


def graph() -> Iterator[str]:
    for reporter in ('reporter="%s"', 'reporter=~"waypoint|%s"'):
        source, destination = reporter % "source", reporter % "destination"
        unknown = (
            f'{source},source_workload_namespace!="{NAMESPACE}",destination_workload_namespace="unknown",'
            f'destination_workload="unknown",destination_service=~"^.+\\\\.{NAMESPACE}\\\\..+$"'
        )
        into = f'{destination},destination_workload_namespace="{NAMESPACE}"'
        out = f'{source},source_workload_namespace="istio-system"'
        for labels in (unknown, into, out):
            for ending in (" > 0,0.001", ",0.001"):
                rates = f"rate(istio_requests_total{{{labels}}} [60s])"
                yield f"round(sum({rates}) by ({SOURCE},{DESTINATION},{CODE}){ending})"
                yield f"sum({rates}) by ({SOURCE},{DESTINATION},{CODE})"
            for metric in ("istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total"):
                yield (
                    f'round(sum(rate({metric}{{app!="ztunnel",{labels}}} [60s])) '
                    f"by (app,{SOURCE},{DESTINATION},response_flags) > 0,0.001)"
                )
            for metric in ("istio_request_messages_total", "istio_response_messages_total"):
                yield f"round(sum(rate({metric}{{{labels}}} [60s])) by ({SOURCE},{DESTINATION}) > 0,0.001)"
    for selector in (f'destination_service=~"^web\\\\.{NAMESPACE}\\\\..*$"', 'source_workload="istio-ingressgateway"'):
        yield f"round(sum(rate(istio_requests_total{{{selector}}} [60s])) by ({SOURCE},{DESTINATION},{CODE}) > 0,0.001)"
    labels = f'reporter="source",source_workload_namespace!="{NAMESPACE}"'
    by = f"{SOURCE},source_principal,{SERVICE.replace('destination_service,', '')},{WORKLOAD},destination_principal"
    parts = [
        f"(sum(rate({metric}[60s])) by ({by},connection_security_policy) > 0)"
        for metric in (
            f"istio_requests_total{{{labels}}}",
            f'istio_tcp_sent_bytes_total{{app!="ztunnel",{labels}}}',
            f'istio_tcp_received_bytes_total{{app!="ztunnel",{labels}}}',
        )
    ]
    yield f"round({' OR '.join(parts)},0.001)"
    for metric in ("istio_response_bytes_sum", "istio_request_bytes_sum"):
        yield f"round(sum(rate({metric}{{{labels}}}[60s])) by ({SOURCE},{DESTINATION}) > 0,0.001)"
    yield (
        f'round(sum(rate(istio_requests_total{{{labels},request_operation!="unknown"}}[60s])) '
        f"by ({SOURCE},{DESTINATION},{CODE},request_operation) > 0,0.001)"
    )


def times() -> Iterator[str]:
    duration = "istio_request_duration_milliseconds"
    for labels in (
        f'reporter="destination",destination_service_namespace="{NAMESPACE}"',
        'reporter="source",source_workload_namespace="istio-system"',
    ):
        by = f"{SOURCE},{DESTINATION},request_protocol"
        rates = f"sum(rate({duration}_bucket{{{labels}}}[60s])) by (le,{by})"
        for quantile in ("0.5", "0.95", "0.99"):
            yield f"round(histogram_quantile({quantile}, {rates}) > 0,0.001)"
        yield (
            f"round(sum(rate({duration}_sum{{{labels}}}[60s])) by ({by}) / "
            f"sum(rate({duration}_count{{{labels}}}[60s])) by ({by}) > 0,0.001)"
        )
    yield (
        f'round(topk(6, histogram_quantile(0.95, sum(rate({duration}_bucket{{destination_workload!="unknown"}}[5m])) '
        "by (le,destination_cluster,destination_service_namespace,destination_service_name)) > 0), 0.001)"
    )


def health() -> Iterator[str]:
    for labels in (
        f'destination_service_namespace="{NAMESPACE}",destination_cluster=~"lockgate|unknown"',
        f'destination_service_namespace="{NAMESPACE}",source_workload_namespace!="{NAMESPACE}",'
        'destination_cluster="lockgate"',
        'source_workload_namespace="istio-system",source_cluster="lockgate"',
        f'destination_workload_namespace="{NAMESPACE}",destination_workload="web",destination_cluster="lockgate"',
        f'destination_service_name="web",destination_service_namespace="{NAMESPACE}",'
        'destination_cluster=~"lockgate|unknown"',
    ):
        yield f"rate(istio_requests_total{{{labels}}}[5m]) > 0"


def pages() -> Iterator[str]:
    """The metrics tabs, which are range queries."""
    labels = f'reporter="source",destination_service_name="web",destination_service_namespace="{NAMESPACE}"'
    for by in ("", " by (destination_canonical_service)", " by (response_code,response_flags)"):
        for metric in (
            *("istio_requests_total", "istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"),
            *("istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total"),
            *("istio_request_bytes_sum", "istio_response_bytes_sum"),
        ):
            yield f"sum(rate({metric}{{{labels}}}[60s])){by}"
        failed, codes = "^0$|^[4-5]\\\\d\\\\d$", "istio_requests_total"
        yield (
            f'(sum(rate({codes}{{{labels},response_code=~"{failed}"}}[60s])){by} OR '
            f'sum(rate({codes}{{{labels},grpc_response_status=~"^[1-9]$|^1[0-6]$",response_code!~"{failed}"}}[60s])){by})'
        )
        inner = by.replace(" by (", " by (le,") or " by (le)"
        for metric in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
            yield f"sum(rate({metric}_sum{{{labels}}}[60s])){by} / sum(rate({metric}_count{{{labels}}}[60s])){by}"
            for quantile in ("0.5", "0.95", "0.99", "0.999"):
                yield f"histogram_quantile({quantile}, sum(rate({metric}_bucket{{{labels}}}[60s])){inner})"
    yield f'count({{destination_workload_namespace="{NAMESPACE}"}}) by (__name__)'
    yield 'sum(envoy_cluster_upstream_cx_active{namespace="N",app="A"})'
    yield 'delta(istio_requests_total{reporter="source"}[1m4s])'
    yield "(istio_requests_total)"


def dashboards() -> Iterator[str]:
    """Shapes of Istio's mesh, service, workload and performance dashboards."""
    total, duration = "istio_requests_total", "istio_request_duration_milliseconds_bucket"
    on = 'reporter=~"source|destination",destination_service=~"web.shop.svc.cluster.local"'
    yield f"round(sum(irate({total}{{{on}}}[1m])), 0.001)"
    yield f'sum(irate({total}{{{on},response_code!~"5.*"}}[1m])) / sum(irate({total}{{{on}}}[1m]))'
    yield f'sum(rate({total}{{reporter=~"source|waypoint",response_code=~"4.*"}}[1m])) or vector(0)'
    plain = f'{on},connection_security_policy!="mutual_tls"'
    for quantile in ("0.50", "0.90", "0.99"):
        yield f"(histogram_quantile({quantile}, sum(irate({duration}{{{on}}}[1m])) by (le)) / 1000)"
        yield (
            f"histogram_quantile({quantile}, sum(irate({duration}{{{plain}}}[1m])) "
            "by (source_workload, source_workload_namespace, le)) / 1000"
        )
    yield (
        f'label_join((sum(rate({total}{{reporter="source"}}[1m])) by (destination_workload, '
        'destination_workload_namespace, destination_service)), "destination_workload_var", ".", '
        '"destination_workload", "destination_workload_namespace")'
    )
    yield (
        f'label_join(sum((histogram_quantile(0.90, sum(rate({duration}{{reporter="source"}}[1m])) by (le, '
        "destination_workload, destination_workload_namespace)) / 1000)) by (destination_workload, "
        'destination_workload_namespace), "destination_workload_var", ".", "destination_workload", '
        '"destination_workload_namespace")'
    )
    yield f"sum(increase({total}{{{on}}}[1m])) by (response_code)"
    yield f"sort_desc(sum(rate({total}[1m])) by (response_code))"
    yield 'sum(irate(istio_tcp_sent_bytes_total{reporter="source"}[1m])) by (destination_workload)'
    yield (
        f'sum(rate({total}{{response_code=~"5.."}}[1m])) by (destination_service_name) / '
        f"sum(rate({total}[1m])) by (destination_service_name)"
    )
