"""EnvoyFilters with a real Envoy: what each patch does to requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import yaml
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from gateway_envoy import Answer, Lab, key_pair, lab

from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Forwarded, decide

PAIR = key_pair("a.example")
MANAGER = "envoy.filters.network.http_connection_manager"
BEFORE_ROUTER = {
    "context": "GATEWAY",
    "listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}},
}
TYPE = "type.googleapis.com/envoy.extensions.filters"
TO_BACKEND = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: istio-system}
spec:
  hosts: [b.example]
  gateways: [edge]
  http:
  - {name: named, match: [{uri: {prefix: /named}}], route: [{destination: {host: a.default.svc.cluster.local}}]}
  - {match: [{uri: {prefix: /old}}], redirect: {uri: /new}}
  - {route: [{destination: {host: a.default.svc.cluster.local}}]}
"""


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(8080, 8443, 9000, 9090, 15021), backends=1) as running:
        yield running


def lua(code: str, name: str = "envoy.filters.http.lua") -> dict[str, Any]:
    config = {"@type": f"{TYPE}.http.lua.v3.Lua", "default_source_code": {"inline_string": code}}
    return {"name": name, "typed_config": config}


def adding(header: str, value: str = "1") -> dict[str, Any]:
    """A Lua filter that adds a response header."""
    return lua(f"function envoy_on_response(h) h:headers():add('{header}', '{value}') end", f"lua.{header}.{value}")


def one(apply_to: str, operation: str, value: Any = None, match: Any = None, **spec: Any) -> dict[str, Any]:
    patch = {"operation": operation, **({} if value is None else {"value": value})}
    given = {"applyTo": apply_to, "patch": patch, **({} if match is None else {"match": match})}
    return envoy_filter([given], **spec)


def envoy_filter(patches: list[Any], name: str = "f", namespace: str = "istio-system", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configPatches": patches, **spec},
    }


def serve(
    envoy: Lab,
    *filters: dict[str, Any],
    rejected: bool = False,
    limiter: int | None = 1,
    proxy: dict[str, Any] | None = None,
) -> Gateway:
    """`limiter` is the port of a rate limit service, `proxy` the gateway's ProxyConfig."""
    service, endpoints = backend("default/a", {"tcp": 80})
    limits, limiters = backend("default/limits", {"grpc": 8081})
    limiters["ports"] = [{"name": "grpc", "port": limiter or 1}]
    limiters["endpoints"] = [{"addresses": ["127.0.0.1"]}] if limiter else []
    endpoints["endpoints"] = [{"addresses": ["127.0.0.1"]}]
    endpoints["ports"] = [{"name": "tcp", "port": envoy.backends[0]}]
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE, TO_BACKEND)),
        *yaml.safe_load_all(POLICED),
        *filters,
        *(service, endpoints, limits, limiters),
    ]
    built = Case("", manifests, mesh({"defaultConfig": proxy or {}}), {}).build()
    envoy.run(envoy.serve(built.gateway, {"kubernetes://pair": PAIR}))
    assert bool(envoy.rejections) == rejected, envoy.rejections
    return built.gateway


def ask(envoy: Lab, path: str, *headers: tuple[str, str], port: int = 8080, host: str = "b.example") -> Answer:
    answer = envoy.run(envoy.send(Request(port, host, path, headers=headers, tls=port == 8443)))
    assert answer is not None
    return answer


def eventually(envoy: Lab, path: str, holds: Any, *headers: tuple[str, str], **given: Any) -> Answer:
    """A worker may take a configuration a moment after it was acknowledged."""
    for attempt in range(25):
        answer = ask(envoy, path, *headers, **given)
        if holds(answer):
            return answer
        envoy.run(asyncio.sleep(0.01 * attempt))
    raise AssertionError(f"{answer}")


def with_header(name: str, value: str | None = "1") -> Any:
    return lambda answer: answer.headers.get(name) == value


