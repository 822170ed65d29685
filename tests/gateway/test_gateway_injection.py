"""No text of an Istio resource becomes a header of its own: it is refused, here or by Envoy, or stays in its place."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from gateway_cases import backend, load_objects, sources, the_pod
from gateway_envoy import Answer, Lab, lab

from lockgate.gateway.build import build
from lockgate.gateway.mesh import mesh
from lockgate.gateway.request import Request
from lockgate.gateway.workload import workload
from lockgate.resources import istio, validation

INJECTED = "x\r\nX-Evil: y"
PATHS = ("/redirect", "/rewrite", "/regex", "/answer", "/cookie", "/plain")
ROUTE = [{"destination": {"host": "web"}}]
VIRTUAL_SERVICE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "v", "namespace": "default"},
    "spec": {
        "hosts": ["a.example"],
        "gateways": ["g"],
        "http": [
            {
                "name": "redirect",
                "match": [{"uri": {"prefix": "/redirect"}}],
                "redirect": {"uri": "/to", "authority": "b.example", "scheme": "https"},
            },
            {
                "match": [{"uri": {"prefix": "/rewrite"}}],
                "rewrite": {"uri": "/to", "authority": "c.example"},
                "headers": {
                    "request": {"add": {"x-a": "1"}, "set": {"x-b": "2"}, "remove": ["x-c"]},
                    "response": {"add": {"x-a": "1"}, "set": {"x-b": "2"}, "remove": ["x-c"]},
                },
                "retries": {"attempts": 2, "retryOn": "5xx"},
                "route": [{**ROUTE[0], "headers": {"response": {"set": {"x-d": "3"}}}}],
            },
            {
                "match": [{"uri": {"prefix": "/regex"}}],
                "rewrite": {"uriRegexRewrite": {"match": "^/regex", "rewrite": "/to"}},
                "corsPolicy": {
                    "allowOrigins": [{"prefix": "https://"}],
                    "allowMethods": ["GET"],
                    "allowHeaders": ["x-a"],
                    "exposeHeaders": ["x-b"],
                    "maxAge": "10s",
                },
                "route": ROUTE,
            },
            {
                "match": [{"uri": {"prefix": "/answer"}}],
                "directResponse": {"status": 200, "body": {"string": "as asked"}},
                "headers": {"response": {"set": {"content-type": "text/plain"}}},
            },
            {"match": [{"uri": {"prefix": "/cookie"}}], "route": [{"destination": {"host": "sticky"}}]},
            {
                "match": [{"uri": {"prefix": "/plain"}, "headers": {"x-m": {"exact": "1"}}}],
                "route": ROUTE,
            },
        ],
    },
}
DESTINATION_RULE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "d", "namespace": "default"},
    "spec": {
        "host": "sticky",
        "trafficPolicy": {
            "loadBalancer": {
                "consistentHash": {
                    "httpCookie": {
                        "name": "session",
                        "path": "/",
                        "ttl": "60s",
                        "attributes": [{"name": "SameSite", "value": "Lax"}],
                    }
                }
            }
        },
    },
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "gateway", "namespace": "default", "labels": {"istio": "ingressgateway"}},
    "spec": {"containers": [{"name": "istio-proxy"}]},
}
GATEWAY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "g", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
}


def _texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts are, names of maps included."""
    match value:
        case dict():
            for name, inner in value.items():
                if path[-1:] in (("add",), ("set",)):
                    yield (*path, name, "")  # the name itself
                yield from _texts(inner, (*path, name))
        case list():
            for index, inner in enumerate(value):
                yield from _texts(inner, (*path, index))
        case str():
            yield path


def _injected(manifest: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    changed = deepcopy(manifest)
    *above, last = path
    place: Any = changed["spec"]
    if last == "":
        *above, name = above
        for part in above:
            place = place[part]
        place[f"{name}{INJECTED}"] = place.pop(name)
        return changed
    for part in above:
        place = place[part]
    place[last] += INJECTED
    return changed


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab() as running:
        yield running


def _serve(envoy: Lab, *rules: dict[str, Any]) -> None:
    manifests = [POD, GATEWAY, *rules]
    for name in ("web", "sticky"):
        service, slice_ = backend(f"default/{name}", {"http": 80})
        slice_["endpoints"] = [{"addresses": ["127.0.0.1"]}]
        slice_["ports"] = [{"name": "http", "port": envoy.backends[0]}]
        manifests += [service, slice_]
    objects = load_objects(manifests)
    envoy.run(envoy.serve(build(sources(objects), workload(the_pod(objects), []), mesh=mesh({})).gateway, {}))


def _answers(envoy: Lab) -> Iterator[Answer]:
    for path in PATHS:
        for method in ("GET", "OPTIONS"):
            headers = (
                ("Origin", "https://shop.example"),
                ("Access-Control-Request-Method", "GET"),
                ("X-M", "1"),
            )
            answer = envoy.run(envoy.send(Request(8080, "a.example", path, method=method, headers=headers)))
            if answer is not None:
                yield answer


def test_without_it_everything_answers(envoy: Lab) -> None:
    _serve(envoy, VIRTUAL_SERVICE, DESTINATION_RULE)
    answers = list(_answers(envoy))
    assert len(answers) == 2 * len(PATHS)
    assert not envoy.rejections
    assert any("set-cookie" in answer.headers for answer in answers)
    assert any("access-control-allow-headers" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        pytest.param(manifest, path, id=f"{manifest['kind']}.{'.'.join(map(str, path))}")
        for manifest in (VIRTUAL_SERVICE, DESTINATION_RULE)
        for path in _texts(manifest["spec"])
        if path[0] not in ("hosts", "gateways", "host")
    ],
)
def test_no_text_begins_another_header(envoy: Lab, manifest: dict[str, Any], path: tuple[str | int, ...]) -> None:
    changed = _injected(manifest, path)
    model = istio.VirtualService if manifest is VIRTUAL_SERVICE else istio.DestinationRule
    if validation.validate(model, changed):
        return  # refused before anything is built
    others = [each for each in (VIRTUAL_SERVICE, DESTINATION_RULE) if each is not manifest]
    _serve(envoy, changed, *others)
    for answer in _answers(envoy):
        assert "x-evil" not in answer.headers
        if answer.body.startswith(b"{"):
            assert "x-evil" not in answer.seen["headers"]
