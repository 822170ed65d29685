"""Builds clusters from service ports and their DestinationRules.

Source: istio/istio `pilot/pkg/networking/core/cluster_builder.go`, `cluster_traffic_policy.go`, `cluster_tls.go`.
"""

from __future__ import annotations

from sys import intern
from typing import Literal

from lockgate.gateway.credentials import CA_SUFFIX, FILE_CA, SCHEME, SYSTEM
from lockgate.gateway.destinations import NO_BLOCKS, Rule
from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import HttpSettings, Mesh
from lockgate.gateway.model import (
    UNLIMITED,
    Cluster,
    ConnectionPool,
    Http2Keepalive,
    LoadBalancing,
    Maglev,
    OutlierDetection,
    RetryBudget,
    RingHash,
    Simple,
    TcpKeepalive,
    UpstreamProtocol,
    UpstreamTls,
    Warmup,
)
from lockgate.gateway.registry import Host, HostPort
from lockgate.resources import istio


def cluster_name(host: str, port: int, subset: str = "") -> str:
    return intern(f"outbound|{port}|{subset}|{host}")


def cluster(
    host: Host,
    port: HostPort,
    subset: str,
    rule: Rule | None,
    mesh: Mesh,
    http: HttpSettings,
) -> Cluster:
    """The cluster without its endpoints, which `upstreams` adds."""
    blocks = rule.blocks(port.number, subset) if rule else NO_BLOCKS
    passthrough = blocks.load_balancer is not None and blocks.load_balancer.simple == "PASSTHROUGH"
    keeps_case = http.preserve_header_case and not port.http2 and (port.protocol == "http" or not port.protocol)
    return Cluster(
        name=cluster_name(host.hostname, port.number, subset),
        discovery="ORIGINAL_DST" if passthrough else host.discovery,
        protocol=_protocol(port, blocks.connection_pool, mesh, keeps_case),
        load_balancing=_load_balancing(blocks.load_balancer),
        pool=_pool(blocks.connection_pool, blocks.retry_budget, mesh),
        outlier_detection=_outlier_detection(blocks.outlier_detection),
        tls=_tls(blocks.tls, host, mesh),
        proxy_protocol=(blocks.proxy_protocol.version or "V1") if blocks.proxy_protocol else "",
        preserve_header_case=keeps_case,
        dns_refresh=mesh.dns_refresh,
        origin=rule.origin if rule and blocks != NO_BLOCKS else host.origin,
        destination_rule=rule.origin.key if rule else None,
    )


def _protocol(
    port: HostPort, pool: istio.ConnectionPoolSettings | None, mesh: Mesh, keeps_case: bool
) -> UpstreamProtocol:
    """Where header names keep their case, connections are not upgraded to HTTP/2, which has none."""
    http = pool.http if pool else None
    if http and http.use_client_protocol:
        return "DOWNSTREAM"
    if keeps_case:
        return "HTTP1"
    if port.http2 or (http and http.h2_upgrade_policy == "UPGRADE"):
        return "HTTP2"
    decided = http is not None and http.h2_upgrade_policy == "DO_NOT_UPGRADE"
    return "HTTP2" if mesh.h2_upgrade and port.protocol == "http" and not decided else "HTTP1"


def _load_balancing(settings: istio.LoadBalancerSettings | None) -> LoadBalancing:
    if settings is None:
        return Simple()
    if hashing := settings.consistent_hash:
        if hashing.maglev:
            return Maglev(hashing.maglev.table_size or None)
        if hashing.ring_hash:
            return RingHash(hashing.ring_hash.minimum_ring_size or None)
        return RingHash(hashing.minimum_ring_size or 1024)
    policy: Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"] = "LEAST_REQUEST"
    if settings.simple == "ROUND_ROBIN" or settings.simple == "RANDOM":
        policy = settings.simple
    return Simple(policy, _warmup(settings))


def _warmup(settings: istio.LoadBalancerSettings) -> Warmup | None:
    warmup = settings.warmup
    if warmup and (duration := seconds(warmup.duration)) is not None:
        minimum = 10.0 if warmup.minimum_percent is None else warmup.minimum_percent
        return Warmup(duration, minimum, 1.0 if warmup.aggression is None else warmup.aggression)
    older = seconds(settings.warmup_duration_secs)
    return None if older is None else Warmup(older)