def test_lua_on_every_listener(envoy: Lab) -> None:
    serve(envoy, one("HTTP_FILTER", "INSERT_BEFORE", adding("x-lua"), BEFORE_ROUTER))
    eventually(envoy, "/", with_header("x-lua"))
    eventually(envoy, "/", with_header("x-lua"), port=8443)


def test_ports_names_and_contexts_select_listeners(envoy: Lab) -> None:
    listener = BEFORE_ROUTER["listener"]
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-443"), {"listener": {**listener, "portNumber": 8443}}),  # type: ignore[dict-item]
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-gateway-port"), {"listener": {**listener, "portNumber": 443}}),  # type: ignore[dict-item]
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-sidecar"), {**BEFORE_ROUTER, "context": "SIDECAR_INBOUND"}),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-labels"), BEFORE_ROUTER, workloadSelector={"labels": {"a": "b"}}),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-other"), BEFORE_ROUTER, namespace="shop"),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-v"), {**BEFORE_ROUTER, "proxy": {"proxyVersion": "^1\\.29.*"}}),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-w"), {**BEFORE_ROUTER, "proxy": {"proxyVersion": "^1\\.30.*"}}),
    )
    answer = eventually(envoy, "/", with_header("x-443"), port=8443)
    added = {name for name in answer.headers if name.startswith("x-") and "envoy" not in name}
    assert added == {"x-443", "x-w"}
    eventually(envoy, "/", with_header("x-443", None))


def test_the_order_is_istiods(envoy: Lab) -> None:
    """By priority, then by name; what is relative to no filter is first or last, and to an unknown one nowhere."""
    note = (
        "function envoy_on_request(h) h:headers():replace('x-order', (h:headers():get('x-order') or '') .. '%s ') end"
    )

    def noted(name: str, operation: str = "INSERT_BEFORE", match: Any = BEFORE_ROUTER, **spec: Any) -> dict[str, Any]:
        return one("HTTP_FILTER", operation, lua(note % name, f"lua.{name}"), match, name=name, **spec)

    serve(
        envoy,
        noted("late", priority=10),
        noted("early", priority=-10),
        noted("b"),
        noted("a"),
        noted("z", "INSERT_FIRST", None),
        noted("y", match=_relative_to("istio.stats")),
        noted("x", "INSERT_AFTER", _relative_to("nobody")),
        noted("c", "INSERT_AFTER", _relative_to("lua.a")),
    )
    answer = eventually(envoy, "/", lambda found: "late" in found.body.decode())
    assert answer.seen["headers"]["x-order"].split() == ["z", "y", "early", "a", "c", "b", "late"]


def _relative_to(name: str) -> dict[str, Any]:
    return {"listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": name}}}}}


def test_merge_replace_and_remove_filters(envoy: Lab) -> None:
    relative = _relative_to("lua.x-a.1")
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-a"), BEFORE_ROUTER, name="a"),
        one("HTTP_FILTER", "REPLACE", adding("x-b"), relative, name="b"),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-c"), BEFORE_ROUTER, name="c"),
        one("HTTP_FILTER", "REMOVE", None, _relative_to("lua.x-c.1"), name="d"),
        one(
            "NETWORK_FILTER",
            "MERGE",
            {
                "name": MANAGER,
                "typed_config": {
                    "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
                    "server_name": "merged",
                },
            },
            {"listener": {"filterChain": {"filter": {"name": MANAGER}}}},
            name="e",
        ),
    )
    answer = eventually(envoy, "/", with_header("x-b"))
    assert answer.headers["server"] == "merged"
    assert "x-a" not in answer.headers and "x-c" not in answer.headers


def test_filters_by_the_names_that_they_had(envoy: Lab) -> None:
    before = "envoy.http_connection_manager"
    manager = {"@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager", "server_name": "merged"}
    router = {"listener": {"filterChain": {"filter": {"name": before, "subFilter": {"name": "envoy.router"}}}}}
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-a"), router, name="a"),
        one("HTTP_FILTER", "INSERT_BEFORE", lua("", "envoy.lua"), BEFORE_ROUTER, name="b"),
        one("HTTP_FILTER", "REPLACE", adding("x-c"), _relative_to("envoy.lua"), name="c"),
        one("NETWORK_FILTER", "MERGE", {"name": before, "typed_config": manager}, {"listener": {}}, name="d"),
        one("HTTP_FILTER", "INSERT_BEFORE", adding("x-e"), router, name="e"),
    )
    answer = eventually(envoy, "/", with_header("x-e"))
    assert (answer.headers["server"], answer.headers["x-a"], answer.headers["x-c"]) == ("merged", "1", "1")


