"""Istio's webhook for DestinationRule: `pkg/config/validation/validation.go`, ValidateDestinationRule."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.resources import durations, field_errors, istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.rules import istio_locality
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, required
from lockgate.resources.unicode import visible

_MAX_TABLE = 5000011


def refusals(rule: istio.DestinationRule) -> Iterator[FieldError]:
    spec = rule.spec
    yield from names.wildcard_domain(("spec", "host"), spec.host)
    if spec.traffic_policy is not None:
        yield from _traffic_policy(("spec", "trafficPolicy"), spec.traffic_policy)
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        at = ("spec", "subsets", index)
        if not subset.name:
            yield required((*at, "name"), "subset name cannot be empty")
        elif not names.is_label(subset.name):
            yield problem((*at, "name"), f"subset name is invalid: {subset.name}")
        if subset.name in seen:
            yield problem((*at, "name"), f"duplicate subset names: {subset.name}", Reason.DUPLICATE)
        seen.add(subset.name)
        yield from names.label_values((*at, "labels"), subset.labels)
        if subset.traffic_policy is not None:
            yield from _traffic_policy((*at, "trafficPolicy"), subset.traffic_policy)
    selector = spec.workload_selector
    yield from names.export_to(("spec", "exportTo"), spec.export_to, rule.namespace, selects=selector is not None)
    if selector is not None:
        yield from names.selector(("spec", "workloadSelector", "matchLabels"), selector.match_labels)


def warnings(rule: istio.DestinationRule) -> Iterator[FieldError]:
    if rule.spec.workload_selector is not None and not rule.spec.workload_selector.match_labels:
        yield problem(("spec", "workloadSelector"), "workload selector specified without labels")
    tops: list[tuple[Path, istio.TrafficPolicy | None]] = [(("spec", "trafficPolicy"), rule.spec.traffic_policy)]
    for index, subset in enumerate(rule.spec.subsets):
        tops.append((("spec", "subsets", index, "trafficPolicy"), subset.traffic_policy))
    policies: list[tuple[Path, istio.TrafficPolicy | istio.PortTrafficPolicy]] = []
    for path, top in tops:
        if top is not None:
            policies.append((path, top))
            policies += (
                ((*path, "portLevelSettings", index), port) for index, port in enumerate(top.port_level_settings)
            )
    for path, policy in policies:
        if policy.outlier_detection and policy.outlier_detection.consecutive_errors:
            message = "outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or "
            message += "consecutive5xxErrors instead"
            yield problem((*path, "outlierDetection", "consecutiveErrors"), message)
        balancer = policy.load_balancer
        if balancer and balancer.consistent_hash and balancer.consistent_hash.minimum_ring_size:
            message = (
                "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead"
            )
            yield problem((*path, "loadBalancer", "consistentHash", "minimumRingSize"), message)
        if balancer and balancer.locality_lb_setting:
            at = (*path, "loadBalancer", "localityLbSetting")
            detects = policy.outlier_detection is not None
            yield from istio_locality.warnings(at, balancer.locality_lb_setting, detects=detects)


def _traffic_policy(path: Path, policy: istio.TrafficPolicy) -> Iterator[FieldError]:
    if not _says_something(policy):
        yield required(path, "traffic policy must have at least one field")
    yield from _blocks(path, policy)
    for index, port_policy in enumerate(policy.port_level_settings):
        at = (*path, "portLevelSettings", index)
        if port_policy.port is None:
            yield required((*at, "port"), "portTrafficPolicy must have valid port")
        if not _says_something(port_policy):
            yield required(at, "port traffic policy must have at least one field")
        yield from _blocks(at, port_policy)
    if policy.tunnel is not None:
        at = (*path, "tunnel")
        if policy.tunnel.protocol not in ("", "CONNECT", "POST"):
            yield problem((*at, "protocol"), 'tunnel protocol must be "CONNECT" or "POST"')
        host = policy.tunnel.target_host
        if not names.is_address(host) and (fault := next(names.domain((*at, "targetHost"), host), None)):
            reason = f"{fault.message}; {host} is not a valid IP"
            yield problem(fault.path, f"tunnel target host must be valid FQDN or IP address: {reason}")
        yield from names.port((*at, "targetPort"), policy.tunnel.target_port)
        if policy.proxy_protocol is not None:
            yield conflict(at, "tunnel and proxyProtocol must not be set together")
    budget = policy.retry_budget
    if budget is not None and budget.percent is not None and not 0 <= budget.percent <= 100:
        which = "greater than or equal to 0" if budget.percent < 0 else "less than or equal to 100"
        yield field_errors.invalid((*path, "retryBudget", "percent"), budget.percent, f"should be {which}")


def _says_something(policy: istio.TrafficPolicy | istio.PortTrafficPolicy) -> bool:
    given = (getattr(policy, name) for name in policy.model_fields_set - {"port"})
    return any(value is not None and value != () for value in given)


def _blocks(path: Path, policy: istio.TrafficPolicy | istio.PortTrafficPolicy) -> Iterator[FieldError]:
    if policy.outlier_detection is not None:
        yield from _outliers((*path, "outlierDetection"), policy.outlier_detection)
    if policy.connection_pool is not None:
        yield from pool((*path, "connectionPool"), policy.connection_pool)
    if policy.load_balancer is not None:
        yield from _balancer((*path, "loadBalancer"), policy.load_balancer)
    if policy.tls is not None:
        yield from _tls((*path, "tls"), policy.tls)


def _outliers(path: Path, outliers: istio.OutlierDetection) -> Iterator[FieldError]:
    yield from names.duration((*path, "interval"), outliers.interval)
    yield from names.duration((*path, "baseEjectionTime"), outliers.base_ejection_time)
    for field, value in (
        ("maxEjectionPercent", outliers.max_ejection_percent),
        ("minHealthPercent", outliers.min_health_percent),
    ):
        if not 0 <= value <= 100:
            yield problem((*path, field), f"percentage {value} is not in range 0..100")
    if outliers.consecutive_local_origin_failures and not outliers.split_external_local_origin_errors:
        message = (
            "outlier detection consecutive local origin failures is specified, but split external local origin errors "
            "is set to false"
        )
        yield conflict((*path, "consecutiveLocalOriginFailures"), message)


def pool(path: Path, pool: istio.ConnectionPoolSettings) -> Iterator[FieldError]:
    tcp, http = pool.tcp, pool.http
    if tcp is None and http is None:
        yield required(path, "connection pool must have at least one field")
    if tcp is not None:
        at = (*path, "tcp")
        if tcp.max_connections < 0:
            yield problem((*at, "maxConnections"), "max connections must be non-negative")
        yield from names.duration((*at, "connectTimeout"), tcp.connect_timeout)
        yield from names.duration((*at, "maxConnectionDuration"), tcp.max_connection_duration)
        if tcp.tcp_keepalive is not None:
            yield from names.duration((*at, "tcpKeepalive", "time"), tcp.tcp_keepalive.time)
            yield from names.duration((*at, "tcpKeepalive", "interval"), tcp.tcp_keepalive.interval)
        if tcp.idle_timeout is not None and durations.nanoseconds(tcp.idle_timeout) is None:
            yield field_errors.invalid((*at, "idleTimeout"), tcp.idle_timeout, "must be a valid duration")
    if http is None:
        return
    at = (*path, "http")
    for field, what, value in (
        ("http1MaxPendingRequests", "http1 max pending requests", http.http1_max_pending_requests),
        ("http2MaxRequests", "http2 max requests", http.http2_max_requests),
        ("maxRequestsPerConnection", "max requests per connection", http.max_requests_per_connection),
        ("maxRetries", "max retries", http.max_retries),
        ("maxConcurrentStreams", "max concurrent streams", http.max_concurrent_streams),
    ):
        if value < 0:
            yield problem((*at, field), f"{what} must be non-negative")
    yield from names.duration((*at, "idleTimeout"), http.idle_timeout)
    if http.h2_upgrade_policy == "UPGRADE" and http.use_client_protocol:
        message = "use client protocol must not be true when H2UpgradePolicy is UPGRADE"
        yield conflict((*at, "useClientProtocol"), message)
    keep_alive = http.http2_keep_alive
    if keep_alive is not None:
        for field, time in (("interval", keep_alive.interval), ("timeout", keep_alive.timeout)):
            if time is None:
                yield required((*at, "http2KeepAlive", field), f"http2 keepalive {field} is required")
            yield from names.duration((*at, "http2KeepAlive", field), time)


def _balancer(path: Path, balancer: istio.LoadBalancerSettings) -> Iterator[FieldError]:
    if balancer.consistent_hash is not None:
        yield from _hash((*path, "consistentHash"), balancer.consistent_hash)
    yield from names.duration((*path, "warmupDurationSecs"), balancer.warmup_duration_secs)
    warmup, at = balancer.warmup, (*path, "warmup")
    if warmup is not None:
        yield from names.duration((*at, "duration"), warmup.duration)
        if warmup.minimum_percent is not None and not 0 <= warmup.minimum_percent <= 100:
            message = "minimumPercent value should be less than or equal to 100"
            yield problem((*at, "minimumPercent"), message)
        if warmup.aggression is not None and warmup.aggression < 1:
            message = "should be greater than or equal to 1"
            yield field_errors.invalid((*at, "aggression"), warmup.aggression, message)
    if balancer.locality_lb_setting is not None:
        yield from istio_locality.refusals((*path, "localityLbSetting"), balancer.locality_lb_setting)


def _hash(path: Path, hash: istio.ConsistentHash) -> Iterator[FieldError]:
    cookie = hash.http_cookie
    if cookie is not None:
        if not cookie.name:
            yield required((*path, "httpCookie", "name"), "name required for HttpCookie")
        yield from _cookie_text((*path, "httpCookie", "name"), cookie.name, _COOKIE_NAME)
        yield from _cookie_text((*path, "httpCookie", "path"), cookie.path, _COOKIE_VALUE)
        for index, attribute in enumerate(cookie.attributes):
            at = (*path, "httpCookie", "attributes", index)
            yield from _cookie_text((*at, "name"), attribute.name, _COOKIE_NAME)
            yield from _cookie_text((*at, "value"), attribute.value, _COOKIE_VALUE)
        if cookie.ttl is not None and cookie.ttl not in ("0s", "0"):  # a session cookie
            yield from names.duration((*path, "httpCookie", "ttl"), cookie.ttl)
    if hash.minimum_ring_size and (hash.maglev is not None or hash.ring_hash is not None):
        message = "only one of MinimumRingSize or Maglev/Ringhash can be specified"
        yield conflict((*path, "minimumRingSize"), message)
    if hash.maglev is not None:
        size, at = hash.maglev.table_size, (*path, "maglev", "tableSize")
        if size == 0:
            yield required(at, "tableSize must be set for maglev")
        elif size >= _MAX_TABLE:
            yield problem(at, f"tableSize must be less than {_MAX_TABLE} for maglev")
        elif not _is_prime(size):
            yield problem(at, "tableSize must be a prime number for maglev")


def _cookie_text(path: Path, text: str, allowed: re.Pattern[str]) -> Iterator[FieldError]:
    """Istio accepts any text, and Envoy writes it into Set-Cookie unchanged: a line break would start another
    header."""
    if text and not allowed.fullmatch(text):
        yield problem(path, f"'{visible(text)}' cannot be part of a Set-Cookie header")


# RFC 6265, section 4.1.1: a token, and an attribute's value.
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")


def _is_prime(number: int) -> bool:
    return number > 0 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _tls(path: Path, tls: istio.ClientTLSSettings) -> Iterator[FieldError]:
    if tls.insecure_skip_verify and tls.mode in ("SIMPLE", "MUTUAL"):
        # With MUTUAL, credentialName may hold the client's certificate alone.
        name = tls.credential_name if tls.mode == "SIMPLE" else ""
        if tls.ca_certificates or name or tls.subject_alt_names:
            fields = ("CaCertificates", *(["CredentialName"] if tls.mode == "SIMPLE" else []), "SubjectAltNames")
            message = f"cannot specify {' or '.join(fields)} when InsecureSkipVerify is set true"
            yield conflict((*path, "insecureSkipVerify"), message)
    files = tls.client_certificate or tls.private_key or tls.ca_certificates or tls.ca_crl
    if tls.mode in ("SIMPLE", "MUTUAL") and tls.credential_name:
        if files:
            message = "cannot specify client certificates or CA certificate or CA CRL If credentialName is set"
            yield conflict((*path, "credentialName"), message)
        return
    if tls.mode == "MUTUAL":
        if not tls.client_certificate:
            yield required((*path, "clientCertificate"), "client certificate required for mutual tls")
        if not tls.private_key:
            yield required((*path, "privateKey"), "private key required for mutual tls")
