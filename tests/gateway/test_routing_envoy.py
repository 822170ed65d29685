"""What `decide` says and what a real Envoy does with the same gateway must agree.

`LOCKGATE_FUZZ` is the number of gateways to try, drawn at random; without it a small, fixed set is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, Case
from gateway_envoy import Answer, Lab, key_pair, lab
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Closed, Decision, Forwarded, decide

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
COMPARED = ("x_a", "x-set", "x-add", "x-gone", "x-forwarded-for", "x-forwarded-proto", "x-envoy-original-path")


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(backends=2) as running:
        yield running


HOSTS = ("a.example", "B.Example", "b.example", "*.example", "*.a.example", "*")
PATHS = (
    "/",
    "/a",
    "/a/",
    "/ab",
    "/A/b",
    "/a/b?q=1",
    "/b?q=2&flag",
    "/a//b",
    "/a/../b",
    "/%61/b",
    "/a/{b}",
    "/a%2f%2Fb",
    "/a/./b/..",
    "/b/c/d",
)
names = st.sampled_from(("a.example", "b.example", "x.a.example", "y.x.a.example", "z.example", "other.test"))


def _text(values: tuple[str, ...], regexes: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.one_of(
        st.sampled_from(values).map(lambda v: {"exact": v}),
        st.sampled_from(values).map(lambda v: {"prefix": v}),
        st.sampled_from(regexes).map(lambda v: {"regex": v}),
    )


uris = _text(("/", "/a", "/a/", "/a/b", "/b"), ("/a.*", "/[ab]/?", ".*", "(?i)/A/B"))
values: st.SearchStrategy[dict[str, str]] = st.one_of(
    _text(("1", "one", ""), ("o.*", "[0-9]+")).filter(lambda m: m != {"prefix": ""}), st.just({})
)
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": uris,
        "ignoreUriCase": st.booleans(),
        "method": st.sampled_from(({"exact": "POST"}, {"regex": "GET|HEAD"})),
        "authority": st.sampled_from(({"prefix": "a."}, {"exact": "b.example"}, {"regex": ".*:[0-9]+"})),
        "scheme": st.sampled_from(({"exact": "http"}, {"exact": "https"})),
        "headers": st.dictionaries(st.sampled_from(("x-a", "X-B")), values, max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from(("x-a", "x-c")), values, max_size=1),
        "queryParams": st.dictionaries(st.sampled_from(("q", "flag")), values, max_size=2),
    },
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "set": st.just({"X-Set": "set", "x-add": "base"}),
        "add": st.just({"x-add": "more"}),
        "remove": st.just(["x-gone", "x-set"]),
    },
)
headers = st.fixed_dictionaries({}, optional={"request": operations})
destinations = st.sampled_from(
    (
        {"host": "one", "port": {"number": 80}},
        {"host": "two", "port": {"number": 80}},
        {"host": "empty", "port": {"number": 80}},
        {"host": "missing", "port": {"number": 80}},
    )
)
forwards = st.fixed_dictionaries(
    {
        "route": st.lists(
            st.fixed_dictionaries({"destination": destinations}, optional={"headers": headers}), min_size=1, max_size=1
        )
    },
    optional={
        "headers": headers,
        "rewrite": st.sampled_from(
            (
                {"uri": "/"},
                {"uri": "/new/", "authority": "inner.example"},
                {"authority": "inner.example"},
                {"uriRegexRewrite": {"match": "/([a-z])", "rewrite": r"/<\1>"}},
            )
        ),
    },
)
splits = st.just(
    {
        "route": [
            {"destination": {"host": "one"}, "weight": 50, "headers": {"request": {"set": {"x-set": "one"}}}},
            {"destination": {"host": "two"}, "weight": 50, "headers": {"request": {"add": {"x-add": "two"}}}},
        ],
        "headers": {"request": {"add": {"x-add": "route"}}},
    }
)
redirects = st.fixed_dictionaries(
    {},
    optional={
        "authority": st.sampled_from(("c.example", "c.example:8000")),
        "scheme": st.sampled_from(("http", "https")),
        "port": st.sampled_from((80, 443, 8080)),
        "redirectCode": st.sampled_from((301, 302, 303, 307, 308)),
        "uri": st.sampled_from(("/moved", "/moved?fixed=1")),
    },
).filter(lambda r: any(name != "redirectCode" for name in r))
rules = st.builds(
    lambda action, match: {**action, **({"match": match} if match else {})},
    st.one_of(
        forwards,
        forwards,
        splits,
        redirects.map(lambda r: {"redirect": r}),
        st.sampled_from((200, 403)).map(lambda s: {"directResponse": {"status": s, "body": {"string": f"direct {s}"}}}),
    ),
    st.lists(matches, max_size=2),
)
services = st.lists(
    st.tuples(
        st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True), st.lists(rules, min_size=1, max_size=4)
    ),
    min_size=1,
    max_size=3,
)


def _https(name: str, *hosts: str) -> dict[str, Any]:
    return {
        "port": {"number": 443, "name": name, "protocol": "HTTPS"},
        "hosts": list(hosts),
        "tls": {"mode": "SIMPLE", "credentialName": "pair"},
    }


LAYOUTS: tuple[list[dict[str, Any]], ...] = (
    [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}, _https("https", "*")],
    [
        {
            "port": {"number": 80, "name": "http", "protocol": "HTTP"},
            "hosts": ["*.example"],
            "tls": {"httpsRedirect": True},
        },
        _https("a", "a.example"),
        _https("w", "*.a.example", "b.example"),
    ],
)
requests = st.builds(
    lambda name, sni, port, target, tls, method, given_headers: Request(
        port=8443 if tls else 8080,
        authority=name + port,
        target=target,
        tls=tls,
        sni=(name if sni == "same" else sni) if tls else None,
        method=method,
        headers=tuple(given_headers.items()),
    ),
    names,
    st.sampled_from(("same", "same", "a.example", None)),
    st.sampled_from(("", "", ":80", ":443", ":8080")),
    st.sampled_from(PATHS),
    st.booleans(),
    st.sampled_from(("GET", "GET", "POST", "HEAD")),
    st.dictionaries(
        st.sampled_from(
            ("x-a", "x-b", "X-C", "x-set", "x-add", "x-gone", "x_a", "x-forwarded-for", "x-forwarded-proto")
        ),
        st.sampled_from(("1", "one", "https", "192.0.2.7")),
        max_size=4,
    ),
)


@settings(
    max_examples=FUZZ or 40,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from(LAYOUTS),
    services,
    st.sampled_from(
        (
            {},
            {"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}},
            {"pathNormalization": {"normalization": "MERGE_SLASHES"}},
            {"pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"}},
            {"defaultConfig": {"connectionSettings": {"profile": "EDGE"}}},
            {
                "defaultConfig": {
                    "connectionSettings": {
                        "httpPathWithEscapedSlashesAction": "REJECT_REQUEST",
                        "httpHeadersWithUnderscoresAction": "HEADERS_WITH_UNDERSCORES_DROP_HEADER",
                        "httpMergeSlashes": True,
                    }
                }
            },
        )
    ),
    st.lists(requests, min_size=12, max_size=12),
)
def test_prediction_is_what_envoy_does(
    envoy: Lab, layout: list[dict[str, Any]], virtual: list[Any], config: dict[str, Any], sent: list[Request]
) -> None:
    gateway = _gateway(envoy, layout, virtual, config)
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    assert envoy.rejections == []
    for request in sent:
        decision = decide(gateway, request)
        envoy.run(_agrees(envoy, gateway, request, decision))


async def _agrees(envoy: Lab, gateway: Gateway, request: Request, decision: Decision) -> None:
    """A worker may take a configuration a moment after it was acknowledged; a wrong prediction never comes true."""
    for attempt in range(20):
        answer = await envoy.send(request)
        found, wanted = _seen(envoy, answer, decision), _predicted(decision)
        if found in wanted:
            return
        await asyncio.sleep(0.01 * attempt)
    raise AssertionError(f"{request}\npredicted {wanted}\nfound     {found}\nby {decision.route}")


def _predicted(decision: Decision) -> list[object]:
    match decision.outcome:
        case Answered(status, _, location, body):
            return [("answered", status, location, body)]
        case Closed():
            return ["closed"]
        case Forwarded(upstreams):
            return [
                (
                    "forwarded",
                    one.cluster if one.endpoints else "UH",
                    one.authority,
                    one.target,
                    {name: value for name, value in one.headers if name in COMPARED},
                )
                for one in upstreams
            ]
        case other:
            raise AssertionError(other)


def _seen(envoy: Lab, answer: Answer | None, decision: Decision) -> object:
    if answer is None:
        return "closed"
    if "x-envoy-upstream-service-time" not in answer.headers:
        body = answer.body
        if isinstance(decision.outcome, Answered) and (decision.outcome.flag or decision.outcome.status == 400):
            body = b""  # Envoy's own words are not predicted
        elif isinstance(decision.outcome, Answered) and not body:
            body = decision.outcome.body  # HEAD
        return ("answered", answer.status, answer.headers.get("location", ""), body)
    if not answer.body:
        return _predicted(decision)[0]  # HEAD: the backend cannot tell
    described = answer.seen
    name = ("one", "two")[envoy.backends.index(described["port"])]
    found = {key: value for key, value in described["headers"].items() if key in COMPARED}
    return (
        "forwarded",
        f"outbound|80||{name}.default.svc.cluster.local",
        described["authority"],
        described["target"],
        found,
    )


PAIR = key_pair("a.example")


def _gateway(envoy: Lab, layout: list[dict[str, Any]], virtual: list[Any], config: dict[str, Any]) -> Gateway:
    networking = "networking.istio.io/v1"
    manifests: list[dict[str, Any]] = [
        yaml.safe_load(GATEWAY_POD),
        yaml.safe_load(GATEWAY_SERVICE),
        {
            "apiVersion": networking,
            "kind": "Gateway",
            "metadata": {"name": "g"},
            "spec": {"selector": {"istio": "ingressgateway"}, "servers": layout},
        },
    ]
    for index, (hosts, rules_) in enumerate(virtual):
        spec = {"hosts": hosts, "gateways": ["g"], "http": rules_}
        manifests.append(
            {"apiVersion": networking, "kind": "VirtualService", "metadata": {"name": f"v{index}"}, "spec": spec}
        )
    for name, ports in (("one", [envoy.backends[0]]), ("two", [envoy.backends[1]]), ("empty", [])):
        labels = {"kubernetes.io/service-name": name}
        manifests.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"ports": [{"name": "http", "port": 80}]},
            }
        )
        manifests += [
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "labels": labels},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["127.0.0.1"]}],
                "ports": [{"name": "http", "port": port}],
            }
            for port in ports
        ]
    return Case("", manifests, mesh(config), {}).build().gateway