def test_a_local_rate_limit_on_one_route(envoy: Lab) -> None:
    local = {
        "name": "envoy.filters.http.local_ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
            "type_url": f"{TYPE}.http.local_ratelimit.v3.LocalRateLimit",
            "value": {"stat_prefix": "limiter"},
        },
    }
    half = {"numerator": 100, "denominator": "HUNDRED"}
    limit = {
        "@type": f"{TYPE}.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limiter",
        "token_bucket": {"max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "600s"},
        "filter_enabled": {"runtime_key": "a", "default_value": half},
        "filter_enforced": {"runtime_key": "b", "default_value": half},
        "response_headers_to_add": [{"header": {"key": "x-limited", "value": "1"}}],
    }
    route = {"routeConfiguration": {"portNumber": 80, "vhost": {"route": {"name": "named"}}}}
    per_route = {"typed_per_filter_config": {"envoy.filters.http.local_ratelimit": limit}}
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", local, BEFORE_ROUTER),
        one("HTTP_ROUTE", "MERGE", per_route, {"context": "GATEWAY", **route}),
    )
    limited = eventually(envoy, "/named", lambda answer: answer.status == 429)
    assert limited.headers["x-limited"] == "1" and limited.body == b"local_rate_limited"
    assert ask(envoy, "/other").status == 200
    assert ask(envoy, "/named", port=8443).status == 200


def test_compression(envoy: Lab) -> None:
    gzip = {
        "name": "envoy.filters.http.compressor",
        "typed_config": {
            "@type": f"{TYPE}.http.compressor.v3.Compressor",
            "compressor_library": {
                "name": "gzip",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"},
            },
            "response_direction_config": {"common_config": {"min_content_length": 1, "content_type": ["a/b"]}},
        },
    }
    typed = lua("function envoy_on_response(h) h:headers():add('content-type', 'a/b') end")
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", gzip, BEFORE_ROUTER),
        one("HTTP_FILTER", "INSERT_BEFORE", typed, BEFORE_ROUTER, name="g"),
    )
    eventually(envoy, "/", with_header("content-encoding", "gzip"), ("accept-encoding", "gzip"))


def test_a_header_filter(envoy: Lab) -> None:
    config = {
        "@type": f"{TYPE}.http.header_mutation.v3.HeaderMutation",
        "mutations": {
            "request_mutations": [{"remove": "x-secret"}, {"append": {"header": {"key": "x-own", "value": "1"}}}],
            "response_mutations": [{"append": {"header": {"key": "x-back", "value": "%RESPONSE_CODE%"}}}],
        },
    }
    named = {"name": "envoy.filters.http.header_mutation", "typed_config": config}
    serve(envoy, one("HTTP_FILTER", "INSERT_BEFORE", named, BEFORE_ROUTER))
    seen = eventually(envoy, "/", with_header("x-back", "200"), ("x-secret", "1")).seen["headers"]
    assert seen["x-own"] == "1" and "x-secret" not in seen