def _pool(
    settings: istio.ConnectionPoolSettings | None, budget: istio.RetryBudget | None, mesh: Mesh
) -> ConnectionPool:
    tcp = (settings.tcp if settings else None) or istio.TCPSettings()
    http = (settings.http if settings else None) or istio.HTTPSettings()
    ping = http.http2_keep_alive
    return ConnectionPool(
        connect_timeout=seconds(tcp.connect_timeout) or mesh.connect_timeout,
        max_connections=tcp.max_connections or UNLIMITED,
        max_pending_requests=http.http1_max_pending_requests or UNLIMITED,
        max_requests=http.http2_max_requests or UNLIMITED,
        max_retries=http.max_retries or UNLIMITED,
        max_requests_per_connection=http.max_requests_per_connection or None,
        max_concurrent_streams=http.max_concurrent_streams or None,
        idle_timeout=seconds(http.idle_timeout or tcp.idle_timeout),
        max_connection_duration=seconds(tcp.max_connection_duration),
        keepalive=_keepalive(mesh.keepalive, tcp.tcp_keepalive),
        http2_keepalive=Http2Keepalive(seconds(ping.interval), seconds(ping.timeout)) if ping else None,
        retry_budget=_retry_budget(budget),
        buffer=mesh.cluster_buffer,
    )


def _keepalive(whole: istio.TCPKeepalive | None, own: istio.TCPKeepalive | None) -> TcpKeepalive | None:
    """The mesh's keepalive, with each value that the rule sets over it."""
    if whole is None and own is None:
        return None
    found = [one for one in (own, whole) if one]
    return TcpKeepalive(
        next((one.probes for one in found if one.probes), None),
        next((time for one in found if (time := seconds(one.time)) is not None), None),
        next((interval for one in found if (interval := seconds(one.interval)) is not None), None),
    )


def _retry_budget(budget: istio.RetryBudget | None) -> RetryBudget | None:
    """Without `percent`, istiod sends 0.2, which Envoy reads as 0.2 %, although Istio's documentation says 20 %."""
    if budget is None:
        return None
    return RetryBudget(0.2 if budget.percent is None else budget.percent, budget.min_retry_concurrency or 3)


def _outlier_detection(settings: istio.OutlierDetection | None) -> OutlierDetection | None:
    if settings is None:
        return None
    return OutlierDetection(
        consecutive_5xx=settings.consecutive_5xx_errors,
        consecutive_gateway=settings.consecutive_gateway_errors,
        split_local_origin=settings.split_external_local_origin_errors,
        consecutive_local_origin=settings.consecutive_local_origin_failures,
        interval=seconds(settings.interval),
        base_ejection_time=seconds(settings.base_ejection_time),
        max_ejection_percent=settings.max_ejection_percent or None,
        min_health_percent=settings.min_health_percent,
    )


SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
"""The file of the gateway's image with the CAs that it trusts by default."""
_SYSTEM_ROOTS = (SYSTEM, SYSTEM_CA)


def _tls(settings: istio.ClientTLSSettings | None, host: Host, mesh: Mesh) -> UpstreamTls | None:
    """None is plain text. So is ISTIO_MUTUAL: Lockgate has no mesh certificates, and `resources.effects` warns."""
    if settings is None or settings.mode in (None, "DISABLE", "ISTIO_MUTUAL"):
        return None
    certificate = ca = ""
    if settings.credential_name:
        ca = f"{SCHEME}{settings.credential_name}{CA_SUFFIX}"
        if settings.mode == "MUTUAL":
            certificate = f"{SCHEME}{settings.credential_name}"
    elif settings.mode == "MUTUAL":
        if not (settings.client_certificate and settings.private_key):
            return None  # istiod logs an error and leaves the cluster without TLS
        certificate = f"file-cert:{settings.client_certificate}~{settings.private_key}"
    if not ca and settings.ca_certificates not in ("", *_SYSTEM_ROOTS):
        ca = f"{FILE_CA}{settings.ca_certificates}"
    if settings.ca_crl and not settings.credential_name:
        ca = f"{ca or FILE_CA + SYSTEM}~{settings.ca_crl}"
    verify = not settings.insecure_skip_verify
    return UpstreamTls(
        sni=settings.sni,
        verify=verify,
        verify_host=verify and not settings.sni and not settings.subject_alt_names,
        ca=ca,
        certificate=certificate,
        subject_alt_names=settings.subject_alt_names or host.subject_alt_names,
        cipher_suites=mesh.tls.cipher_suites,
        ecdh_curves=mesh.tls.ecdh_curves,
    )
