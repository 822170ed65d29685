"""RE2's syntax: what Envoy would refuse is told before, what it takes is not, and both match alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from gateway_cases import CASES
from gateway_envoy import Lab, lab

from lockgate.gateway.model import (
    DirectResponse,
    FilterChain,
    Gateway,
    Http,
    Listener,
    Regex,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from lockgate.gateway.regex import compiled, mistake
from lockgate.gateway.routing import Request

PATTERNS = yaml.safe_load((CASES / "regex" / "patterns.yaml").read_text())
MATCHES = (
    ("(?i)/a|/b", ("/A", "/B", "/c")),
    ("/a(?i)b|/c", ("/aB", "/AB", "/C")),
    ("/[[:digit:]-]+", ("/1-2", "/x")),
    (r"/\pL+", ("/ab", "/1")),
    (r"/\Qa.b\E", ("/a.b", "/axb")),
    ("/a$|/b", ("/a", "/b", "/ab")),
    ("/(?U)a+b?", ("/aab", "/b")),
    (r"/[^\W_]+", ("/a1", "/_")),
    ("/a{,2}", ("/a", "/aa")),
    (r"/\x61\.", ("/a.", "/ab")),
)


@pytest.mark.parametrize("pattern", PATTERNS["taken"])
def test_taken(pattern: str) -> None:
    assert mistake(pattern) is None


@pytest.mark.parametrize("pattern", PATTERNS["refused"])
def test_refused(pattern: str) -> None:
    assert mistake(pattern) is not None


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(80,), backends=0) as running:
        yield running


def serving(*patterns: str) -> Gateway:
    """A route for each pattern, the number of the first that matches its answer."""
    routes = tuple(
        Route(RouteMatch(Regex(pattern)), DirectResponse(200, str(number).encode()))
        for number, pattern in enumerate(patterns)
    )
    configuration = RouteConfiguration("http.80", (VirtualHost("all", ("*",), routes),))
    listener = Listener("0.0.0.0_80", "0.0.0.0", 80, (FilterChain(Http("http.80")),))
    return Gateway("ns/gateway", "ns", (listener,), {"http.80": configuration})


def test_envoy_agrees_on_what_it_takes(envoy: Lab) -> None:
    for refused in (False, True):
        for pattern in PATTERNS["refused" if refused else "taken"]:
            envoy.rejections.clear()
            envoy.run(envoy.serve(serving(pattern), {}))
            # A limit of the size of programs is a matter of the bootstrap, not of the syntax.
            told = [text for text in envoy.rejections if "program size" not in text]
            assert bool(told) is refused, (pattern, told)


def test_envoy_agrees_on_what_matches(envoy: Lab) -> None:
    envoy.rejections.clear()
    for pattern, paths in MATCHES:
        envoy.run(envoy.serve(serving(pattern, ".*"), {}))
        for path in paths:
            answer = envoy.run(envoy.send(Request(80, "a.example", path)))
            assert answer is not None
            matched = compiled(pattern).fullmatch(path) is not None
            assert answer.body == (b"0" if matched else b"1"), (pattern, path)
    assert envoy.rejections == []