def test_virtual_hosts_and_routes(envoy: Lab) -> None:
    answer = {"match": {"prefix": "/own"}, "direct_response": {"status": 299}}
    host = {"name": "own", "domains": ["own.example"], "routes": [answer]}
    vhost = {"routeConfiguration": {"vhost": {"name": "b.example:80"}}}
    redirects = {"routeConfiguration": {"vhost": {"name": "b.example:80", "route": {"action": "REDIRECT"}}}}
    serve(
        envoy,
        one("VIRTUAL_HOST", "ADD", host, {"context": "GATEWAY"}),
        one("HTTP_ROUTE", "INSERT_FIRST", answer, vhost),
        one("HTTP_ROUTE", "MERGE", {"response_headers_to_add": [{"header": {"key": "x-r", "value": "1"}}]}, redirects),
        one(
            "ROUTE_CONFIGURATION",
            "MERGE",
            {"response_headers_to_add": [{"header": {"key": "x-all", "value": "1"}}]},
            {"routeConfiguration": {"name": "http.8080"}},
        ),
    )
    eventually(envoy, "/own", lambda found: found.status == 299)
    assert ask(envoy, "/own", host="own.example").status == 299
    assert ask(envoy, "/old").headers.get("x-r") == "1" and "x-r" not in ask(envoy, "/").headers
    assert ask(envoy, "/").headers["x-all"] == "1" and "x-all" not in ask(envoy, "/", port=8443).headers


def test_clusters(envoy: Lab) -> None:
    name = "outbound|80||a.default.svc.cluster.local"
    address = {"socket_address": {"address": "127.0.0.1", "port_value": envoy.backends[0]}}
    own = {
        "name": "own",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "own",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    route = {"match": {"path": "/own"}, "route": {"cluster": "own"}}
    serve(
        envoy,
        one("CLUSTER", "ADD", own),
        one("HTTP_ROUTE", "INSERT_FIRST", route),
        one("CLUSTER", "MERGE", {"connect_timeout": "7s"}, {"cluster": {"service": "a.default.svc.cluster.local"}}),
    )
    assert eventually(envoy, "/own", lambda found: found.status == 200).seen["target"] == "/own"
    serve(envoy, one("CLUSTER", "REMOVE", None, {"cluster": {"name": name}}))
    eventually(envoy, "/", lambda found: found.status == 503)


DISCOVERED = {
    "name": "found",
    "config_discovery": {
        "config_source": {"ads": {}, "initial_fetch_timeout": "0s"},
        "type_urls": [f"{TYPE}.http.lua.v3.Lua"],
    },
}


def test_a_filter_that_discovers_its_configuration(envoy: Lab) -> None:
    code = "function envoy_on_response(h) h:headers():add('x-found', '1') end"
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", DISCOVERED, BEFORE_ROUTER),
        one("EXTENSION_CONFIG", "ADD", lua(code, "found"), name="g"),
    )
    eventually(envoy, "/", with_header("x-found"))


def test_a_listener_of_its_own(envoy: Lab) -> None:
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "own",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "own",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 299}}],
                }
            ]
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "own",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 9090}},
        "filter_chains": [{"filters": [{"name": MANAGER, "typed_config": manager}]}],
    }
    serve(envoy, one("LISTENER", "ADD", listener, {"context": "GATEWAY"}))
    for attempt in range(50):
        answer = envoy.run(envoy.send(Request(9090, "own.example")))
        if answer is not None:
            break
        envoy.run(asyncio.sleep(0.01 * attempt))
    assert answer is not None and answer.status == 299


@pytest.mark.parametrize(
    ("wanted", "applies"),
    [
        ({"TEAM": "edge"}, True),
        ({"TEAM": "other"}, False),
        ({"NAMESPACE": "istio-system", "CLUSTER_ID": "Kubernetes"}, True),
    ],
)
def test_metadata_of_the_node_select_patches(envoy: Lab, wanted: dict[str, str], applies: bool) -> None:
    patch = {**BEFORE_ROUTER, "proxy": {"metadata": wanted, "proxyVersion": r"^1\.\d+.*"}}
    header = f"x-{len(wanted)}-{applies}".lower()
    mark = one("HTTP_FILTER", "INSERT_BEFORE", adding(f"{header}-served"), BEFORE_ROUTER, name="z")
    serve(
        envoy,
        one("HTTP_FILTER", "INSERT_BEFORE", adding(header), patch),
        mark,
        proxy={"proxyMetadata": {"ISTIO_META_TEAM": "edge"}},
    )
    answer = eventually(envoy, "/", with_header(f"{header}-served"))
    assert (header in answer.headers) is applies


