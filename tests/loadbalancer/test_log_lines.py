"""Lines of the three logs, from records; `tests/xds` has those of real requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lockgate.loadbalancer import access_log, access_log_fields, connection_log, health_check_log, network_log
from lockgate.loadbalancer.access_log import entry_of, object_key
from lockgate.loadbalancer.health import Answered, Connected, Failed, Outcome, TimedOut
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    FixedResponse,
    Forward,
    HealthCheck,
    Listener,
    LoadBalancer,
    Protocol,
    ProtocolVersion,
    Redirect,
    Rule,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/0123456789abcdef"
START = datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)
FORWARD = Forward((WeightedTargetGroup("arn:g"),))
LOGIN = AuthenticateCognito("arn:pool", "client", "shop")
GROUP = TargetGroup("arn:g", "web", 80, "HTTP", "HTTP1", "ip", health_check=HealthCheck())
BALANCER = LoadBalancer(
    "edge",
    (
        Listener(80, "HTTP", (FORWARD,), (Rule(1, (), (Redirect("HTTP_301"),)), Rule(2, (), (LOGIN, FORWARD)))),
        Listener(443, "HTTPS", (FixedResponse("404"),)),
    ),
    {"arn:g": GROUP, "arn:f": replace(GROUP, reference="arn:f", target_type="lambda")},
    arn=ARN,
)
RECORD = {
    "start": "2026-01-02T03:04:05.006Z",
    "client": "192.0.2.1:4000",
    "method": "GET",
    "host": "shop.example",
    "path": "/a?b=c",
    "protocol": "HTTP/1.1",
    "status": "200",
    "details": "via_upstream",
    "listener_port": "80",
    "rule": "0",
    "target": "10.0.0.1:8080",
    "cluster": "g",
    "sent": "1",
    "first": "21",
    "duration": "25",
    "received": "120",
    "sent_bytes": "300",
    "user_agent": 'curl "8"',
    "trace_id": "Root=1-2-3",
    "connection": "255",
}
FIELDS = [
    "type",
    "time",
    "elb",
    "client",
    "target",
    "sent",
    "first",
    "whole",
    "status",
    "target_status",
    "received",
    "sent_bytes",
    "request",
    "user_agent",
    "cipher",
    "tls",
    "group",
    "trace",
    "server_name",
    "certificate",
    "rule",
    "start",
    "actions",
    "location",
    "error",
    "targets",
    "target_statuses",
    "class",
    "reason",
    "connection",
    "host",
    "url",
    "transform",
    "node",
]


def fields(**changes: str) -> dict[str, str]:
    """The fields of a request's line by name, without quotes."""
    entry = entry_of({**RECORD, **changes}, {"g": "arn:g", "f": "arn:f"}, changes.get("certificate", ""))
    text = access_log.line(entry, BALANCER, "10.9.9.9")
    parts, quoted = [""], False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == " " and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return dict(zip(FIELDS, parts, strict=True))


