"""Attributes of load balancers, listeners and target groups that change what a client or a backend sees.

Source: "Edit attributes for your Application Load Balancer" and "Edit target group attributes".
"""

from __future__ import annotations

from collections.abc import Mapping

DEFAULTS: Mapping[str, str] = {
    "client_keep_alive.seconds": "3600",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.response.server.enabled": "true",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.type": "lb_cookie",
    "tcp.idle_timeout.seconds": "350",
    "waf.fail_open.enabled": "false",
}
_MATTER = tuple(dict.fromkeys(name.partition(".")[0] + "." for name in DEFAULTS))


def effective(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes that matter and differ from their defaults; those of stickiness only where it is enabled."""
    sticky = attributes.get("stickiness.enabled") == "true"
    return {
        name: value
        for name, value in sorted(attributes.items())
        if value not in ("", DEFAULTS.get(name))
        and name.startswith(_MATTER)
        and (sticky or not name.startswith("stickiness."))
        and not name.startswith("load_balancing.cross_zone")
    }
