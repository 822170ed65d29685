"""Any routes and any request: what `trace` predicts from a running edge's APIs, its Envoys do.

One edge runs for all examples. Each example saves an Ingress and a VirtualService, waits until both are served, and
sends a few requests. `LOCKGATE_FUZZ` is the number of edges to try; without it a small, fixed set is.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.runtime import control, replay
from lockgate.runtime.commands import as_question
from lockgate.trace.model import Request
from tests.edge.conftest import Start, Up

pytestmark = pytest.mark.edge

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
HOSTS = ("quay.example", "www.quay.example", "shop.quay.example")
PATHS = ("/", "/api", "/api/v1", "/api/v1/x", "/apis", "/static/a.css", "/old", "/%41pi", "/a//b")
HEADERS = (("x-canary", "always"), ("x-canary", "never"), ("x-user", "7"))
SERVICES = ("web", "api")
ID = "0c0ffee0-1234-1234-1234-123456789012"

texts = st.one_of(
    st.builds(lambda value: {"exact": value}, st.sampled_from(PATHS)),
    st.builds(lambda value: {"prefix": value}, st.sampled_from(PATHS)),
    st.builds(lambda value: {"regex": value}, st.sampled_from(("/api/.*", "/[a-z]+", ".*css"))),
)
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": texts,
        "method": st.sampled_from(({"exact": "GET"}, {"exact": "POST"})),
        "headers": st.sampled_from(HEADERS).map(lambda pair: {pair[0]: {"exact": pair[1]}}),
        "queryParams": st.just({"q": {"exact": "1"}}),
        "scheme": st.sampled_from(({"exact": "https"}, {"exact": "http"})),
        "ignoreUriCase": st.booleans(),
    },
)
destinations = st.sampled_from(SERVICES).map(lambda name: {"destination": {"host": name, "port": {"number": 80}}})
actions = st.one_of(
    destinations.map(lambda one: {"route": [one]}),
    st.builds(lambda one, uri: {"route": [one], "rewrite": {"uri": uri}}, destinations, st.sampled_from(("/", "/new"))),
    st.just({"route": [{"destination": {"host": "web", "subset": "none", "port": {"number": 80}}}]}),
    st.builds(lambda status: {"directResponse": {"status": status}}, st.sampled_from((200, 403, 503))),
    st.builds(
        lambda code, uri: {"redirect": {"uri": uri, "redirectCode": code}},
        st.sampled_from((301, 302)),
        st.sampled_from(PATHS),
    ),
)
routes = st.builds(
    lambda found, action: {"match": found, **action} if found else action, st.lists(matches, max_size=2), actions
)
rules = st.lists(
    st.tuples(
        st.sampled_from((*HOSTS, "")), st.sampled_from(("/", "/api", "/static")), st.sampled_from(("Prefix", "Exact"))
    ),
    max_size=3,
)
requests = st.builds(
    lambda host, path, query, method, header, scheme: Request.of(
        f"{scheme}://{host}{path}{query}", method=method, headers=(header,) if header else ()
    ),
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    st.sampled_from(("", "?q=1", "?q=2")),
    st.sampled_from(("GET", "POST")),
    st.sampled_from((*HEADERS, None)),
    st.sampled_from(("https", "https", "http")),
)


def ingress(rows: list[tuple[str, str, str]], number: int) -> dict[str, Any]:
    """Rules for what is drawn, then everything else; the first shows that this Ingress is served."""
    backend = {"service": {"name": "istio-ingressgateway", "port": {"number": 443}}}
    marker = {"service": {"name": "marker", "port": {"name": "use-annotation"}}}
    paths = [
        ("", f"/marker-{number}", "Exact", marker),
        *((*row, backend) for row in rows),
        ("", "/", "Prefix", backend),
    ]
    fixed = {"type": "fixed-response", "fixedResponseConfig": {"contentType": "text/plain", "statusCode": "299"}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "edge",
            "namespace": "istio-system",
            "annotations": {
                "kubernetes.io/ingress.class": "alb",
                "alb.ingress.kubernetes.io/backend-protocol": "HTTPS",
                "alb.ingress.kubernetes.io/healthcheck-protocol": "HTTP",
                "alb.ingress.kubernetes.io/healthcheck-port": "status-port",
                "alb.ingress.kubernetes.io/healthcheck-path": "/healthz/ready",
                "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
                "alb.ingress.kubernetes.io/certificate-arn": f"arn:aws:acm:eu-west-1:123456789012:certificate/{ID}",
                "alb.ingress.kubernetes.io/actions.marker": json.dumps(fixed),
            },
        },
        "spec": {
            "rules": [
                {
                    **({"host": host} if host else {}),
                    "http": {"paths": [{"path": path, "pathType": kind, "backend": to}]},
                }
                for host, path, kind, to in paths
            ]
        },
    }


def virtual_service(drawn: list[dict[str, Any]], number: int) -> dict[str, Any]:
    marker = {"match": [{"uri": {"exact": f"/routes-{number}"}}], "directResponse": {"status": 298}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "quay", "namespace": "shop"},
        "spec": {"hosts": list(HOSTS), "gateways": ["istio-system/edge"], "http": [marker, *drawn]},
    }


STANDING = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: quay}}
"""


class Lab:
    """A running edge whose Ingress and VirtualService are replaced for each example."""

    def __init__(self, edge: Up, folder: Path) -> None:
        self._edge, self._folder = edge, folder
        self._state = edge.home / edge.name
        self._about = json.loads((self._state / "edge.json").read_text())
        self._number = 0

    def save(self, rows: list[tuple[str, str, str]], drawn: list[dict[str, Any]]) -> None:
        self._number += 1
        documents = [ingress(rows, self._number), virtual_service(drawn, self._number)]
        (self._folder / "drawn.yaml").write_text(yaml.safe_dump_all(documents))
        for path, status in ((f"/marker-{self._number}", 299), (f"/routes-{self._number}", 298)):
            deadline = time.monotonic() + 30
            while replay.send(Request.of(f"https://quay.example{path}"), self._about).status != status:
                assert time.monotonic() < deadline, f"{path} is not served\n{self._edge.log()}"

    def answer(self, request: Request) -> object:
        """What a client sees of the answer, and which backend gave it."""
        seen = replay.send(request, self._about)
        return seen.status, seen.backend, seen.location, seen.error

    def differences(self, request: Request) -> list[str]:
        predicted = control.ask(self._state / "run" / "control.sock", as_question(request, follow=False))
        return list(replay.differences(predicted, replay.send(request, self._about)))


@pytest.fixture(scope="module")
def lab(up: Start, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "standing.yaml").write_text(STANDING)
    (folder / "drawn.yaml").write_text(yaml.safe_dump_all([ingress([], 0), virtual_service([], 0)]))
    return Lab(up(folder).ready(), folder)


@settings(
    max_examples=FUZZ or 8,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate,) if not FUZZ else (Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(rules, st.lists(routes, min_size=1, max_size=4), st.lists(requests, min_size=4, max_size=8))
def test_prediction_and_wire_agree(
    lab: Lab, rows: list[tuple[str, str, str]], drawn: list[dict[str, Any]], asked: list[Request]
) -> None:
    lab.save(rows, drawn)
    for request in asked:
        assert lab.differences(request) == [], (
            f"{request.method} {request.url} {request.headers}\n{yaml.safe_dump(drawn)}"
        )