def test_a_forwarded_request() -> None:
    assert fields() == {
        "type": "http",
        "time": "2026-01-02T03:04:05.031000Z",
        "elb": "app/edge/0123456789abcdef",
        "client": "192.0.2.1:4000",
        "target": "10.0.0.1:8080",
        "sent": "0.001",
        "first": "0.020",
        "whole": "0.004",
        "status": "200",
        "target_status": "200",
        "received": "120",
        "sent_bytes": "300",
        "request": "GET http://shop.example:80/a?b=c HTTP/1.1",
        "user_agent": r"curl \x228\x22",
        "cipher": "-",
        "tls": "-",
        "group": "arn:g",
        "trace": "Root=1-2-3",
        "server_name": "-",
        "certificate": "-",
        "rule": "0",
        "start": "2026-01-02T03:04:05.006000Z",
        "actions": "forward",
        "location": "-",
        "error": "-",
        "targets": "10.0.0.1:8080",
        "target_statuses": "200",
        "class": "-",
        "reason": "-",
        "connection": "TID_00000000000000ff",
        "host": "-",
        "url": "-",
        "transform": "-",
        "node": "10.9.9.9",
    }


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"listener_port": "443", "host": "shop.example:443"}, {"type": "https", "actions": "fixed-response"}),
        ({"listener_port": "443", "upgrade": "WebSocket"}, {"type": "wss"}),
        ({"upgrade": "websocket"}, {"type": "ws"}),
        ({"protocol": "HTTP/2"}, {"type": "h2", "request": "GET http://shop.example:80/a?b=c HTTP/2.0"}),
        ({"protocol": "HTTP/2", "content_type": "application/grpc+proto"}, {"type": "grpcs"}),
        (
            {"rule": "1", "details": "direct_response", "location": "https://b"},
            {"actions": "redirect", "location": "https://b"},
        ),
        ({"location": "/from-target"}, {"location": "-"}),
        ({"rule": "2"}, {"actions": "authenticate,forward"}),
        ({"rule": "9"}, {"actions": "-"}),
        ({"rule": "-", "listener_port": "81"}, {"actions": "-", "rule": "-1"}),
        ({"rule": "2", "details": "ext_authz_denied", "target": "-"}, {"actions": "authenticate", "sent": "-1"}),
        ({"waf": "allow"}, {"actions": "waf,forward"}),
        ({"waf": "block", "details": "ext_authz_denied"}, {"actions": "waf", "rule": "0"}),
        (
            {"waf": "-", "waf_microseconds": "9", "details": "ext_authz_error"},
            {"actions": "waf-failed", "error": "WAFConnectionError"},
        ),
        (
            {"waf": "-", "waf_of_grpc_microseconds": "9", "waf_of_grpc_received": "2", "waf_fails_open": "true"},
            {"error": "WAFServiceError", "actions": "waf-failed,forward"},
        ),
        ({"waf": "-", "waf_microseconds": "5000000"}, {"error": "WAFResponseReadTimeout"}),
        ({"waf": "-"}, {"error": "-", "actions": "forward"}),
        ({"details": "lua_response", "status": "414", "cluster": "-"}, {"rule": "-1", "group": "-", "status": "414"}),
        ({"status": "0", "flags": "DC", "first": "-"}, {"status": "460", "first": "-1"}),
        ({"status": "0", "protocol": "HTTP/2"}, {"status": "000"}),
        ({"sent": "-"}, {"sent": "-1", "first": "-1", "whole": "-1"}),
        ({"cluster": "f", "target": "lambda:80"}, {"target": "-", "targets": "-", "group": "arn:f"}),
        ({"function_failure": "LambdaInvalidResponse"}, {"error": "LambdaInvalidResponse", "target_status": "-"}),
        ({"details": "http1.invalid_characters"}, {"class": "Severe", "reason": "BadHeader"}),
        ({"class": "Ambiguous", "class_reason": "SuspiciousHeader"}, {"class": "Ambiguous"}),
        (
            {"host_before": "shop.example", "host_made": "new.example"},
            {"host": "new.example", "transform": "TransformSuccess"},
        ),
        (
            {"url_before": "/a", "url_made": "/b", "transform_failure": "TransformInvalidResult"},
            {"url": "/b", "transform": "TransformInvalidResult"},
        ),
        (
            {"certificate": "arn:c", "server_name": "shop.example"},
            {"certificate": "arn:c", "server_name": "shop.example"},
        ),
        ({"user_agent": "ü\x07"}, {"user_agent": r"\xfc\x07"}),
    ],
)
def test_other_requests(record: dict[str, str], found: dict[str, str]) -> None:
    line = fields(**record)
    assert {name: line[name] for name in found} == found


@pytest.mark.parametrize(
    ("log", "prefix", "start", "kind"),
    [
        ("access_logs", "team", "team/AWSLogs", ""),
        ("connection_logs", "", "AWSLogs", "conn_log."),
        ("health_check_logs", "", "AWSLogs", "health_check_log_"),
    ],
)
def test_the_object_of_a_day(log: str, prefix: str, start: str, kind: str) -> None:
    balancer = replace(BALANCER, attributes={f"{log}.s3.prefix": prefix})
    assert object_key(balancer, START, "10.9.9.9", log) == (
        f"{start}/123456789012/elasticloadbalancing/eu-west-1/2026/01/02/{kind}123456789012_elasticloadbalancing_"
        "eu-west-1_app.edge.0123456789abcdef_20260102T0000Z_10.9.9.9_local.log"
    )


CONNECTION = {"start": "2026-01-02T03:04:05Z", "client": "[2001:db8::1]:4000", "listener_port": "443"}
TLS = {"tls": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "handshake": "12", "connection": "16", "group": "P-256"}


SUBJECT = {"subject": 'CN="a"', "not_before": "1", "not_after": "2", "serial": "0af", "group": "X25519MLKEM768"}
HANDSHAKE = "TLSv1.3 TLS_AES_128_GCM_SHA256 0.012"


