"""ProxyConfigs: environment variables of a gateway's proxy, as settings of the mesh that they override.

Source: istio/istio `pilot/pkg/model/proxy_config.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.gateway.mesh import Variables
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.model import JsonObject


def variables(configs: Iterable[istio.ProxyConfig], workload: Workload, root: str) -> Variables:
    """The variables for a workload, of the root namespace before its own, and of older ProxyConfigs before younger."""
    general: JsonObject = {}
    selected: JsonObject = {}
    ordered = sorted(configs, key=lambda one: (one.namespace != root, one.metadata.creation_timestamp, one.name))
    for config in ordered:
        if config.namespace not in (root, workload.namespace):
            continue
        labels = _object(_object(config.spec, "selector"), "matchLabels")
        own = _object(config.spec, "environmentVariables")
        if not labels:
            general |= own
        elif config.namespace == workload.namespace and workload.selected_by({n: str(v) for n, v in labels.items()}):
            selected |= own
    return Variables(general, selected)


def _object(config: JsonObject, name: str) -> JsonObject:
    value = config.get(name)
    return value if isinstance(value, dict) else {}
