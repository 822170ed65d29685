"""RE2's syntax: what Envoy would refuse is reported before, what it takes is not, and both match alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from gateway_cases import CASES
from gateway_envoy import Lab, lab

from lockgate.gateway.model import (
    Cluster,
    DirectResponse,
    Endpoint,
    FilterChain,
    Forward,
    Gateway,
    Http,
    Listener,
    Regex,
    RegexRewrite,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from lockgate.gateway.regex import full_match, mistake, rewritten
from lockgate.gateway.request import Request

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


# Patterns and substitutions of a path, which Envoy and we must change alike.
REWRITES = (
    ("/a/(.*)", r"/b/\1", "/a/c/d"),
    ("(b)", r"<\1\0>", "/abcb"),
    ("x*", "-", "/axxb"),
    ("[^/]+$", r"\\", "/a/b"),
    ("b", r"\1", "/ab"),
    ("(b)", r"c\d", "/ab"),
    ("(?i)B|(c)", r"[\1]", "/abc"),
    ("$", "/end", "/a"),
    ("a|", "-", "/aa"),
)


@pytest.mark.parametrize("pattern", PATTERNS["taken"])
def test_taken(pattern: str) -> None:
    assert mistake(pattern) is None


@pytest.mark.parametrize("pattern", PATTERNS["refused"])
def test_refused(pattern: str) -> None:
    assert mistake(pattern) is not None


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(80,), backends=1) as running:
        yield running


def serving(*patterns: str) -> Gateway:
    """A route for each pattern, the number of the first that matches its answer."""
    routes = tuple(
        Route(RouteMatch(Regex(pattern)), DirectResponse(200, str(number).encode()))
        for number, pattern in enumerate(patterns)
    )
    return gateway(*routes)


def gateway(*routes: Route, backend: int = 0) -> Gateway:
    configuration = RouteConfiguration("http.80", (VirtualHost("all", ("*",), routes),))
    listener = Listener("0.0.0.0_80", "0.0.0.0", 80, (FilterChain(Http("http.80")),))
    clusters = {"backend": Cluster("backend")} if backend else {}
    endpoints = {"backend": (Endpoint("127.0.0.1", backend),)} if backend else {}
    return Gateway("ns/gateway", "ns", (listener,), {"http.80": configuration}, clusters, endpoints)


def test_envoy_agrees_on_what_it_takes(envoy: Lab) -> None:
    for refused in (False, True):
        for pattern in PATTERNS["refused" if refused else "taken"]:
            envoy.rejections.clear()
            envoy.run(envoy.serve(serving(pattern), {}))
            assert bool(envoy.rejections) is refused, (pattern, envoy.rejections)


def test_envoy_agrees_on_what_matches(envoy: Lab) -> None:
    envoy.rejections.clear()
    for pattern, paths in MATCHES:
        envoy.run(envoy.serve(serving(pattern, ".*"), {}))
        for path in paths:
            answer = envoy.run(envoy.send(Request(80, "a.example", path)))
            assert answer is not None
            matched = full_match(pattern, path)
            assert answer.body == (b"0" if matched else b"1"), (pattern, path)
    assert envoy.rejections == []


def test_envoy_agrees_on_what_is_rewritten(envoy: Lab) -> None:
    envoy.rejections.clear()
    for pattern, substitution, path in REWRITES:
        to = Forward((WeightedCluster("backend"),), rewrite=RegexRewrite(pattern, substitution))
        made = gateway(Route(RouteMatch(Regex(".*")), to), backend=envoy.backends[0])
        envoy.run(envoy.serve(made, {}))
        answer = envoy.run(envoy.send(Request(80, "a.example", path)))
        assert answer is not None
        assert answer.seen["target"] == rewritten(pattern, substitution, path), (pattern, substitution, path)
    assert envoy.rejections == []