class Limiter:
    """A rate limit service: two requests for each value of a descriptor, then no more."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def limit(self, request: Any, _context: Any) -> Any:
        (descriptor,) = request.descriptors
        entry = request.domain, {each.key: each.value for each in descriptor.entries}
        self.seen.append(entry)
        over = self.seen.count(entry) > 2
        code = RateLimitResponse.OVER_LIMIT if over else RateLimitResponse.OK
        answer = RateLimitResponse(overall_code=code)
        if over:
            answer.response_headers_to_add.add(key="x-limited", value="yes")
        return answer


@contextmanager
def limiting() -> Iterator[tuple[Limiter, int]]:
    limiter = Limiter()
    server = grpc.server(ThreadPoolExecutor(2))
    method = grpc.unary_unary_rpc_method_handler(
        limiter.limit, RateLimitRequest.FromString, RateLimitResponse.SerializeToString
    )
    handler = grpc.method_handlers_generic_handler(
        "envoy.service.ratelimit.v3.RateLimitService", {"ShouldRateLimit": method}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield limiter, port
    server.stop(None)


def rate_limit(**more: Any) -> list[dict[str, Any]]:
    """A global limit by the header x-user, as Istio's task shows it: a filter, and actions on the virtual host."""
    cluster = "outbound|8081||limits.default.svc.cluster.local"
    config = {
        "@type": f"{TYPE}.http.ratelimit.v3.RateLimit",
        "domain": "edge",
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "5s"},
            "transport_api_version": "V3",
        },
        **more,
    }
    actions = [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]
    return [
        one(
            "HTTP_FILTER",
            "INSERT_BEFORE",
            {"name": "envoy.filters.http.ratelimit", "typed_config": config},
            BEFORE_ROUTER,
        ),
        one(
            "VIRTUAL_HOST",
            "MERGE",
            {"rate_limits": [{"actions": actions}]},
            {"context": "GATEWAY", "routeConfiguration": {"vhost": {"name": "b.example:80"}}},
            name="g",
        ),
    ]


def test_a_global_rate_limit_asks_its_service(envoy: Lab) -> None:
    with limiting() as (limiter, port):
        serve(envoy, *rate_limit(), limiter=port)
        eventually(envoy, "/", lambda _: bool(limiter.seen), ("x-user", "warm"))
        assert limiter.seen[0] == ("edge", {"user": "warm"})
        statuses = [ask(envoy, "/", ("x-user", "ann")).status for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        limited = ask(envoy, "/", ("x-user", "ann"))
        assert limited.headers["x-limited"] == "yes" and limited.headers["x-envoy-ratelimited"] == "true"
        assert ask(envoy, "/", ("x-user", "bob")).status == 200
        before = len(limiter.seen)
        assert ask(envoy, "/").status == 200 and len(limiter.seen) == before  # without the header, nobody is asked


@pytest.mark.parametrize(("more", "status"), [({}, 200), ({"failure_mode_deny": True}, 500)])
def test_a_rate_limit_service_that_does_not_answer(envoy: Lab, more: dict[str, Any], status: int) -> None:
    serve(envoy, *rate_limit(**more), limiter=1)
    eventually(envoy, "/", lambda found: found.status == status, ("x-user", "ann"))


@pytest.mark.parametrize(("more", "status"), [({}, 200), ({"failure_mode_deny": True}, 500)])
def test_a_rate_limit_service_that_does_not_exist(envoy: Lab, more: dict[str, Any], status: int) -> None:
    gateway = serve(envoy, *rate_limit(**more), limiter=None)
    eventually(envoy, "/", lambda found: found.status == status, ("x-user", "ann"))
    predicted = decide(gateway, Request(8080, "b.example", headers=(("x-user", "ann"),))).outcome
    assert isinstance(predicted, Answered) == (status == 500)
    assert ask(envoy, "/").status == 200
    assert isinstance(decide(gateway, Request(8080, "b.example")).outcome, Forwarded)
