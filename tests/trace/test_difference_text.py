"""Differences as lines and as Markdown; requests that the statements of a web ACL name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from trace_cases import edge

from lockgate.loadbalancer.waf.reader import References, web_acl
from lockgate.resources.faults import Position
from lockgate.trace.difference import difference, text
from lockgate.trace.difference.web_acl import named_requests
from lockgate.trace.model import Request

CHANGE: list[dict[str, Any]] = yaml.safe_load("""
- kind: VirtualService
  metadata: {name: shop, namespace: shop}
  spec:
    http:
      - {match: [{uri: {exact: /a_b}}], directResponse: {status: 410}}
      - {match: [{uri: {prefix: /api/}}], rewrite: {uri: /}, route: [{destination: {host: api, port: {number: 8080}}}]}
      - route: [{destination: {host: web, port: {number: 3000}}}]
""")


def found() -> dict[str, Any]:
    places = (Position("old.yaml", 3, 1), Position("new.yaml", 7, 1))
    return text.as_json(difference(edge(), edge(CHANGE)), lambda _: places[0], lambda _: places[1])


def test_lines_for_people() -> None:
    lines = list(text.lines(found()))
    assert lines[0] == "https 443 shop.example, path is /a_b"
    assert lines[1].startswith(" - ") and lines[1].endswith("old.yaml:3:1")
    assert lines[2].startswith(" + ") and "410" in lines[2] and lines[2].endswith("new.yaml:7:1")
    assert any("curl -i https://shop.example/a_b" in line for line in lines)
    assert lines[-1].startswith("1 class of requests differs, of ")


def test_markdown_for_a_pull_request() -> None:
    page = "\n".join(text.markdown(found(), "main`", "HEAD"))
    assert "| requests | `main` | `HEAD` |" in page
    assert r"/a\_b" in page
    assert "<details>" in page
    assert "  - `HEAD`: `new.yaml:7:1`" in page


def test_many_classes_and_open_questions() -> None:
    one = found()["classes"][0]
    same = {
        **one,
        "old": one["new"],
        "changes": [{"aspect": "timeout", "old": "1 s", "new": "2 s"}],
        "ports": list("abcde"),
    }
    many = {**found(), "classes": [same] * 60, "undecided": ["a <b>"]}
    lines = list(text.lines(many))
    assert " … 10 more classes; --output json has all" in lines
    assert "   timeout: 1 s → 2 s" in lines
    assert lines[0].startswith("5 ports ")
    assert lines[-2] == " ? not decided: a <b>"
    assert lines[-1].endswith("; 1 question not decided")
    page = "\n".join(text.markdown(many, "old", "new"))
    assert "| … 10 more | | |" in page
    assert "<br>timeout: 1 s" in page
    assert r"- Not decided: a \<b>" in page


@pytest.mark.parametrize(
    ("classes", "hosts", "undecided", "summary"),
    [
        ([], 1, [], "equal: no request to 1 host is treated differently"),
        ([], 0, [], "equal: neither side serves a host"),
        ([], 2, ["a", "b"], "no difference found, of 2 hosts; 2 questions not decided"),
        ([1, 2], 2000, [], "2 classes of requests differ, of 2,000 hosts"),
    ],
)
def test_summaries(classes: list[int], hosts: int, undecided: list[str], summary: str) -> None:
    assert text.summary({"classes": classes, "hosts": hosts, "undecided": undecided}) == summary


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (Request.of("http://a.example/"), "curl -i http://a.example/"),
        (Request.of("http://a.example/", method="HEAD"), "curl -i -I http://a.example/"),
        (
            Request.of("http://a.example/../b", method="PUT", headers=(("x-a", "b c"), ("x-b", ""))),
            "curl -i -X PUT -H 'x-a: b c' -H 'x-b;' --path-as-is http://a.example/../b",
        ),
    ],
)
def test_a_command_that_sends_the_request(request_: Request, command: str) -> None:
    assert text.curl(request_) == command


ALL = {"MatchPattern": {"All": {}}, "MatchScope": "ALL", "OversizeHandling": "MATCH"}


def statement(field: dict[str, Any], search: str) -> dict[str, Any]:
    how = {"FieldToMatch": field, "PositionalConstraint": "EXACTLY", "SearchString": search.encode()}
    return {"ByteMatchStatement": {**how, "TextTransformations": [{"Priority": 0, "Type": "NONE"}]}}


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        (statement({"Method": {}}, "put"), ["PUT"]),
        (statement({"UriPath": {}}, "admin"), ["/admin"]),
        (statement({"UriPath": {}}, "a b"), []),  # no path has it as it is
        (statement({"SingleHeader": {"Name": "X-A"}}, " v "), ["v"]),
        (statement({"SingleQueryArgument": {"Name": "q"}}, "v"), ["v"]),
        (statement({"QueryString": {}}, "a=b"), ["b"]),
        (statement({"Headers": ALL}, "v"), ["v"]),
        (statement({"Cookies": ALL}, "v"), ["any=v"]),
        (statement({"AllQueryArguments": {}}, "v"), ["v"]),
        (
            {"SizeConstraintStatement": {"FieldToMatch": {"UriPath": {}}, "ComparisonOperator": "GT", "Size": 3,
                                         "TextTransformations": [{"Priority": 0, "Type": "NONE"}]}},
            ["/aaaa"],
        ),
        (
            {"RegexMatchStatement": {"FieldToMatch": {"UriPath": {}}, "RegexString": "^/x[0-9]$",
                                     "TextTransformations": [{"Priority": 0, "Type": "NONE"}]}},
            ["/x0"],
        ),
        ({"GeoMatchStatement": {"CountryCodes": ["KR"]}}, []),
    ],
)  # fmt: skip
def test_requests_that_a_statement_names(statement: dict[str, Any], parts: list[str]) -> None:
    metrics = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
    rule = {"Name": "r", "Priority": 0, "Action": {"Block": {}}, "Statement": statement, "VisibilityConfig": metrics}
    acl = web_acl({"Name": "a", "DefaultAction": {"Allow": {}}, "Rules": [rule], "ARN": "arn:a"}, References())
    named = [value for each in named_requests(acl, None) for example in each.values() for value in example]
    assert named == parts


PRINCIPAL = "if the client's certificate has the name spiffe://a/b"


@pytest.mark.parametrize(
    ("rule", "requests"),
    [
        ({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}, "shop.example"),  # the load balancer's address
        ({"from": [{"source": {"ipBlocks": ["203.0.113.0/24"]}}]}, ""),  # a client's
        ({"to": [{"operation": {"ports": ["8443"]}}]}, "shop.example"),
        ({"to": [{"operation": {"ports": ["80"]}}]}, ""),
        ({"to": [{"operation": {"notPaths": ["/a*"]}}]}, "shop.example, path does not begin with /a"),
        ({"to": [{"operation": {"paths": ["/a/{*}/b"]}}]}, "shop.example, path matches /a/"),
        ({"to": [{"operation": {"notHosts": ["shop.example"]}}]}, "the DNS name of k8s-istiosys-edge-cab577c9d5"),
        ({"when": [{"key": "request.headers[x-a]", "values": ["1"]}]}, "shop.example, header x-a is 1"),
        ({"when": [{"key": "connection.sni", "values": ["shop.example"]}]}, ""),  # a load balancer sends none
        ({"from": [{"source": {"principals": ["a/b"]}}]}, PRINCIPAL),
    ],
)
def test_which_requests_a_policy_denies(rule: dict[str, Any], requests: str) -> None:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "p", "namespace": "istio-system"},
        "spec": {"action": "DENY", "rules": [rule]},
    }
    shown = text.as_json(difference(edge(), edge([policy])), lambda _: None, lambda _: None)
    changed = [each["requests"] for each in shown["classes"]] or shown["undecided"]
    assert bool(changed) is bool(requests)
    assert all(requests in each for each in changed)
