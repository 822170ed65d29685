"""Whatever an EnvoyFilter says, the gateway is still served: patches apply, or are told of."""

from __future__ import annotations

from typing import Any

import yaml
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.gateway.mesh import mesh
from lockgate.resources.istio import EnvoyFilter
from lockgate.resources.validation import validate
from lockgate.xds.gateway import snapshot
from lockgate.xds.gateway.patched import PatchedPieces, unreadable

MANAGER = "envoy.filters.network.http_connection_manager"
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
BINDS = {port: ("127.0.0.1", port) for port in (8080, 8443, 9000, 9443, 15021)}
_names = st.sampled_from(("", MANAGER, "envoy.filters.http.router", "envoy.filters.http.cors", "istio.stats", "a"))
_configs = st.sampled_from(
    (
        {"@type": HCM, "server_name": "a", "stream_idle_timeout": "5s", "http_filters": [{"name": "x"}]},
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "inline_code": ""},
        {"@type": "type.googleapis.com/nobody.Knows", "a": [1]},
        {"@type": 7},
        {},
        "text",
    )
)
_values: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(("name", "typed_config", "filters", "routes", "domains", "match", "route", "nope")),
    st.one_of(_names, _configs, st.lists(st.fixed_dictionaries({"name": _names}), max_size=2), st.integers()),
    max_size=3,
)
_filter = st.fixed_dictionaries({}, optional={"name": _names, "subFilter": st.fixed_dictionaries({"name": _names})})
_matches: st.SearchStrategy[Any] = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "listener": st.fixed_dictionaries(
                {},
                optional={
                    "portNumber": st.sampled_from((8080, 443)),
                    "filterChain": st.fixed_dictionaries({}, optional={"filter": _filter, "sni": st.just("a")}),
                },
            )
        }
    ),
    st.just({"routeConfiguration": {"vhost": {"route": {"action": "DIRECT_RESPONSE"}}}}),
    st.just({"routeConfiguration": {"name": "http.8080", "gateway": "istio-system/edge"}}),
    st.just({"cluster": {"service": "a.default.svc.cluster.local"}}),
)
_parts = (
    *("LISTENER", "LISTENER_FILTER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "HTTP_FILTER", "HTTP_FILTER"),
    *("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE", "CLUSTER", "EXTENSION_CONFIG", "BOOTSTRAP"),
)
_operations = ("MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE")
_patches = st.builds(
    lambda part, operation, match, value: {
        "applyTo": part,
        "match": match,
        "patch": {"operation": operation, "value": value},
    },
    st.sampled_from(_parts),
    st.sampled_from(_operations),
    _matches,
    _values,
)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(_patches, min_size=1, max_size=4))
def test_a_gateway_is_served_with_any_patches(patches: list[Any]) -> None:
    manifest = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "f", "namespace": "istio-system"},
        "spec": {"configPatches": patches},
    }
    refused = list(validate(EnvoyFilter, manifest))
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE)),
        *yaml.safe_load_all(POLICED),
        *backend("default/a", {"tcp": 80}),
        *([] if refused else [manifest]),
    ]
    gateway = Case("", manifests, mesh({}), {}).build().gateway
    assert len(gateway.patches) == (0 if refused else len(patches))
    made = snapshot(gateway, binds=BINDS, credentials={})
    served = [patch for patch in gateway.patches if unreadable(patch) is None]
    for entries in made.resources.values():
        for entry in entries.values():
            if isinstance(entry.pieces, PatchedPieces):
                pieces = entry.pieces.all()
                assert {piece.value for piece in pieces if piece.value in served}
                assert entry.pieces.body(frozenset(range(len(pieces)))) == entry.body
                own = len(pieces) - len(entry.pieces.patches)
                assert entry.pieces.body(frozenset(range(own))) not in (None, entry.body)
