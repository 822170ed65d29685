"""Any two edges: each class has a witness that differs, and every request that differs is in a class.

`LOCKGATE_FUZZ` is the number of pairs to try; without it a small, fixed set is.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from trace_cases import edge

from lockgate.trace.difference import difference
from lockgate.trace.difference.witnesses import visible
from lockgate.trace.model import Request
from lockgate.trace.walk import trace

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
HOSTS = ("shop.example", "www.shop.example", "any.shop.example")
PATHS = ("/", "/a", "/a/", "/ab", "/A", "/a/b", "/b", "/b/c.css", "/a//b", "/%61", "/api/v1/7")

texts = st.one_of(
    st.builds(lambda value: {"exact": value}, st.sampled_from(("/", "/a", "/a/b", "/b"))),
    st.builds(lambda value: {"prefix": value}, st.sampled_from(("/", "/a", "/a/", "/b"))),
    st.builds(
        lambda value: {"regex": value}, st.sampled_from(("/a.*", "/[ab]/?", ".*css", "(?i)/A/B", "/api/v[0-9]+/.*"))
    ),
)
values = st.one_of(
    st.builds(lambda value: {"exact": value}, st.sampled_from(("1", "one"))),
    st.builds(lambda value: {"prefix": value}, st.sampled_from(("1", "o"))),
    st.builds(lambda value: {"regex": value}, st.sampled_from(("[0-9]+", "o.*"))),
)
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": texts,
        "ignoreUriCase": st.booleans(),
        "method": st.sampled_from(({"exact": "GET"}, {"exact": "POST"}, {"regex": "GET|PUT"})),
        "authority": st.sampled_from(({"exact": "shop.example"}, {"prefix": "www."}, {"regex": "any[.].*"})),
        "headers": st.dictionaries(st.sampled_from(("x-a", "x-b")), st.one_of(values, st.just({})), max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from(("x-a", "x-c")), st.one_of(values, st.just({})), max_size=1),
        "queryParams": st.dictionaries(st.sampled_from(("q", "r")), values, max_size=1),
        "scheme": st.sampled_from(({"exact": "https"}, {"exact": "http"})),
    },
)
destinations = st.sampled_from((("web", 3000), ("api", 8080), ("missing", 80))).map(
    lambda each: {"destination": {"host": each[0], "port": {"number": each[1]}}}
)
actions = st.one_of(
    destinations.map(lambda one: {"route": [one]}),
    st.just(
        {
            "route": [
                {"destination": {"host": "web", "port": {"number": 3000}}, "weight": 80},
                {"destination": {"host": "api", "port": {"number": 8080}}, "weight": 20},
            ]
        }
    ),
    st.builds(lambda one, uri: {"route": [one], "rewrite": {"uri": uri}}, destinations, st.sampled_from(("/", "/new"))),
    st.builds(lambda one: {"route": [one], "headers": {"request": {"set": {"x-set": "1"}}}}, destinations),
    st.builds(lambda status: {"directResponse": {"status": status}}, st.sampled_from((200, 403))),
    st.builds(lambda uri: {"redirect": {"uri": uri}}, st.sampled_from(("/a", "/moved"))),
)
routes = st.builds(
    lambda found, action: {"match": found, **action} if found else action, st.lists(matches, max_size=2), actions
)
conditions = st.lists(
    st.sampled_from(
        (
            {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-a", "values": ["o*"]}},
            {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-B", "values": ["1", "?"]}},
            {"field": "http-request-method", "httpRequestMethodConfig": {"values": ["POST", "PUT"]}},
            {"field": "source-ip", "sourceIpConfig": {"values": ["192.0.2.0/24", "198.51.100.7/32"]}},
            {"field": "query-string", "queryStringConfig": {"values": [{"key": "q", "value": "1*"}]}},
            {"field": "query-string", "queryStringConfig": {"values": [{"value": "17"}, {"key": "r*", "value": "o*"}]}},
            {"field": "path-pattern", "pathPatternConfig": {"values": ["/a*", "*.css"]}},
        )
    ),
    max_size=2,
    unique_by=lambda each: str(each["field"]),
)
rules = st.lists(
    st.tuples(
        st.sampled_from(("", "shop.example", "*.shop.example")),
        st.sampled_from(("/", "/a", "/b")),
        st.sampled_from(("Prefix", "Exact")),
        st.sampled_from(("gateway", "fixed", "moved")),
        conditions,
    ),
    max_size=3,
)
permissions = st.fixed_dictionaries(
    {},
    optional={
        "paths": st.lists(st.sampled_from(("/a", "/b*", "*.css")), min_size=1, max_size=2),
        "methods": st.just(["POST", "PUT"]),
        "hosts": st.sampled_from((["shop.example"], ["*.shop.example"])),
        "notPaths": st.just(["/a/*"]),
        "ports": st.sampled_from((["8443"], ["80"])),
    },
).filter(bool)
people = st.fixed_dictionaries(
    {}, optional={"remoteIpBlocks": st.just(["192.0.2.0/24"]), "notIpBlocks": st.just(["10.0.0.0/8"])}
).filter(bool)
policies = st.lists(
    st.tuples(
        st.sampled_from(("ALLOW", "DENY")),
        st.fixed_dictionaries(
            {},
            optional={
                "to": permissions.map(lambda each: [{"operation": each}]),
                "from": people.map(lambda each: [{"source": each}]),
                "when": st.just([{"key": "request.headers[x-a]", "values": ["one", "1*"]}]),
            },
        ),
    ),
    max_size=2,
)
FIXED = {
    "fixed": {"type": "fixed-response", "fixedResponseConfig": {"contentType": "text/plain", "statusCode": "403"}},
    "moved": {"type": "redirect", "redirectConfig": {"path": "/moved/#{path}", "statusCode": "HTTP_302"}},
}


def changed(rows: list[Any], http: list[Any], more: list[Any], ruled: list[Any]) -> list[dict[str, Any]]:
    gateway = {"service": {"name": "istio-ingressgateway", "port": {"number": 443}}}
    paths: list[Any] = []
    annotations: dict[str, str] = {}
    for number, (host, path, kind, to, asked) in enumerate(rows):
        backend = gateway
        if to != "gateway" or asked:
            name = f"action-{number}"
            backend = {"service": {"name": name, "port": {"name": "use-annotation"}}}
            forward = {
                "type": "forward",
                "forwardConfig": {"targetGroups": [{"serviceName": "istio-ingressgateway", "servicePort": 443}]},
            }
            annotations[f"alb.ingress.kubernetes.io/actions.{name}"] = json.dumps(FIXED.get(to, forward))
            if asked:
                annotations[f"alb.ingress.kubernetes.io/conditions.{name}"] = json.dumps(asked)
        paths.append(
            {
                **({"host": host} if host else {}),
                "http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]},
            }
        )
    paths.append({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": gateway}]}})
    service = {"kind": "VirtualService", "metadata": {"name": "shop", "namespace": "shop"}}
    wild = {
        "kind": "VirtualService",
        "apiVersion": "networking.istio.io/v1",
        "metadata": {"name": "wild", "namespace": "shop"},
    }
    return [
        {
            "kind": "Ingress",
            "metadata": {"name": "edge", "namespace": "istio-system", "annotations": annotations},
            "spec": {"rules": paths},
        },
        {**service, "spec": {"hosts": ["shop.example", "www.shop.example"], "http": http}},
        {**wild, "spec": {"hosts": ["*.shop.example"], "gateways": ["istio-system/edge"], "http": more}},
    ]


sides = st.tuples(
    rules,
    st.lists(routes, min_size=1, max_size=4),
    st.lists(routes, min_size=1, max_size=2),
    st.one_of(st.just([]), policies),
)


def _near(side: tuple[Any, Any, Any, Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """Another side, which differs in the order of something, in one route, or not at all."""
    rows, http, more, ruled = side
    return st.one_of(
        st.tuples(st.just(side), sides),
        st.tuples(st.just(side), st.permutations(http).map(lambda each: (rows, each, more, ruled))),
        st.tuples(st.just(side), st.permutations(rows).map(lambda each: (each, http, more, ruled))),
        st.tuples(st.just(side), policies.map(lambda each: (rows, http, more, each))),
        st.tuples(st.just(side), st.permutations(ruled).map(lambda each: (rows, http, more, each))),
        st.tuples(st.just(side), routes.map(lambda each: (rows, [each, *http], more, ruled))),
        st.tuples(st.just(side), st.just((rows, [*http, http[0]], more, ruled))),
    )


requests = st.builds(
    lambda scheme, host, path, query, method, given, source: Request.of(
        f"{scheme}://{host}{path}{query}", method=method, headers=tuple(given), source=source
    ),
    st.sampled_from(("https", "https", "http")),
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    st.sampled_from(("", "?q=1", "?q=one&r=1", "?r=17")),
    st.sampled_from(("GET", "POST", "PUT", "DELETE")),
    st.lists(
        st.tuples(st.sampled_from(("x-a", "X-B", "x-c")), st.sampled_from(("1", "one", "other", ""))),
        max_size=2,
        unique_by=lambda each: each[0],
    ),
    st.sampled_from(("203.0.113.10", "192.0.2.9", "198.51.100.7")),
)


@settings(
    max_examples=FUZZ or 60,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(sides.flatmap(_near), st.lists(requests, min_size=30, max_size=30))
def test_what_differs_is_found_and_what_is_found_differs(pair: tuple[Any, Any], asked: list[Request]) -> None:
    old, new = (edge(changed(*side)) for side in pair)
    found = difference(old, new)
    for each in found.classes:
        assert each.covers(each.witness), each
        if {change.aspect for change in each.changes} & {"answer", "outcome", "backend", "path at the backend"}:
            assert visible(trace(old, each.witness)) != visible(trace(new, each.witness)), each
    for request in asked:
        if visible(trace(old, request)) != visible(trace(new, request)) and not found.undecided:
            assert any(each.covers(request) for each in found.classes), request
