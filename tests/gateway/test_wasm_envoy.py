"""WasmPlugins with a real Envoy, which runs a real module: `tests/cases/gateway/served/header.wat`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from gateway_cases import CASES, GATEWAY_POD, GATEWAY_SERVICE, POLICED, backend, load_objects, of, sources
from gateway_envoy import Answer, Lab, key_pair, lab

from lockgate.gateway.build import build
from lockgate.gateway.mesh import mesh
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, decide
from lockgate.gateway.wasm import Loaded, places
from lockgate.gateway.workload import workload
from lockgate.resources import core, istio

PAIR = key_pair("a.example")
MODULE = CASES / "served" / "header.wasm"
TO_BACKEND = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: istio-system}
spec: {hosts: [b.example], gateways: [edge], http: [{route: [{destination: {host: a.default.svc.cluster.local}}]}]}
"""


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(8080, 8443, 9000, 15021), backends=1, finds_culprits=True) as running:
        yield running


def plugin(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": {"url": f"file://{MODULE}", **spec},
    }


def serve(envoy: Lab, *plugins: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> None:
    """The modules are those that the plugins name; one that is not a file is missing."""
    service, endpoints = backend("default/a", {"tcp": 80})
    endpoints["endpoints"] = [{"addresses": ["127.0.0.1"]}]
    endpoints["ports"] = [{"name": "tcp", "port": envoy.backends[0]}]
    objects = load_objects(
        [
            *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE, TO_BACKEND)),
            *yaml.safe_load_all(POLICED),
            *(service, endpoints),
            *plugins,
            *others,
        ]
    )
    named = list(places(of(objects, istio.WasmPlugin)))
    paths = {place: place.url.removeprefix("file://") for place in named}
    modules = {place: Loaded(path) if "none" not in path else Loaded(reason="missing") for place, path in paths.items()}
    (pod,) = of(objects, core.Pod)
    found = replace(sources(objects), modules=modules)
    built = build(found, workload(pod, of(objects, core.Service)), mesh=mesh({}))
    envoy.rejections.clear()
    envoy.run(envoy.serve(built.gateway, {"kubernetes://pair": PAIR}))


def ask(envoy: Lab, *headers: tuple[str, str], port: int = 8080) -> Answer:
    answer = envoy.run(envoy.send(Request(port, "b.example", "/", headers=headers, tls=port == 8443)))
    assert answer is not None
    return answer


def eventually(envoy: Lab, holds: Any, *headers: tuple[str, str], **given: Any) -> Answer:
    """A worker may take a configuration a moment late, and finding a culprit takes a few Envoys."""
    for attempt in range(100):
        answer = ask(envoy, *headers, **given)
        if holds(answer):
            return answer
        envoy.run(asyncio.sleep(0.01 * attempt))
    raise AssertionError(f"{answer} {envoy.rejections}")


def test_a_module_with_its_configuration(envoy: Lab) -> None:
    serve(envoy, plugin("a", pluginConfig={"who": "me"}))
    assert envoy.rejections == []
    answer = eventually(envoy, lambda found: found.headers.get("x-wasm") == '{"who": "me"}')
    assert answer.seen["headers"]["x-wasm"] == '{"who": "me"}'
    refused = ask(envoy, ("x-refuse", "1"))
    assert (refused.status, refused.body) == (418, b"refused by a module")
    assert eventually(envoy, lambda found: "x-wasm" in found.headers, port=8443).status == 200


def test_modules_run_before_access_control_and_after_it(envoy: Lab) -> None:
    deny = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "seen", "namespace": "istio-system"},
        "spec": {"action": "DENY", "rules": [{"when": [{"key": "request.headers[x-wasm]", "values": ["nothing"]}]}]},
    }
    serve(envoy, plugin("a", phase="AUTHZ"), others=(deny,))
    assert eventually(envoy, lambda found: found.status == 403).body == b"RBAC: access denied"
    serve(envoy, plugin("a"), others=(deny,))
    assert eventually(envoy, lambda found: found.status == 200).headers["x-wasm"] == "nothing"


@pytest.mark.parametrize(("strategy", "status"), [("FAIL_CLOSE", 403), ("FAIL_OPEN", 200), ("FAIL_RELOAD", 403)])
def test_a_missing_module_refuses_or_lets_pass(envoy: Lab, strategy: str, status: int) -> None:
    serve(envoy, plugin("a", url="file:///none.wasm", failStrategy=strategy))
    assert envoy.rejections == []
    eventually(envoy, lambda found: found.status == status)
    outcome = decide(envoy.served[-1][0], Request(8080, "b.example", "/")).outcome
    assert (outcome.status if isinstance(outcome, Answered) else 200) == status


@pytest.mark.parametrize(("strategy", "status"), [("FAIL_CLOSE", 403), ("FAIL_OPEN", 200)])
def test_a_module_that_envoy_rejects(envoy: Lab, tmp_path: Any, strategy: str, status: int) -> None:
    (tmp_path / "broken.wasm").write_bytes(MODULE.read_bytes()[:100])
    serve(envoy, plugin("a", url=f"file://{tmp_path}/broken.wasm", failStrategy=strategy), plugin("b", priority=-1))
    answer = eventually(envoy, lambda found: found.status == status)
    if status == 200:
        eventually(envoy, lambda found: found.headers.get("x-wasm") == "nothing")
    else:
        assert answer.body == b"RBAC: access denied"
        assert any("module of WasmPlugin istio-system/a" in each for each in envoy.rejections), envoy.rejections
