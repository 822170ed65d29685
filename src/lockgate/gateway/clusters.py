"""Builds clusters from service ports and their DestinationRules.

Source: istio/istio `pilot/pkg/networking/core/cluster_builder.go`, `cluster_traffic_policy.go`, `cluster_tls.go`.
"""

from __future__ import annotations

from typing import Literal

from lockgate.gateway.credentials import CA_SUFFIX, SCHEME
from lockgate.gateway.destinations import NO_BLOCKS, Rule
from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import (
    UNLIMITED,
    Cluster,
    ConnectionPool,
    LoadBalancing,
    Maglev,
    OutlierDetection,
    RingHash,
    Simple,
    TcpKeepalive,
    UpstreamProtocol,
    UpstreamTls,
)
from lockgate.gateway.registry import Host, HostPort
from lockgate.resources import istio


def cluster_name(host: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def cluster(
    host: Host,
    port: HostPort,
    subset: str,
    rule: Rule | None,
    mesh: Mesh,
) -> Cluster:
    """The cluster without its endpoints, which `upstreams` adds."""
    blocks = rule.blocks(port.number, subset) if rule else NO_BLOCKS
    return Cluster(
        name=cluster_name(host.hostname, port.number, subset),
        discovery=host.discovery,
        protocol=_protocol(port, blocks.connection_pool, mesh),
        load_balancing=_load_balancing(blocks.load_balancer),
        pool=_pool(blocks.connection_pool, mesh),
        outlier_detection=_outlier_detection(blocks.outlier_detection),
        tls=_tls(blocks.tls, host),
        origin=rule.origin if rule and blocks != NO_BLOCKS else host.origin,
    )


def _protocol(port: HostPort, pool: istio.ConnectionPoolSettings | None, mesh: Mesh) -> UpstreamProtocol:
    http = pool.http if pool else None
    if http and http.use_client_protocol:
        return "DOWNSTREAM"
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
        size = hashing.ring_hash.minimum_ring_size if hashing.ring_hash else hashing.minimum_ring_size
        return RingHash(size or 1024)
    policy: Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"] = "LEAST_REQUEST"
    if settings.simple == "ROUND_ROBIN" or settings.simple == "RANDOM":
        policy = settings.simple
    if settings.warmup:
        return Simple(
            policy,
            seconds(settings.warmup.duration),
            10.0 if settings.warmup.minimum_percent is None else settings.warmup.minimum_percent,
            settings.warmup.aggression or 1.0,
        )
    return Simple(policy, seconds(settings.warmup_duration_secs))


def _pool(settings: istio.ConnectionPoolSettings | None, mesh: Mesh) -> ConnectionPool:
    if settings is None:
        return ConnectionPool(connect_timeout=mesh.connect_timeout)
    tcp = settings.tcp or istio.TCPSettings()
    http = settings.http or istio.HTTPSettings()
    keepalive = tcp.tcp_keepalive
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
        keepalive=TcpKeepalive(keepalive.probes or None, seconds(keepalive.time), seconds(keepalive.interval))
        if keepalive
        else None,
    )


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
_SYSTEM_ROOTS = ("system", SYSTEM_CA)


def _tls(settings: istio.ClientTLSSettings | None, host: Host) -> UpstreamTls | None:
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
        ca = f"file-root:{settings.ca_certificates}"
    return UpstreamTls(
        sni=settings.sni,
        verify=not settings.insecure_skip_verify,
        ca=ca,
        certificate=certificate,
        subject_alt_names=settings.subject_alt_names or host.subject_alt_names,
    )
