"""What `decide` says and what a real Envoy does must agree where all kinds of filters meet in one gateway: external
authorization, JWTs, policies, faults and CORS.

`LOCKGATE_FUZZ` is the number of gateways to try, drawn at random; without it a small, fixed set is.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from gateway_envoy import Answer, Lab, key_pair, lab
from gateway_tokens import jwks, token
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.policies.evaluate import Ruling
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Decision, Forwarded, decide

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
NOW = int(time.time())
PAIR = key_pair("a.example")
CORS = "access-control-"
PATHS = ("/", "/admin", "/a", "/b?x=1")


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(backends=1) as running:
        yield running


@pytest.fixture(scope="module")
def authority(envoy: Lab) -> Iterator[int]:
    """The port of a server that allows requests with the header ``x-key: good``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = b"200 OK" if b"x-key: good" in text else b"418 No"
        writer.write(b"HTTP/1.1 " + status + b"\r\nx-user: ann\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = envoy.run(asyncio.start_server(answer, "127.0.0.1", 0))
    yield server.sockets[0].getsockname()[1]
    server.close()


_origins = st.lists(
    st.sampled_from(
        ({"exact": "https://a.example"}, {"prefix": "https://"}, {"regex": ".*[.]test"}, {"exact": "*"}, {"exact": ""})
    ),
    max_size=2,
)
_cors = st.fixed_dictionaries(
    {"allowOrigins": _origins},
    optional={
        "allowMethods": st.sampled_from((["GET", "PUT"], ["*"])),
        "allowHeaders": st.sampled_from((["x-a"], ["*"])),
        "maxAge": st.just("60s"),
        "allowCredentials": st.booleans(),
        "unmatchedPreflights": st.sampled_from(("FORWARD", "IGNORE")),
    },
)
_always = {"percentage": {"value": 100}}
_faults = st.sampled_from(
    (
        {"abort": {"httpStatus": 418, **_always}},
        {"abort": {"httpStatus": 503, "percentage": {"value": 0}}},
        {"abort": {"grpcStatus": "NOT_FOUND", **_always}},
        {"delay": {"fixedDelay": "0.001s", **_always}, "abort": {"httpStatus": 404, **_always}},
    )
)
_actions = st.sampled_from(
    (
        {"route": [{"destination": {"host": "a.default.svc.cluster.local"}}]},
        {"route": [{"destination": {"host": "nobody.default.svc.cluster.local", "port": {"number": 80}}}]},
    )
)
_matches = st.sampled_from(([], [{"uri": {"prefix": "/a"}}], [{"headers": {"x-user": {"exact": "ann"}}}]))
_forwards = st.builds(
    lambda action, more, match: {**action, **more, **({"match": match} if match else {})},
    _actions,
    st.fixed_dictionaries({}, optional={"corsPolicy": _cors, "fault": _faults}),
    _matches,
)
_others = st.sampled_from(
    (
        {"match": [{"uri": {"prefix": "/b"}}], "redirect": {"uri": "/a"}},
        {"corsPolicy": {}, "directResponse": {"status": 202}},
    )
)
_routes = st.lists(st.one_of(_forwards, _forwards, _others), min_size=1, max_size=3)
_conditions = st.sampled_from(
    (
        [],
        [{"to": [{"operation": {"paths": ["/admin*"]}}]}],
        [{"to": [{"operation": {"methods": ["OPTIONS"]}}]}],
        [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
        [{"from": [{"source": {"notRequestPrincipals": ["*"]}}], "to": [{"operation": {"notPaths": ["/a*"]}}]}],
        [{"when": [{"key": "request.headers[origin]", "values": ["https://*"]}]}],
    )
)
_policies = st.lists(st.tuples(st.sampled_from(("ALLOW", "DENY", "AUDIT", "CUSTOM")), _conditions), max_size=3)
_requests = st.builds(
    lambda path, method, tls, headers, signed: Request(
        8443 if tls else 8080,
        "b.example",
        path,
        tls=tls,
        sni="b.example" if tls else None,
        method=method,
        headers=(*headers.items(), *((("authorization", f"Bearer {signed}"),) if signed else ())),
    ),
    st.sampled_from(PATHS),
    st.sampled_from(("GET", "OPTIONS", "OPTIONS", "PUT")),
    st.booleans(),
    st.fixed_dictionaries(
        {},
        optional={
            "origin": st.sampled_from(("https://a.example", "http://b.test", "https://c.example", "")),
            "access-control-request-method": st.sampled_from(("PUT", "PATCH", "")),
            "access-control-request-headers": st.just("x-b"),
            "x-key": st.sampled_from(("good", "good", "bad")),
            "content-type": st.sampled_from(("application/grpc", "text/plain")),
        },
    ),
    st.sampled_from(("", "", token({"iss": "a", "sub": "ann"}, "secret"), token({"iss": "a"}, "other"), "x.y.z")),
)


@settings(
    max_examples=FUZZ or 40,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(_policies, st.booleans(), _routes, st.lists(_requests, min_size=12, max_size=12))
def test_prediction_is_what_envoy_does(
    envoy: Lab, authority: int, policies: list[Any], authenticates: bool, routes: list[Any], sent: list[Request]
) -> None:
    gateway = _gateway(envoy, authority, policies, authenticates, routes)
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    assert envoy.rejections == []
    for request in sent:
        envoy.run(_agrees(envoy, request, decide(gateway, request, now=NOW)))


@pytest.mark.parametrize("host", ["nobody.default.svc.cluster.local", "unknown.default.svc.cluster.local"])
@pytest.mark.parametrize("more", [{}, {"allowCredentials": True, "exposeHeaders": ["x-a", "x-b"]}])
@pytest.mark.parametrize("origin", ["https://a.example", "https://b.example"])
def test_answers_of_the_router_have_headers_of_cors(envoy: Lab, host: str, more: dict[str, Any], origin: str) -> None:
    destination = {"destination": {"host": host, "port": {"number": 80}}}
    cors = {"allowOrigins": [{"exact": "https://a.example"}], **more}
    gateway = _gateway(envoy, 1, [], False, [{"route": [destination], "corsPolicy": cors}])
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    request = Request(8080, "b.example", "/", headers=(("origin", origin),))
    envoy.run(_agrees(envoy, request, decide(gateway, request, now=NOW)))


async def _agrees(envoy: Lab, request: Request, decision: Decision) -> None:
    """A worker may take a configuration a moment after it was acknowledged; a wrong prediction never comes true."""
    wanted = _predicted(request, decision)
    for attempt in range(20):
        found = _seen(await envoy.send(request))
        if found == wanted:
            return
        await asyncio.sleep(0.01 * attempt)
    raise AssertionError(f"{request}\npredicted {wanted}\nfound     {found}\nby {decision.rulings}, {decision.route}")


def _predicted(request: Request, decision: Decision) -> object:
    asked = any(isinstance(each, Ruling) and each.filter.server and each.rule for each in decision.rulings)
    if asked and request.header("x-key") != "good":
        is_grpc = request.header("content-type") == "application/grpc"
        return (200, "", {}, "2", None) if is_grpc else (418, "", {}, None, None)
    match decision.outcome:
        case Answered(status, flag, location, body, headers, grpc):
            text = "" if flag in ("NC", "UH") else body.decode()  # Envoy's own words are not predicted
            cors = {name: value for name, value in headers if name.startswith(CORS)}
            if grpc is not None:
                return (200, location, cors, str(grpc), text or None)
            return (status, location, cors, None, text or None)
        case Forwarded((one,)):
            return one.target
        case other:
            raise AssertionError(other)


def _seen(answer: Answer | None) -> object:
    assert answer is not None
    if answer.body.startswith(b"{"):  # a server of authorization has the header of upstreams, too
        return answer.seen["target"]
    cors = {name: value for name, value in answer.headers.items() if name.startswith(CORS)}
    text = answer.headers.get("grpc-message", answer.body.decode())
    location, grpc = answer.headers.get("location", ""), answer.headers.get("grpc-status")
    return (answer.status, location, cors, grpc, None if text in ("", "no%20healthy%20upstream") else text)


def _gateway(envoy: Lab, authority: int, policies: list[Any], authenticates: bool, routes: list[Any]) -> Gateway:
    objects = [
        _object("security.istio.io", "AuthorizationPolicy", f"p{index}", _policy(action, rules))
        for index, (action, rules) in enumerate(policies)
    ]
    if authenticates:
        spec = {"jwtRules": [{"issuer": "a", "jwks": jwks("secret")}]}
        objects.append(_object("security.istio.io", "RequestAuthentication", "jwt", spec))
    virtual = {"hosts": ["b.example"], "gateways": ["edge"], "http": routes}
    objects.append(_object("networking.istio.io", "VirtualService", "b", virtual))
    services: list[dict[str, Any]] = []
    for name, port in (("default/a", envoy.backends[0]), ("auth/auth", authority)):
        service, endpoints = backend(name, {"http": 80})
        endpoints["endpoints"] = [{"addresses": ["127.0.0.1"]}]
        endpoints["ports"] = [{"name": "http", "port": port}]
        services += [service, endpoints]
    provider = {
        "service": "auth/auth.auth.svc.cluster.local",
        "port": 80,
        "includeRequestHeadersInCheck": ["x-key"],
        "headersToUpstreamOnAllow": [],
    }
    config = {"extensionProviders": [{"name": "auth", "envoyExtAuthzHttp": provider}]}
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE)),
        *yaml.safe_load_all(POLICED),
        *objects,
        *services,
    ]
    return Case("", manifests, mesh(config), {}).build().gateway


def _policy(action: str, rules: list[Any]) -> dict[str, Any]:
    provider = {"provider": {"name": "auth"}} if action == "CUSTOM" else {}
    return {"action": action, "rules": rules or [{}], **provider}


def _object(group: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": spec,
    }
