"""Attributes of load balancers, listeners and target groups: one table each of names, defaults and ranges.

Source: ELBv2 API Reference, LoadBalancerAttribute, ListenerAttribute, TargetGroupAttribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.embedded.aws.protocol import Refusal
from lockgate.loadbalancer.network import PROTOCOLS

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Attribute:
    """With `default` None, the attribute is not returned until it is set."""

    check: Check
    default: str | None = None


def one_of(*values: str) -> Check:
    return lambda value: value in values


def whole(minimum: int, maximum: int, *also: str) -> Check:
    return lambda value: (
        value in also or (re.fullmatch("[0-9]{1,9}", value) is not None and minimum <= int(value) <= maximum)
    )


def text(pattern: str = r"[\x20-\x7e]{0,1024}") -> Check:
    return lambda value: re.fullmatch(pattern, value) is not None


SWITCH = one_of("true", "false")
BUCKET = text(
    r"|[A-Za-z0-9][A-Za-z0-9._-]{2,254}"
)  # S3 user guide, "Bucket naming rules", including names from before 2018
PREFIX = text(
    r"(?!/)(?!(.*/)?\.\.?(/|$))[\x20-\x7e]{0,1024}"
)  # buckets are folders here: no prefix may leave its folder
HEADER_NAME = text(r"[A-Za-z0-9-]{0,40}")

LOAD_BALANCER: dict[str, Attribute] = {
    "access_logs.s3.enabled": Attribute(SWITCH, "false"),
    "access_logs.s3.bucket": Attribute(BUCKET, ""),
    "access_logs.s3.prefix": Attribute(PREFIX, ""),
    "connection_logs.s3.enabled": Attribute(SWITCH, "false"),
    "connection_logs.s3.bucket": Attribute(BUCKET, ""),
    "connection_logs.s3.prefix": Attribute(PREFIX, ""),
    "health_check_logs.s3.enabled": Attribute(SWITCH, "false"),
    "health_check_logs.s3.bucket": Attribute(BUCKET, ""),
    "health_check_logs.s3.prefix": Attribute(PREFIX, ""),
    "client_keep_alive.seconds": Attribute(whole(60, 604800), "3600"),
    "deletion_protection.enabled": Attribute(SWITCH, "false"),
    "idle_timeout.timeout_seconds": Attribute(whole(1, 4000), "60"),
    "ipv6.deny_all_igw_traffic": Attribute(SWITCH, "false"),
    "load_balancing.cross_zone.enabled": Attribute(one_of("true"), "true"),
    "routing.http.desync_mitigation_mode": Attribute(one_of("monitor", "defensive", "strictest"), "defensive"),
    "routing.http.drop_invalid_header_fields.enabled": Attribute(SWITCH, "false"),
    "routing.http.preserve_host_header.enabled": Attribute(SWITCH, "false"),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": Attribute(SWITCH, "false"),
    "routing.http.xff_client_port.enabled": Attribute(SWITCH, "false"),
    "routing.http.xff_header_processing.mode": Attribute(one_of("append", "preserve", "remove"), "append"),
    "routing.http2.enabled": Attribute(SWITCH, "true"),
    "waf.fail_open.enabled": Attribute(SWITCH, "false"),
    "zonal_shift.config.enabled": Attribute(SWITCH, "false"),
}

NETWORK_LOAD_BALANCER: dict[str, Attribute] = {
    "access_logs.s3.enabled": Attribute(SWITCH, "false"),
    "access_logs.s3.bucket": Attribute(BUCKET, ""),
    "access_logs.s3.prefix": Attribute(PREFIX, ""),
    "deletion_protection.enabled": Attribute(SWITCH, "false"),
    "dns_record.client_routing_policy": Attribute(
        one_of("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"),
        "any_availability_zone",
    ),
    "ipv6.deny_all_igw_traffic": Attribute(SWITCH, "false"),
    "load_balancing.cross_zone.enabled": Attribute(SWITCH, "false"),
    "secondary_ips.auto_assigned.per_subnet": Attribute(whole(0, 7), "0"),
    "zonal_shift.config.enabled": Attribute(SWITCH, "false"),
}

_MTLS_HEADERS = (
    "mtls_clientcert_serial_number",
    "mtls_clientcert_issuer",
    "mtls_clientcert_subject",
    "mtls_clientcert_validity",
    "mtls_clientcert_leaf",
    "mtls_clientcert",
    "tls_version",
    "tls_cipher_suite",
)
_RESPONSE_HEADERS = (
    "access_control_allow_origin",
    "access_control_allow_methods",
    "access_control_allow_headers",
    "access_control_expose_headers",
    "access_control_max_age",
    "content_security_policy",
    "strict_transport_security",
)

LISTENER: dict[str, Attribute] = {
    "routing.http.response.server.enabled": Attribute(SWITCH, "true"),
    **{f"routing.http.response.{name}.header_value": Attribute(text(), "") for name in _RESPONSE_HEADERS},
    "routing.http.response.access_control_allow_credentials.header_value": Attribute(one_of("", "true"), ""),
    "routing.http.response.x_content_type_options.header_value": Attribute(one_of("", "nosniff"), ""),
    "routing.http.response.x_frame_options.header_value": Attribute(one_of("", "DENY", "SAMEORIGIN"), ""),
}
HTTPS_LISTENER: dict[str, Attribute] = LISTENER | {
    f"routing.http.request.x_amzn_{name}.header_name": Attribute(HEADER_NAME, "") for name in _MTLS_HEADERS
}

TCP_LISTENER: dict[str, Attribute] = {"tcp.idle_timeout.seconds": Attribute(whole(60, 6000), "350")}
LISTENERS: dict[str, dict[str, Attribute]] = {
    "HTTP": LISTENER,
    "HTTPS": HTTPS_LISTENER,
    "TCP": TCP_LISTENER,
    "TLS": {},
    "UDP": {},
    "TCP_UDP": {},
}

_FOR_ALL: dict[str, Attribute] = {
    "stickiness.enabled": Attribute(SWITCH, "false"),
    "load_balancing.cross_zone.enabled": Attribute(
        one_of("true", "false", "use_load_balancer_configuration"), "use_load_balancer_configuration"
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute(whole(1, 1000, "off"), "1"),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute(whole(1, 100, "off"), "off"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute(whole(1, 1000), "1"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute(
        whole(1, 100, "off"), "off"
    ),
}
TARGET_GROUP: dict[str, Attribute] = _FOR_ALL | {
    "deregistration_delay.timeout_seconds": Attribute(whole(0, 3600), "300"),
    "stickiness.type": Attribute(one_of("lb_cookie", "app_cookie"), "lb_cookie"),
    "stickiness.lb_cookie.duration_seconds": Attribute(whole(1, 604800), "86400"),
    "stickiness.app_cookie.duration_seconds": Attribute(whole(1, 604800), "86400"),
    "stickiness.app_cookie.cookie_name": Attribute(text(r"(?!AWSALB)[!#$%&'*+\-.^_`|~0-9A-Za-z]{0,256}"), ""),
    "load_balancing.algorithm.type": Attribute(
        one_of("round_robin", "least_outstanding_requests", "weighted_random"), "round_robin"
    ),
    "load_balancing.algorithm.anomaly_mitigation": Attribute(one_of("on", "off"), "off"),
    "slow_start.duration_seconds": Attribute(lambda value: value == "0" or whole(30, 900)(value), "0"),
}
LAMBDA_TARGET_GROUP: dict[str, Attribute] = _FOR_ALL | {
    "lambda.multi_value_headers.enabled": Attribute(SWITCH, "false"),
}
# Source: "Edit target group attributes for your Network Load Balancer".
_NETWORK_TARGET_GROUP: dict[str, Attribute] = _FOR_ALL | {
    "deregistration_delay.timeout_seconds": Attribute(whole(0, 3600), "300"),
    "deregistration_delay.connection_termination.enabled": Attribute(SWITCH, "false"),
    "proxy_protocol_v2.enabled": Attribute(SWITCH, "false"),
    "stickiness.type": Attribute(one_of("source_ip"), "source_ip"),
    "target_health_state.unhealthy.connection_termination.enabled": Attribute(SWITCH, "true"),
    "target_health_state.unhealthy.draining_interval_seconds": Attribute(whole(0, 360000), "0"),
}
NETWORK_TARGET_GROUPS: dict[str, dict[str, Attribute]] = {  # by target type
    "instance": _NETWORK_TARGET_GROUP | {"preserve_client_ip.enabled": Attribute(SWITCH, "true")},
    "ip": _NETWORK_TARGET_GROUP | {"preserve_client_ip.enabled": Attribute(SWITCH, "false")},
    "alb": _NETWORK_TARGET_GROUP | {"preserve_client_ip.enabled": Attribute(one_of("true"), "true")},
}


def of_target_group(protocol: str | None, target_type: str) -> Mapping[str, Attribute]:
    if protocol in ("UDP", "TCP_UDP"):  # the client's address cannot be hidden
        return NETWORK_TARGET_GROUPS[target_type] | {"preserve_client_ip.enabled": Attribute(one_of("true"), "true")}
    if protocol in PROTOCOLS:
        return NETWORK_TARGET_GROUPS[target_type]
    return LAMBDA_TARGET_GROUP if target_type == "lambda" else TARGET_GROUP


def defaults(table: Mapping[str, Attribute]) -> dict[str, str]:
    return {key: attribute.default for key, attribute in table.items() if attribute.default is not None}


def changed(
    table: Mapping[str, Attribute], current: Mapping[str, str], given: Iterable[Mapping[str, str]], of: str
) -> dict[str, str]:
    """`current`, updated with the given attributes. Raises `Refusal` for an unknown key or a value out of range."""
    merged = dict(current)
    seen: set[str] = set()
    for item in given:
        key, value = item.get("Key", ""), item.get("Value", "")
        if key not in table:
            raise Refusal("ValidationError", f"{of} attribute key '{key}' is not recognized")
        if key in seen:
            raise Refusal("ValidationError", f"{of} attribute key '{key}' was specified more than once")
        if not table[key].check(value):
            raise Refusal("ValidationError", f"{of} attribute value '{value}' is not valid for the key '{key}'")
        seen.add(key)
        merged[key] = value
    return merged


def shown(attributes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in attributes.items()]
