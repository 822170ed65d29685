"""EnvoyFilters at the gateway, with curl through a running edge."""

from __future__ import annotations

import re
from pathlib import Path

from tests.edge.conftest import Start

FILTERS = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua, namespace: istio-system}
spec:
  configPatches:
    - applyTo: HTTP_FILTER
      match: &before_router
        context: GATEWAY
        listener:
          filterChain:
            filter:
              name: envoy.filters.network.http_connection_manager
              subFilter: {name: envoy.filters.http.router}
      patch:
        operation: INSERT_BEFORE
        value:
          name: envoy.filters.http.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code: {inline_string: "function envoy_on_response(h) h:headers():add('x-lua', '1') end"}
    - applyTo: HTTP_FILTER
      match: *before_router
      patch:
        operation: INSERT_BEFORE
        value:
          name: istio.stats
          typed_config: {"@type": type.googleapis.com/stats.PluginConfig}
    - applyTo: CLUSTER
      patch: {operation: MERGE, value: {connect_timeout: soon}}
"""


def test_patches_change_answers_and_what_envoy_lacks_is_refused_alone(up: Start, manifests: Path) -> None:
    (manifests / "patches.yaml").write_text(FILTERS)
    edge = up(manifests).ready()
    edge.wait(until=lambda: "x-lua: 1" in edge.curl("-i", "https://quay.example/").lower(), what="the filter runs")
    edge.wait(until=lambda: "stats.PluginConfig" in edge.log(), what="the refusal is told")
    assert re.search(r"patches\.yaml:21:7: error: .*istio\.stats", edge.log())
    edge.wait(until=lambda: "[LG2050]" in edge.log(), what="the unreadable value is told")