@pytest.mark.parametrize(
    ("record", "secure", "line"),
    [
        ({}, False, '- - - "-" - - - - -'),
        (TLS, True, f'{HANDSHAKE} "-" - - Success TID_0000000000000010 secp256r1'),
        (
            TLS | SUBJECT,
            True,
            f'{HANDSHAKE} "CN=\\x22a\\x22" NotBefore=1;NotAfter=2 0AF Success TID_0000000000000010 X25519MLKEM768',
        ),
    ],
)
def test_connections(record: dict[str, str], secure: bool, line: str) -> None:
    found = connection_log.line({**CONNECTION, **record}, secure=secure)
    assert found == f"2026-01-02T03:04:05Z 2001:db8::1 4000 443 {line}"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        ("TLS_error:CERTIFICATE_VERIFY_FAILED:certificate_has_expired", "Failed:ClientCertExpired"),
        ("unable to get local issuer certificate", "Failed:ClientCertUntrusted"),
        ("TLS_error:CERTIFICATE_VERIFY_FAILED", "Failed:ClientCertInvalid"),
        ("-", "Failed:UnmappedConnectionError"),
    ],
)
def test_connections_without_a_handshake(failure: str, status: str) -> None:
    line = connection_log.line({**CONNECTION, "failure": failure}, secure=True)
    assert line.split(" ")[10] == status


@pytest.mark.parametrize(
    ("version", "protocol", "outcome", "kind", "says"),
    [
        ("HTTP1", "HTTP", Answered(200), "http", "PASS 200 -"),
        ("HTTP1", "HTTPS", Answered(404), "https", "FAIL 404 ResponseCodeMismatch"),
        ("HTTP2", "HTTP", Answered(503), "h2", "FAIL 503 TargetError"),
        ("GRPC", "HTTP", Answered(13), "grpc", "FAIL 13 GRPCUnexpectedStatus"),
        ("HTTP1", "HTTP", TimedOut(), "http", "FAIL - TimedOut"),
        ("HTTP1", "HTTP", Failed(), "http", "FAIL - ConnectionReset"),
        ("HTTP1", "TCP", Connected(), "tcp", "PASS - -"),
    ],
)
def test_health_checks(version: ProtocolVersion, protocol: Protocol, outcome: Outcome, kind: str, says: str) -> None:
    check = HealthCheck(protocol=protocol, matcher="12" if version == "GRPC" else "200")
    group = replace(GROUP, protocol_version=version, health_check=check)
    probed = health_check_log.Probed(group, "10.0.0.1:8080", START, 0.001, outcome)
    line = health_check_log.line(probed, BALANCER, "10.9.9.9")
    assert line == (
        f"{kind} 2026-01-02T03:04:05.006000Z 0.001000000 10.0.0.1:8080 web {says} app/edge/0123456789abcdef 10.9.9.9"
    )


def test_a_line_of_a_network_load_balancer() -> None:
    arn = ARN.replace("/app/", "/net/")
    listener = NetworkListener(443, FORWARD, "TLS", ("arn:c",), arn=arn.replace(":loadbalancer/", ":listener/") + "/l1")
    balancer = NetworkLoadBalancer("edge", (listener,), {"arn:g": GROUP}, arn=arn)
    record = {
        "start": "2026-01-02T03:04:05.006Z",
        "client": "192.0.2.1:4000",
        "listener_port": "443",
        "duration": "2500",
        "handshake": "9",
        "received": "98",
        "sent_bytes": "246",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "tls": "TLSv1.3",
        "server_name": "shop.example",
    }
    assert network_log.line(record, balancer, "127.0.0.9", "arn:c").split() == [
        *("tls", "2.0", "2026-01-02T03:04:07", "net/edge/0123456789abcdef", "l1", "192.0.2.1:4000", "127.0.0.9:443"),
        *("2500", "9", "98", "246", "-", "arn:c", "-", "TLS_AES_128_GCM_SHA256", "tlsv13", "-", "shop.example"),
        *("-", "-", "-", "2026-01-02T03:04:05"),
    ]
    failed = {**record, "duration": "-", "cipher": "-", "tls": "-", "server_name": "-", "handshake": ""}
    assert " - - 98 246 - - - - - - - - - - " in network_log.line(failed, balancer, "127.0.0.9", "")


def test_a_line_is_read_again() -> None:
    found = access_log_fields.fields(access_log.line(entry_of(RECORD, {"g": "arn:g"}), BALANCER, "127.0.0.1"))
    assert (found["elb"], found["target"], found["request"]) == (
        "app/edge/0123456789abcdef",
        "10.0.0.1:8080",
        "GET http://shop.example:80/a?b=c HTTP/1.1",
    )
    assert (found["matched_rule_priority"], found["error_reason"]) == ("0", "-")
    assert found["conn_trace_id"].startswith("TID_")
