"""What is left of a gateway's resources without the pieces that Envoy rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration as RouteMessage
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from test_gateway import GATEWAY, made

from lockgate.gateway.credentials import Authority, Credential, KeyPair
from lockgate.gateway.model import (
    DirectResponse,
    FilterChain,
    Http,
    Prefix,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey
from lockgate.xds.gateway.secrets import secret
from lockgate.xds.snapshot import LISTENER, ROUTE, Entry

SHOP = ObjectKey("networking.istio.io", "VirtualService", "shop", "shop")


def route(path: str, at: int) -> Route:
    return Route(RouteMatch(Prefix(path)), DirectResponse(200), origin=Origin(SHOP, ("spec", "http", at)))


A = VirtualHost("a", ("a.example",), (route("/x", 0), route("/y", 1)))
B = VirtualHost("b", ("b.example",))


def routes() -> Entry:
    routes = {**GATEWAY.routes, "http.8080": RouteConfiguration("http.8080", (A, B))}
    return made(replace(GATEWAY, routes=routes)).resources[ROUTE]["http.8080"]


def listener() -> Entry:
    (first, *others) = GATEWAY.listeners
    chains = (FilterChain(Http("http.8080"), ("a.example",)), FilterChain(Http("http.8080"), ("b.example",)))
    gateway = replace(GATEWAY, listeners=(replace(first, filter_chains=chains), *others))
    return made(gateway).resources[LISTENER]["0.0.0.0_8080"]


def test_the_pieces_of_routes_are_hosts_each_before_its_routes_and_know_their_places() -> None:
    pieces = routes().pieces
    assert pieces is not None
    found = [(str(each.source).partition(" of ")[0], each.source.origin) for each in pieces.all()]
    assert found == [
        ("virtual host a", Origin(SHOP, ("spec", "hosts"))),
        ("route", Origin(SHOP, ("spec", "http", 0))),
        ("route", Origin(SHOP, ("spec", "http", 1))),
        ("virtual host b", None),
    ]


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        ({0, 1, 2, 3}, {"a": ["/x", "/y"], "b": []}),
        ({0, 2, 3}, {"a": ["/y"], "b": []}),
        ({1, 2, 3}, {"b": []}),  # a route goes with its virtual host
        (set(), {}),
    ],
)
def test_routes_without_some_pieces(kept: set[int], left: dict[str, list[str]]) -> None:
    entry = routes().of_pieces(kept)
    assert entry is not None
    message = RouteMessage.FromString(entry.body)
    assert {host.name: [each.match.prefix for each in host.routes] for host in message.virtual_hosts} == left
    assert (entry.version == routes().version) is (len(kept) == 4)


def test_a_listener_without_one_of_its_servers() -> None:
    entry = listener().of_pieces({1})
    assert entry is not None
    (chain,) = Listener.FromString(entry.body).filter_chains
    assert list(chain.filter_chain_match.server_names) == ["b.example"]


def test_a_listener_without_servers_is_not_served() -> None:
    assert listener().of_pieces(set()) is None


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (KeyPair(b"chain", b"key"), {"tls_certificate": {"certificate_chain", "private_key"}}),
        (
            KeyPair(b"chain", b"key", b"staple"),
            {"tls_certificate": {"certificate_chain", "private_key", "ocsp_staple"}},
        ),
        (Authority(b"ca"), {"validation_context": {"trusted_ca"}}),
        (Authority(b"ca", b"crl"), {"validation_context": {"trusted_ca", "crl"}}),
    ],
)
def test_what_a_secret_holds(credential: Credential, expected: dict[str, set[str]]) -> None:
    message = Secret.FromString(secret("kubernetes://x", credential))
    found = {of.name: {field.name for field, _ in part.ListFields()} for of, part in message.ListFields()[1:]}
    assert (message.name, found) == ("kubernetes://x", expected)
