"""A request for each place in a manifest that decides where requests go: `trace.examples`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.options import Options
from lockgate.resources.faults import Origin
from lockgate.runtime.reading.files import load
from lockgate.trace.examples import Example, example

EXAMPLES = Path(__file__).parents[2] / "examples"


def at(path: Path, line: str, nth: int = 0) -> Example | None:
    """At the first character of a line's text."""
    manifests = load([str(path)])
    edge = from_manifests(manifests, Options((str(path),)))
    found = []
    for document in manifests.documents:
        for number, text in enumerate(document.text.splitlines(), document.chunk.line + 1):
            if text.strip() == line:
                column = len(text) - len(text.lstrip()) + 1
                found.append((document, number, column + 2 * line.startswith("- ")))
    document, number, column = found[nth]
    place = document.path_at(number, column)
    assert place is not None
    return example(edge, Origin(document.key, place))


@pytest.mark.parametrize(
    ("folder", "line", "url"),
    [
        ("edge", "prefix: /api/", "https://towpath.example/api/"),
        ("edge", "host: web", "https://towpath.example/"),
        ("edge", "credentialName: towpath-tls", "https://towpath.example/"),
        ("edge", "hosts: [towpath.example, www.towpath.example]", "https://towpath.example/api/"),
        ("edge", "name: to-https", "http://towpath.example/"),  # the redirect is a rule of port 80 only
        ("plain-alb", "- path: /api", "https://mooring.example/api"),
        ("plain-alb", "- host: old.mooring.example", "https://old.mooring.example/"),
        ("grpc", "host: depth", "https://depth.example/"),
    ],
)
def test_a_request_that_gets_there(folder: str, line: str, url: str) -> None:
    found = at(EXAMPLES / folder, line)
    assert found is not None
    assert (found.trace.request.url, found.reaches) == (url, True)


def test_conditions_are_met_by_headers() -> None:
    found = at(EXAMPLES / "canary", "subset: next")
    assert found is not None
    assert (found.trace.request.headers, found.reaches) == ((("x-canary", "always"),), True)


@pytest.mark.parametrize("line", ["name: towpath", "kind: VirtualService", "apiVersion: v1", "app: web", "port: 3000"])
def test_nothing_else_has_a_request(line: str) -> None:
    assert at(EXAMPLES / "edge", line) is None


ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: towpath, namespace: shop}
spec:
  hosts: [towpath.example]
  gateways: [istio-system/edge]
  http:
    - match:
        - {uri: {prefix: /api/}}
        - {uri: {exact: /api/late}}
        - {uri: {regex: "/r/[0-9]+"}}
        - {uri: {exact: /q}, method: {exact: PUT}, queryParams: {v: {exact: "2"}}, withoutHeaders: {x-old: {}}}
      route: [{destination: {host: api, port: {number: 8080}}}]
"""


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    for file in (EXAMPLES / "edge").glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    services = (tmp_path / "50-routes.yaml").read_text().partition("---\n")[2]
    (tmp_path / "50-routes.yaml").write_text(f"{ROUTES}---\n{services}")
    return tmp_path


def test_a_route_that_an_earlier_one_takes_is_not_reached(routes: Path) -> None:
    found = at(routes, "- {uri: {exact: /api/late}}")
    assert found is not None
    assert (found.trace.request.target, found.reaches) == ("/api/late", False)


def test_method_and_query_are_those_of_the_match(routes: Path) -> None:
    line = '- {uri: {exact: /q}, method: {exact: PUT}, queryParams: {v: {exact: "2"}}, withoutHeaders: {x-old: {}}}'
    found = at(routes, line)
    assert found is not None
    request = found.trace.request
    assert (request.method, request.target, request.headers, found.reaches) == ("PUT", "/q?v=2", (), True)


def test_a_regular_expression_has_an_example(routes: Path) -> None:
    found = at(routes, '- {uri: {regex: "/r/[0-9]+"}}')
    assert found is not None
    assert (found.trace.request.target, found.reaches) == ("/r/0", True)
