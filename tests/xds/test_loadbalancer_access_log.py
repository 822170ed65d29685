"""A load balancer's access log, from real requests to AWS's lines."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from alb_lab import Lab, certificate, laboratory

from lockgate.controllers.elastic_load_balancing.access_logs import AccessLogs
from lockgate.loadbalancer.model import (
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    PathPattern,
    Redirect,
    Rewrite,
    Rule,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Endpoint, TrustStore
from lockgate.xds.watched import RUNTIME_KEY

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
WEB = TargetGroup(f"{ARN}targetgroup/web/0123456789abcdef", "web", 80)
TO_WEB = Forward((WeightedTargetGroup(WEB.reference),))
FIELDS = [
    "type",
    "time",
    "elb",
    "client",
    "target",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "targets",
    "target_status_codes",
    "classification",
    "classification_reason",
    "conn_trace_id",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
    "ip_address",
]


def balancer(**attributes: str) -> LoadBalancer:
    rules = (
        Rule(7, (PathPattern(("/old",)),), (Redirect("HTTP_301", protocol="HTTPS", port="443"),)),
        Rule(9, (PathPattern(("/web*",)),), (TO_WEB,)),
        Rule(
            11,
            (PathPattern(("/from/*",)),),
            (TO_WEB,),
            (Rewrite("url", "^/from", "/to"), Rewrite("host-header", r"^a\.", "b.")),
        ),
        Rule(12, (PathPattern(("/bad",)),), (TO_WEB,), (Rewrite("url", "^/bad", "nowhere"),)),
    )
    return LoadBalancer(
        "lab",
        (Listener(80, "HTTP", (FixedResponse("404"),), rules),),
        {WEB.reference: WEB},
        arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
        dns_name="lab.example",
        attributes={name.replace("__", "."): value for name, value in attributes.items()},
    )


def test_requests_become_lines_where_s3_would_have_them(tmp_path: Path) -> None:
    one = balancer(access_logs__s3__enabled="true", access_logs__s3__bucket="logs", access_logs__s3__prefix="edge")
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.serve(one)
        lab.ask(one, 'GET /web?x=1 HTTP/1.1\r\nHost: a.example.com\r\nUser-Agent: curl "8"\r\n\r\n')
        lab.ask(one, "GET /old HTTP/1.1\r\nHost: a.example.com:80\r\n\r\n")
        lab.ask(one, "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        lab.ask(one, "GET / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: x\r\n\r\n")
        lab.ask(one, "GET /from/x HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        lab.ask(one, "GET /from/x HTTP/1.1\r\nHost: c.example.com\r\n\r\n")
        lab.ask(one, "GET /bad HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        lab.ask(one, f"GET /web HTTP/1.1\r\nHost: a.example.com\r\nCookie: {'x' * 17000}\r\n\r\n")
        lines = written(lab, logs, tmp_path, 8)
    (file,) = tmp_path.rglob("*.log")
    day = r"\d{4}/\d\d/\d\d"
    folder = f"logs/edge/AWSLogs/123456789012/elasticloadbalancing/us-east-1/{day}"
    name = r"123456789012_elasticloadbalancing_us-east-1_app\.lab\.0123456789abcdef_\d{8}T0000Z_127\.0\.0\.1_local\.log"
    assert re.fullmatch(f"{folder}/{name}", file.relative_to(tmp_path).as_posix())

    web, old, default, bad, both, url, failed, long = (
        dict(zip(FIELDS, shlex.split(each), strict=True)) for each in lines
    )
    assert web["type"] == "http"
    assert web["elb"] == "app/lab/0123456789abcdef"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", web["client"])
    assert web["targets"] == web["target"]
    assert (web["elb_status_code"], web["target_status_code"]) == ("200", "200")
    assert web["request"] == "GET http://a.example.com:80/web?x=1 HTTP/1.1"
    assert web["user_agent"] == r"curl \x228\x22"
    assert (web["target_group_arn"], web["matched_rule_priority"]) == (WEB.reference, "9")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", web["trace_id"])
    assert re.fullmatch(r"\d+\.\d{3}", web["request_processing_time"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", web["request_creation_time"])
    assert (old["actions_executed"], old["redirect_url"]) == ("redirect", "https://a.example.com:443/old")
    assert (old["elb_status_code"], old["target_status_code"], old["target"]) == ("301", "-", "-")
    assert (default["matched_rule_priority"], default["actions_executed"]) == ("0", "fixed-response")
    assert default["request_processing_time"] == "-1"
    assert (bad["elb_status_code"], bad["matched_rule_priority"]) == ("400", "-1")
    assert (long["elb_status_code"], long["matched_rule_priority"], long["actions_executed"]) == ("400", "-1", "-")
    assert (long["request"], long["target_group_arn"]) == ("GET http://a.example.com:80/web HTTP/1.1", "-")
    transform = FIELDS[-4:-1]
    assert [web[each] for each in transform] == ["-", "-", "-"]
    assert both["request"] == "GET http://a.example.com:80/from/x HTTP/1.1"
    assert [both[each] for each in transform] == ["b.example.com", "/to/x", "TransformSuccess"]
    assert [url[each] for each in transform] == ["-", "/to/x", "TransformSuccess"]
    assert [failed[each] for each in transform] == ["-", "-", "TransformInvalidPath"]
    assert (failed["elb_status_code"], failed["request"]) == ("500", "GET http://a.example.com:80/bad HTTP/1.1")
    assert {each["ip_address"] for each in (web, old, bad)} == {"127.0.0.1"}


def written(lab: Lab, logs: AccessLogs, folder: Path, count: int) -> list[str]:
    """The lines of the one log, once there are `count` records: Envoy writes one when it has seen the end."""
    for _ in range(1000):
        lab.flush_records()
        if logs.records.read_bytes().count(b"\n") == count:
            break
    logs.collect()
    return [each for file in folder.rglob("*.log") for each in file.read_text().splitlines()]


def test_the_log_has_the_presented_certificate(tmp_path: Path) -> None:
    arns = tuple(f"{ARN}certificate/{name}" for name in ("a.example.com", "*.example.com", "b.example.com"))
    listener = Listener(443, "HTTPS", (FixedResponse("200"),), certificates=arns)
    one = replace(balancer(access_logs__s3__enabled="true", access_logs__s3__bucket="logs"), listeners=(listener,))
    with laboratory() as lab:
        logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")], lambda arn: lab.certificates[arn].chain)
        lab.records = str(logs.records)
        lab.serve(one)
        for name in ("b.example.com", "c.example.com", "elsewhere.org", ""):
            lab.ask(one, "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", port=443, server_name=name)
        lines = written(lab, logs, tmp_path, 4)
    entries = [dict(zip(FIELDS, shlex.split(each), strict=True))["chosen_cert_arn"] for each in lines]
    assert entries == [arns[2], arns[1], arns[0], arns[0]]


CLASSES = {
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx": ("Ambiguous", "UndefinedContentLengthSemantics"),
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n": ("Acceptable", "GetHeadZeroContentLength"),
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": (
        "Ambiguous",
        "UndefinedTransferEncodingSemantics",
    ),
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n": ("Severe", "BadTransferEncoding"),
    "GET / HTTP/1.1\r\nHost: a\r\nx: a\x01b\r\n\r\n": ("Severe", "BadHeader"),
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx": ("-", "-"),
}
STRICT_CLASSES = {
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": (
        "Ambiguous",
        "BothTeClPresent",
    ),
    "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n": ("Ambiguous", "SuspiciousHeader"),
    "GET / HTTP/1.1\r\nHost: a\r\nx: \xe9\r\n\r\n": ("Acceptable", "NonCompliantHeader"),
}


@pytest.mark.parametrize("mode", ["defensive", "strictest"])
def test_the_log_has_the_desync_classification(tmp_path: Path, mode: str) -> None:
    kinds = CLASSES if mode == "defensive" else STRICT_CLASSES
    one = balancer(access_logs__s3__enabled="true", routing__http__desync_mitigation_mode=mode)
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.serve(one)
        statuses = [lab.ask(one, request).status for request in kinds]
        lines = written(lab, logs, tmp_path, len(kinds))
    entries = [dict(zip(FIELDS, shlex.split(each), strict=True)) for each in lines]
    assert [(each["classification"], each["classification_reason"]) for each in entries] == list(kinds.values())
    assert [each["elb_status_code"] for each in entries] == [str(status) for status in statuses]
    assert set(statuses) == ({400} if mode == "strictest" else {404, 501, 400})


def test_a_stream_that_is_ended_without_an_answer_is_000(tmp_path: Path) -> None:
    import httpx

    listener = Listener(443, "HTTPS", (FixedResponse("200"),), certificates=(f"{ARN}certificate/a.example.com",))
    one = replace(balancer(access_logs__s3__enabled="true"), listeners=(listener,))
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.serve(one)

        async def too_much() -> None:
            headers = {f"x-{at}": "x" * 14000 for at in range(5)}
            async with httpx.AsyncClient(http2=True, verify=False) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(f"https://127.0.0.1:{lab.port(one, 443)}/", headers=headers)

        lab.run(too_much())
        (line,) = written(lab, logs, tmp_path, 1)
    entries = dict(zip(FIELDS, shlex.split(line), strict=True))
    assert (entries["type"], entries["elb_status_code"], entries["target_status_code"]) == ("h2", "000", "-")


def test_a_client_that_leaves_before_the_answer_is_460(tmp_path: Path) -> None:
    one = balancer(access_logs__s3__enabled="true", access_logs__s3__bucket="logs")
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    heard = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.set()
        await reader.read()

    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.serve(one, {WEB.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(silent)))]})

        async def leave() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
            writer.write(b"GET /web HTTP/1.1\r\nHost: a\r\n\r\n")
            await heard.wait()
            writer.transport.abort()

        lab.run(leave())
        (line,) = written(lab, logs, tmp_path, 1)
    entries = dict(zip(FIELDS, shlex.split(line), strict=True))
    assert (entries["elb_status_code"], entries["target_status_code"]) == ("460", "-")


def test_connections_become_lines_of_the_connection_log(tmp_path: Path) -> None:
    client, untrusted = certificate("client"), certificate("untrusted")
    listeners = (
        Listener(80, "HTTP", (FixedResponse("200"),)),
        Listener(
            443,
            "HTTPS",
            (FixedResponse("200"),),
            certificates=(f"{ARN}certificate/a.example.com",),
            mutual_authentication=MutualAuthentication("verify", "store"),
        ),
    )
    one = replace(balancer(connection_logs__s3__enabled="true", connection_logs__s3__bucket="c"), listeners=listeners)
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    request = "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.trust_stores["store"] = TrustStore(client.chain)
        lab.serve(one)
        assert lab.ask(one, request).status == 200
        assert lab.ask(one, request, port=443, client=client).status == 200
        for unknown in (untrusted, None):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                lab.ask(one, request, port=443, client=unknown)
        lines = written(lab, logs, tmp_path, 4)
    (file,) = tmp_path.rglob("*.log")
    assert file.name.startswith("conn_log.123456789012_elasticloadbalancing_us-east-1_app.lab.0123456789abcdef_")
    plain, accepted, refused, without = (shlex.split(each) for each in lines)
    assert plain[1] == "127.0.0.1"
    assert plain[3:11] == ["80", *["-"] * 7]
    assert accepted[3:5] == ["443", "TLSv1.2"]
    assert re.fullmatch(r"ECDHE-ECDSA-\S+", accepted[5])
    assert re.fullmatch(r"\d+\.\d{3}", accepted[6])
    assert accepted[7] == "CN=client"
    day = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(f"NotBefore={day};NotAfter={day}", accepted[8])
    assert re.fullmatch(r"[0-9A-F]+", accepted[9])
    assert (accepted[10], refused[10]) == ("Success", "Failed:ClientCertUntrusted")
    assert without[10] == "Failed:UnmappedConnectionError"
    assert (plain[12], accepted[12]) == ("-", "x25519")
    assert {len(each) for each in (plain, accepted, refused, without)} == {13}


def test_nothing_is_written_where_the_log_is_off(tmp_path: Path) -> None:
    one = balancer()
    logs = AccessLogs(tmp_path, lambda: [(one, "127.0.0.1")])
    with laboratory() as lab:
        lab.records = str(logs.records)
        lab.serve(one)
        lab.ask(one, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        lab.flush_records()
        logs.collect()
    (watched,) = tmp_path.iterdir()  # Envoy creates the file of `xds.watched`
    assert watched.read_bytes() == b""


def test_requests_are_recorded_for_as_long_as_somebody_watches(tmp_path: Path) -> None:
    one = balancer()
    with laboratory() as lab:
        lab.records = str(tmp_path / "records")
        lab.serve(one)
        lab.ask(one, "GET /unwatched HTTP/1.1\r\nHost: a\r\n\r\n")
        lab.admin("POST", f"/runtime_modify?{RUNTIME_KEY}=100")
        lab.ask(one, "GET /web HTTP/1.1\r\nHost: a\r\n\r\n")
        lab.admin("POST", f"/runtime_modify?{RUNTIME_KEY}=0")
        lab.ask(one, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
        lab.flush_records()
    (record,) = map(json.loads, (tmp_path / "watched-alb.jsonl").read_text().splitlines())
    assert (record["path"], record["rule"], record["status"]) == ("/web", "9", 200)
    assert record["balancer"] == one.arn
