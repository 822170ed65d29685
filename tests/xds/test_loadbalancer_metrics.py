"""CloudWatch's metrics out of a real Envoy's counters."""

from __future__ import annotations

from alb_lab import laboratory

from lockgate.loadbalancer.model import (
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    PathPattern,
    Redirect,
    Rule,
    TargetGroup,
    TargetState,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Endpoint
from lockgate.xds.loadbalancer.metrics import cloudwatch, exposition

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
GROUPS = {name: TargetGroup(f"{ARN}targetgroup/{name}/0123456789abcdef", name, 80) for name in ("web", "dead", "empty")}


def test_requests_are_counted_under_cloudwatchs_names() -> None:
    rules = tuple(
        Rule(at, (PathPattern((f"/{name}",)),), (Forward((WeightedTargetGroup(group.reference),)),))
        for at, (name, group) in enumerate(GROUPS.items(), start=1)
    )
    moved = Rule(9, (PathPattern(("/old",)),), (Redirect("HTTP_301", path="/new"),))
    one = LoadBalancer(
        "lab",
        (Listener(80, "HTTP", (FixedResponse("404"),), (*rules, moved)),),
        {group.reference: group for group in GROUPS.values()},
        arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
        dns_name="lab.example",
    )
    states: dict[str, list[TargetState]] = {GROUPS["web"].reference: ["healthy", "unhealthy"]}
    with laboratory() as lab:
        lab.serve(one, {GROUPS["dead"].reference: [Endpoint("127.0.0.1", 1)], GROUPS["empty"].reference: []})
        for path in ("/web", "/web", "/dead", "/empty", "/old", "/"):
            lab.ask(one, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        metrics = cloudwatch(lab.stats(), [one], lambda reference: states.get(reference, []))
    found = {(each.name, each.target_group.split("/")[1] if each.target_group else ""): each.value for each in metrics}
    wanted = {
        ("RequestCount", ""): 6,
        ("NewConnectionCount", ""): 6,
        ("HTTP_Redirect_Count", ""): 1,
        ("HTTP_Fixed_Response_Count", ""): 1,
        ("HTTPCode_Target_2XX_Count", "web"): 2,
        ("HTTPCode_Target_2XX_Count", "dead"): 0,
        ("TargetConnectionErrorCount", "dead"): 1,
        ("HTTPCode_ELB_503_Count", "empty"): 1,
        ("HealthyHostCount", "web"): 1,
        ("UnHealthyHostCount", "web"): 1,
        ("RequestCountPerTarget", "web"): 1,
    }
    assert {key: found[key] for key in wanted} == wanted
    assert found["ProcessedBytes", ""] > 500
    text = exposition(metrics)
    assert "# TYPE RequestCount counter\n" in text
    assert 'RequestCount{LoadBalancer="app/lab/0123456789abcdef"} 6\n' in text
    assert 'TargetGroup="targetgroup/web/0123456789abcdef"} 2\n' in text
