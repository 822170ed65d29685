"""CloudWatch's metrics from a real Envoy's counters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from alb_lab import Answer, Lab, certificate, laboratory, read_request

from lockgate.loadbalancer.model import (
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    PathPattern,
    Redirect,
    Rule,
    TargetGroup,
    TargetState,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Endpoint, TrustStore
from lockgate.xds.loadbalancer.metrics import cloudwatch, exposition, response_times

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
NAMES = ("web", "dead", "empty", "broken", "tls", "sticky")
GROUPS = {name: TargetGroup(f"{ARN}targetgroup/{name}/0123456789abcdef", name, 80) for name in NAMES}
GROUPS["tls"] = replace(GROUPS["tls"], protocol="HTTPS")
GROUPS["sticky"] = replace(GROUPS["sticky"], attributes={"stickiness.enabled": "true"})


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def balancer(**attributes: str) -> LoadBalancer:
    rules = tuple(
        Rule(at, (PathPattern((f"/{name}",)),), (Forward((WeightedTargetGroup(group.reference),)),))
        for at, (name, group) in enumerate(GROUPS.items(), start=1)
    )
    moved = Rule(20, (PathPattern(("/old",)),), (Redirect("HTTP_301", path="/new"),))
    secure = Rule(22, (PathPattern(("/s",)),), (Redirect("HTTP_301", protocol="HTTPS", port="443"),))
    far = Rule(21, (PathPattern(("/far/*",)),), (Redirect("HTTP_301", path="/#{path}/#{path}"),))
    return LoadBalancer(
        "lab",
        (Listener(80, "HTTP", (FixedResponse("404"),), (*rules, moved, far, secure)),),
        {group.reference: group for group in GROUPS.values()},
        arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
        dns_name="lab.example",
        attributes={name.replace("__", "."): value for name, value in attributes.items()},
    )


async def _broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 503 So\r\nContent-Length: 0\r\n\r\n")


async def _no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


def serve(lab: Lab, one: LoadBalancer) -> None:
    ports = {"dead": 1, "broken": lab.run(lab.listen(_broken)), "tls": lab.run(lab.listen(_no_tls))}
    places = {GROUPS[name].reference: [Endpoint("127.0.0.1", port)] for name, port in ports.items()}
    lab.serve(one, {**places, GROUPS["empty"].reference: []})


def ask(lab: Lab, one: LoadBalancer, path: str, *headers: str) -> Answer:
    lines = [f"GET {path} HTTP/1.1", "Host: a", *headers]
    return lab.ask(one, "\r\n".join([*lines, "", ""]))


STATES: Mapping[str, list[TargetState]] = {GROUPS["web"].reference: ["healthy", "unhealthy", "draining"]}


def metrics(lab: Lab, one: LoadBalancer) -> dict[tuple[str, str], int]:
    made = cloudwatch(lab.stats(), [one], lambda reference: STATES.get(reference, []))
    return {(each.name, each.target_group.split("/")[1] if each.target_group else ""): each.value for each in made}


def test_requests_are_counted_under_cloudwatchs_names(lab: Lab) -> None:
    one = balancer(routing__http__drop_invalid_header_fields__enabled="true")
    serve(lab, one)
    for path in ("/web", "/web", "/dead", "/empty", "/broken", "/tls", "/old", "/s", "/", "/far/" + "x" * 5000):
        ask(lab, one, path)
    ask(lab, one, "/web", "Content-Length: 0")
    ask(lab, one, "/web", "a_b: 1")
    lab.ask(one, "no HTTP\r\n\r\n")
    cookie = (ask(lab, one, "/sticky").header("set-cookie") or "").partition(";")[0]
    ask(lab, one, "/sticky", f"Cookie: {cookie}")
    ask(lab, one, "/sticky", "Cookie: AWSALB=nonsense")
    found = metrics(lab, one)
    wanted = {
        ("RequestCount", ""): 10,  # those for which there was a target
        ("HTTP_Redirect_Count", ""): 2,
        ("HTTP_Fixed_Response_Count", ""): 1,
        ("HTTPCode_ELB_3XX_Count", ""): 2,
        ("HTTPCode_ELB_4XX_Count", ""): 2,
        ("HTTPCode_ELB_5XX_Count", ""): 4,
        ("HTTPCode_ELB_502_Count", ""): 2,
        ("HTTPCode_ELB_503_Count", ""): 1,
        ("HTTPCode_ELB_504_Count", ""): 0,
        ("HTTP_Redirect_Url_Limit_Exceeded_Count", ""): 1,
        ("HTTPCode_Target_2XX_Count", "web"): 4,
        ("HTTPCode_Target_2XX_Count", "dead"): 0,
        ("HTTPCode_Target_5XX_Count", "broken"): 1,
        ("HTTPCode_Target_5XX_Count", "dead"): 0,
        ("TargetConnectionErrorCount", "dead"): 1,
        ("TargetConnectionErrorCount", "tls"): 0,
        ("TargetTLSNegotiationErrorCount", "tls"): 1,
        ("DesyncMitigationMode_NonCompliant_Request_Count", ""): 2,
        ("DroppedInvalidHeaderRequestCount", ""): 1,
        ("NonStickyRequestCount", "sticky"): 2,
        ("RejectedConnectionCount", ""): 0,
        ("HealthyHostCount", "web"): 1,
        ("UnHealthyHostCount", "web"): 1,
        ("HealthyStateRouting", "web"): 1,
        ("UnhealthyStateDNS", "empty"): 1,
        ("RequestCountPerTarget", "web"): 2,
    }
    assert {key: found[key] for key in wanted} == wanted
    assert found["ProcessedBytes", ""] > 500
    assert found["NewConnectionCount", ""] > 14  # clients' and those to targets


def test_handshakes_that_fail_are_counted(lab: Lab) -> None:
    arn = f"{ARN}certificate/a.example.com"
    listener = Listener(
        443,
        "HTTPS",
        (FixedResponse("200"),),
        certificates=(arn,),
        mutual_authentication=MutualAuthentication("verify", "store"),
    )
    one = LoadBalancer(
        "tls", (listener,), {}, arn=f"{ARN}loadbalancer/app/tls/0123456789abcdef", dns_name="tls.example"
    )
    lab.trust_stores["store"] = TrustStore(certificate("client").chain)
    lab.serve(one)
    request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert lab.ask(one, request, port=443, client=certificate("client")).status == 200
    for unknown in (certificate("untrusted"), None):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            lab.ask(one, request, port=443, client=unknown)
    assert metrics(lab, one)["ClientTLSNegotiationErrorCount", ""] == 2


def test_a_client_that_leaves_is_counted_as_an_error_of_its_own(lab: Lab) -> None:
    one = replace(balancer(), arn=f"{ARN}loadbalancer/app/left/0123456789abcdef")
    heard = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.set()
        await reader.read()

    lab.serve(one, {GROUPS["web"].reference: [Endpoint("127.0.0.1", lab.run(lab.listen(silent)))]})

    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
        writer.write(b"GET /web HTTP/1.1\r\nHost: a\r\n\r\n")
        await heard.wait()
        writer.transport.abort()

    lab.run(leave())
    for _ in range(1000):
        if metrics(lab, one)["HTTPCode_ELB_4XX_Count", ""]:
            break
    found = metrics(lab, one)
    assert (found["HTTPCode_ELB_4XX_Count", ""], found["HTTPCode_ELB_5XX_Count", ""]) == (1, 0)


def test_metrics_in_prometheus_format(lab: Lab) -> None:
    one = replace(balancer(), arn=f"{ARN}loadbalancer/app/text/0123456789abcdef")
    group = replace(GROUPS["web"], reference=f"{ARN}targetgroup/text/0123456789abcdef")
    rule = replace(one.listeners[0].rules[0], actions=(Forward((WeightedTargetGroup(group.reference),)),))
    listener = replace(one.listeners[0], rules=(rule,))
    one = replace(one, listeners=(listener,), target_groups={group.reference: group})
    lab.serve(one)
    for _ in range(3):
        ask(lab, one, "/web")
    made = cloudwatch(lab.stats(), [one], lambda reference: [])
    for _ in range(1000):
        times = response_times(lab.admin("GET", "/stats/prometheus?filter=upstream_rq_time").body.decode())
        if (taken := times.get("targetgroup/text/0123456789abcdef")) is not None and taken.count == 3:
            break
    lines = exposition(made, times).splitlines()
    assert "# TYPE RequestCount counter" in lines
    assert 'RequestCount{LoadBalancer="app/text/0123456789abcdef"} 3' in lines
    labels = 'LoadBalancer="app/text/0123456789abcdef",TargetGroup="targetgroup/text/0123456789abcdef"'
    assert f"HTTPCode_Target_2XX_Count{{{labels}}} 3" in lines
    assert "# TYPE TargetResponseTime histogram" in lines
    assert f'TargetResponseTime_bucket{{{labels},le="3600"}} 3' in lines
    assert f"TargetResponseTime_count{{{labels}}} 3" in lines
