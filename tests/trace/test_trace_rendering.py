"""A trace and a route table as text, JSON and pictures."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from trace_cases import edge

from lockgate.resources.faults import Origin, Position
from lockgate.trace import picture, text
from lockgate.trace.model import BadUrl, Request, Trace
from lockgate.trace.table import tables
from lockgate.trace.walk import trace

NAMED = {
    "kind": "Gateway",
    "metadata": {"name": "edge", "namespace": "istio-system"},
    "spec": {
        "servers": [
            {
                "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                "hosts": ["shop.example"],
                "tls": {"mode": "SIMPLE", "credentialName": "shop-tls"},
            }
        ]
    },
}
HIDDEN = {
    "kind": "VirtualService",
    "metadata": {"name": "shop", "namespace": "shop"},
    "spec": {
        "http": [
            {
                "match": [{"uri": {"prefix": "/a"}}],
                "route": [{"destination": {"host": "web", "port": {"number": 3000}}}],
            },
            {"match": [{"uri": {"prefix": "/a/never"}}], "redirect": {"uri": "/"}},
        ]
    },
}


def locate(origin: Origin) -> Position:
    return Position("edge.yaml", len(origin.path) + 1)


def traced(url: str, change: list[dict[str, Any]] | None = None, *, follow: bool = False) -> Trace:
    return trace(edge(change), Request.of(url), follow=follow)


def lines(found: Trace, *, verbose: bool = False) -> list[str]:
    return list(text.lines(text.as_json(found, locate), verbose=verbose))


def test_the_lines_of_a_request_end_with_who_answers() -> None:
    shown = lines(traced("http://shop.example/x", follow=True))
    assert shown[0] == "GET http://shop.example/x   HTTP/1.1 from 203.0.113.10"
    assert " → 301 to https://shop.example:443/x" in shown
    assert shown[-1] == " → shop/web:3000 answers"
    assert any("not path begins with /api/" in line and "edge.yaml:" in line for line in shown)


def test_an_error_has_its_cause_its_line_and_its_fix() -> None:
    shown = lines(traced("https://shop.example/", [NAMED]))
    assert shown[-2].startswith(" → The load balancer answers 502.")
    assert "edge.yaml:" in shown[-2]
    assert shown[-1] == '   fix: Set `hosts: ["*"]` on the server of the Gateway.'


def test_many_skipped_routes_are_counted_unless_all_are_asked_for() -> None:
    many = [
        {
            "match": [{"uri": {"exact": f"/{number}"}}],
            "route": [{"destination": {"host": "web", "port": {"number": 3000}}}],
        }
        for number in range(9)
    ]
    last = {"route": [{"destination": {"host": "web", "port": {"number": 3000}}}]}
    change = [{**HIDDEN, "spec": {"http": [*many, last]}}]
    found = traced("https://shop.example/x", change)
    assert any("4 earlier ones do not match; --verbose shows them" in line for line in lines(found))
    assert sum("not path is /" in line for line in lines(found, verbose=True)) == 9


def test_the_json_of_a_trace_has_its_hops_in_order() -> None:
    shown = text.as_json(traced("https://shop.example/api/x"), locate)
    names = [hop["hop"] for hop in shown["hops"]]
    assert names[:4] == ["dns", "listener", "certificate", "rule"]
    assert names[-2:] == ["destination", "backend"]
    assert shown["ending"]["backend"] == "shop/api:8080"


def test_the_route_table_marks_what_no_request_reaches() -> None:
    shown = list(text.table_lines(text.table_json(tables(edge([HIDDEN])), locate)))
    assert any(line.startswith(" ✗ path begins with /a/never") and "301 redirect" in line for line in shown)
    assert any("no request reaches it: path begins with /a takes every request" in line for line in shown)


@pytest.mark.parametrize("url", ["https://shop.example/", "http://shop.example/", "https://other.example/"])
def test_pictures_are_well_formed_and_name_every_hop(url: str) -> None:
    found = traced(url, follow=True)
    drawn, flow = picture.svg(found), picture.mermaid(found)
    texts = [each.text or "" for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith("text")]
    assert f"→ {picture.ending_text(found.last)}"[:90] in "".join(texts)
    for hop in found.hops:
        assert hop.name in texts
        assert f"{hop.name}: " in flow


def test_a_label_cannot_leave_its_quotes_in_mermaid() -> None:
    assert '"' not in picture.mermaid(traced('https://shop.example/%22/"x"')).split("client((")[1].split("))")[0].strip(
        '"'
    )


@pytest.mark.parametrize(
    "url", ["ftp://shop.example/", "shop.example", "https://", "https://shop.example:x/", "https://a b/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        Request.of(url)


def test_a_request_knows_its_place_and_its_authority() -> None:
    request = Request.of("https://[::1]:8443/x?y", headers=(("Host", "shop.example"),))
    assert (request.url, request.authority) == ("https://[::1]:8443/x?y", "shop.example")
