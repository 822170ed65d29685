"""`routing.decide` against a real Envoy: for any load balancer and request, the prediction agrees with the wire.

`LOCKGATE_FUZZ` is the number of load balancers to try; without it a small, fixed set is.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest
from alb_lab import Answer, Lab, laboratory
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.loadbalancer.forwarding import TRACE_ID
from lockgate.loadbalancer.model import (
    Condition,
    FinalAction,
    FixedResponse,
    Forward,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    Listener,
    LoadBalancer,
    PathPattern,
    QueryPair,
    QueryString,
    Redirect,
    Rewrite,
    Rule,
    SourceIp,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.loadbalancer.routing import Answered, Blocked, Decision, Forwarded, Redirected, Refused, Request, decide
from lockgate.xds.loadbalancer import rule_index

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))

# Few names and letters, so that patterns and requests often meet.
HOST_PATTERNS = [
    "a.example.com",
    "b.example.com",
    "*.example.com",
    "*.b.example.com",
    "?.example.com",
    "a*.example.com",
]
HOST_PATTERNS += ["*.com", "*b.example.com", "A.Example.com", "*.example.*", "x.org"]
HOSTS = ["a.example.com", "b.example.com", "A.EXAMPLE.COM", "x.b.example.com", "b.b.example.com", "ab.example.com"]
HOSTS += ["example.com", "x.org", "a.x.org", "127.0.0.1", "a.example.com:8080", "xb.example.com:1", "[::1]:80", "[::1]"]
PATH_PATTERNS = ["/", "/*", "/a", "/a/*", "/a*", "*.png", "/a/?", "/?", "*a*", "/A", "/a/b", "/a//b", "/+(x)", "/$&@:"]
PATHS = ["/", "/a", "/a/", "/a/b", "/a//b", "/ab", "/A", "/a/x.png", "/x.pngx", "/a%2Fb", "/%61", "/a/../b", "/+(x)"]
PATHS += ["/$&@:", "//a", "/a;b=c", "/x"]
QUERIES = [
    "",
    "?",
    "?a=1",
    "?A=1",
    "?a=2&b=1",
    "?b=1&a=1",
    "?a=1&a=2",
    "?a",
    "?a=",
    "?x=*",
    "?x=%2A",
    "?a=1=2",
    "?&a=1&",
]
QUERIES += ["?q=a?b", "?version=v1"]
METHODS = ["GET", "POST", "PUT", "get", "PATCH", "LIST", "TRACE", "HEAD"]
HEADERS = ["x-kind", "X-Other", "user-agent"]
VALUES = ["a", "B", "ab", "a,b", "text/html", "a b", "", "*", "Mozilla/5.0 (x)"]

host_header = st.one_of(
    st.lists(st.sampled_from(HOST_PATTERNS), min_size=1, max_size=3, unique=True).map(lambda v: HostHeader(tuple(v))),
    st.sampled_from([r"^a\.", r"example\.(com|org)$", "^[a-z]{2}\\."]).map(lambda v: HostHeader((), (v,))),
)
path_pattern = st.one_of(
    st.lists(st.sampled_from(PATH_PATTERNS), min_size=1, max_size=3, unique=True).map(lambda v: PathPattern(tuple(v))),
    st.sampled_from([r"^/a/[a-z]+$", r"\.png", "b|x"]).map(lambda v: PathPattern((), (v,))),
)
http_header = st.builds(
    HttpHeader,
    st.sampled_from(HEADERS),
    st.lists(st.sampled_from(["a", "b*", "*a*", "?", "text/*", "*(x)"]), min_size=1, max_size=2).map(tuple),
)
method = st.lists(st.sampled_from(METHODS[:6]), min_size=1, max_size=3, unique=True).map(
    lambda v: HttpRequestMethod(tuple(v))
)
pair = st.builds(
    QueryPair, st.sampled_from(["1", "?", "*", r"\*", "v1", "2*"]), st.sampled_from(["a", None, "b*", "A"])
)
query_string = st.lists(pair, min_size=1, max_size=2).map(lambda v: QueryString(tuple(v)))
source_ip = st.sampled_from(["127.0.0.1/32", "127.0.0.2/31", "127.0.0.0/8", "10.0.0.0/8", "::1/128"]).map(
    lambda v: SourceIp((v,))
)


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Condition, ...]:
    kinds = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
    strategies: list[st.SearchStrategy[Condition]] = [
        host_header, path_pattern, http_header, method, query_string, source_ip
    ]  # fmt: skip
    return tuple(draw(strategies[kind]) for kind in kinds)


template = st.sampled_from(["/#{path}", "/new/#{path}", "/x", "/#{host}/#{port}"])
redirect = st.builds(
    Redirect,
    st.sampled_from(["HTTP_301", "HTTP_302"]),
    st.sampled_from(["#{protocol}", "HTTPS"]),
    st.sampled_from(["#{host}", "www.example.com", "www.#{host}"]),
    st.sampled_from(["#{port}", "443", "8443"]),
    template,
    st.sampled_from(["#{query}", "", "from=#{host}&#{query}", "x=1"]),
)
fixed = st.builds(
    FixedResponse,
    st.sampled_from(["200", "404", "503"]),
    st.sampled_from([None, "application/json"]),
    st.sampled_from([None, "", "100 %"]),
)
GROUPS = {name: TargetGroup(f"{ARN}targetgroup/{name}/0123456789abcdef", name, 80) for name in ("one", "two")}
weighted = st.lists(
    st.tuples(st.sampled_from(sorted(GROUPS)), st.integers(0, 2)), min_size=1, max_size=2, unique_by=lambda v: v[0]
)
forward = weighted.map(
    lambda shares: Forward(tuple(WeightedTargetGroup(GROUPS[name].reference, weight) for name, weight in shares))
)
action: st.SearchStrategy[FinalAction] = st.one_of(forward, forward, redirect, fixed)
transforms = st.sampled_from(
    [
        (),
        (),
        (Rewrite("host-header", r"^(.+)\.example\.com$", "$1.internal"),),
        (Rewrite("url", r"^/a/([^?]*)", "/z/$1/$1"),),
        (Rewrite("url", "b*", "-"), Rewrite("host-header", "a", "")),
    ]
)


@st.composite
def balancers(draw: st.DrawFn) -> LoadBalancer:
    found = draw(st.lists(st.tuples(conditions(), action, transforms), max_size=draw(st.sampled_from([6, 30]))))
    rules = tuple(
        Rule(at, when, (what,), how if isinstance(what, Forward) else ())
        for at, (when, what, how) in enumerate(found, start=1)
    )
    attributes = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "routing.http.preserve_host_header.enabled": st.just("true"),
                "routing.http.xff_header_processing.mode": st.sampled_from(["append", "preserve", "remove"]),
                "routing.http.drop_invalid_header_fields.enabled": st.just("true"),
                "routing.http.desync_mitigation_mode": st.sampled_from(["monitor", "strictest"]),
            },
        )
    )
    return LoadBalancer(
        name="lab",
        arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
        dns_name="lab-1.us-east-1.elb.amazonaws.com",
        listeners=(Listener(draw(st.sampled_from([80, 8080])), "HTTP", (draw(action),), rules),),
        target_groups={each.reference: each for each in GROUPS.values()},
        attributes=attributes,
    )


headers = st.lists(st.tuples(st.sampled_from([*HEADERS, "a_b"]), st.sampled_from(VALUES)), max_size=3).filter(
    lambda some: sum(name == "user-agent" for name, _ in some) < 2
)  # Envoy joins those that it knows
# What limits and desync mitigation look at.
peculiar = st.sampled_from(
    [
        (),
        (),
        (),
        (),
        (("Content-Length", "0"),),
        (("Content_Length", "5"),),
        (("X-Accent", "\xe9"),),
        (("X-Big", "x" * 16400),),
        (("X-Big", "x" * 9000), ("X-Bigger", "y" * 9000)),
        (("X-Amzn-Trace-Id", "CalledFrom=app"),),
        (("X-Big", "x" * 9000), ("X-Amzn-Trace-Id", "CalledFrom=app")),
        (("X-Forwarded-For", ", ".join(["10.0.0.1"] * 31)),),
    ]
)
forwarded = st.sampled_from([(), (), ("1.2.3.4",), ("1.2.3.4, 5.6.7.8",), ("unknown",)])
requests = st.builds(
    Request,
    method=st.sampled_from(METHODS),
    target=st.builds(str.__add__, st.sampled_from(PATHS), st.sampled_from(QUERIES)),
    host=st.sampled_from(HOSTS),
    headers=st.builds(
        lambda some, xff, more: (*some, *(("X-Forwarded-For", value) for value in xff), *more),
        headers,
        forwarded,
        peculiar,
    ),
    source=st.sampled_from(["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
)


@pytest.mark.parametrize("few", [rule_index.FEW, 0], ids=["as ever", "rules always indexed"])
def test_predictions_agree_with_envoy(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(rule_index, "FEW", few)
    with laboratory() as lab:

        @settings(
            max_examples=FUZZ or 60,
            derandomize=not FUZZ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if FUZZ else [Phase.generate],
        )
        @given(balancers(), st.lists(requests, min_size=8, max_size=8))
        def agree(balancer: LoadBalancer, asked: list[Request]) -> None:
            lab.serve(balancer)
            for each in asked:
                request = replace(each, port=balancer.listeners[0].port)
                decision = decide(balancer, request)
                check(decision, request, ask(lab, balancer, request))

        agree()


def ask(lab: Lab, balancer: LoadBalancer, request: Request) -> Answer:
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.host}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    raw = "\r\n".join([*lines, "", ""])
    return lab.ask(balancer, raw, port=request.port, source=request.source, head=request.method == "HEAD")


def check(decision: Decision, request: Request, answer: Answer) -> None:
    context = (decision, request, answer)
    head = request.method == "HEAD"
    match decision.outcome:
        case Forwarded(shares, sent):
            assert answer.status == 200, context
            if head:
                return
            names = {share.target_group.split("/")[1] for share in shares}
            assert answer.seen["target"] in names, context
            assert answer.seen["path"] == sent.target, context
            assert answer.seen["method"] == sent.method, context
            assert answer.seen_header("host") == [sent.host], context
            for name in {each.lower() for each, _ in (*sent.headers, *request.headers)} - {"x-amzn-trace-id"}:
                assert ",".join(answer.seen_header(name)) == ",".join(sent.all(name)), (name, context)
            trace = re.escape(sent.all("x-amzn-trace-id")[0]).replace(re.escape(TRACE_ID), "1-[0-9a-f]{8}-[0-9a-f]{24}")
            assert re.fullmatch(trace, answer.seen_header("x-amzn-trace-id")[0]), context
        case Redirected(status, location) as outcome:
            assert (answer.status, answer.header("location")) == (status, location), context
            assert head or answer.body.decode() == outcome.body, context
        case Answered(status, kind, body):
            assert (answer.status, answer.header("content-type") or "") == (status, kind), context
            assert head or answer.body.decode() == body, context
        case Blocked() as outcome:
            assert answer.status == outcome.response.status, context
            assert head or answer.body.decode() == outcome.body, context
        case Refused(status) as outcome:
            assert answer.status == status, context
            assert head or answer.body.decode() == outcome.body, context
        case other:
            raise AssertionError(other)
