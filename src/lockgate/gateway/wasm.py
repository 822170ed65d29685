"""The WasmPlugins of a gateway workload, in the order in which istiod puts them into a chain's filters.

Source: istio/istio `pilot/pkg/model/extensions.go`, `push_context.go` (WasmPluginsByListenerInfo);
`pkg/wasm/convert.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lockgate.gateway.policies.attach import attached
from lockgate.gateway.policies.model import Wasm
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault, Origin

Phase: TypeAlias = Literal["AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE"]
FILE: Final = "file://"
_FETCHED: Final = (FILE, "http://", "https://")
_GATEWAY_MODES: Final = ("UNDEFINED", "CLIENT", "CLIENT_AND_SERVER")  # a gateway is its backends' client
_EFFECTS: Final = {
    "CLOSE": "every request that it would see gets 403",
    "RELOAD": "every request that it would see gets 403",
    "OPEN": "requests pass without it",
}
_ON_FAILURE: Final[Mapping[str, Literal["CLOSE", "OPEN", "RELOAD"]]] = {
    "FAIL_CLOSE": "CLOSE",
    "FAIL_OPEN": "OPEN",
    "FAIL_RELOAD": "RELOAD",
}


@dataclass(frozen=True, slots=True)
class ModulePlace:
    """Where a module comes from; one with another `version` is fetched again."""

    url: str
    sha256: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The file of a module, or the reason why there is none. Both are empty while it is being fetched."""

    path: str = ""
    reason: str = ""


Modules: TypeAlias = Mapping[ModulePlace, Loaded] | None  # None if nothing fetches modules


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins of chains that parse HTTP and of those that carry bytes, each by phase."""

    http: Mapping[Phase, tuple[Wasm, ...]]
    network: Mapping[Phase, tuple[Wasm, ...]]


def places(plugins: Iterable[istio.WasmPlugin]) -> Iterator[ModulePlace]:
    for plugin in plugins:
        if plugin.spec.url.startswith(_FETCHED):
            yield _place(plugin)


def plugins(
    objects: Sequence[istio.WasmPlugin], workload: Workload, root: str, modules: Modules
) -> tuple[Plugins, tuple[Fault, ...]]:
    faults: list[Fault] = []
    by_type: dict[str, dict[Phase, list[Wasm]]] = {"HTTP": {}, "NETWORK": {}}
    applying = sorted(attached(objects, workload, root), key=lambda one: -(one.spec.priority or 0))
    for plugin in applying:
        kind = "NETWORK" if plugin.spec.type == "NETWORK" else "HTTP"
        ports = _ports(plugin.spec.match, workload if kind == "NETWORK" else None)
        if ports != ():
            made = _plugin(plugin, ports, modules, faults)
            by_type[kind].setdefault(plugin.spec.phase, []).append(made)
    http, network = (
        {phase: tuple(found) for phase, found in by_phase.items()} for by_phase in (by_type["HTTP"], by_type["NETWORK"])
    )
    return Plugins(http, network), tuple(faults)


def _ports(match: tuple[istio.TrafficSelector, ...], workload: Workload | None) -> tuple[int, ...] | None:
    """The ports of the listeners that have the plugin; None for all.

    istiod compares with the Gateway's port for chains that carry bytes, and with none for those that parse HTTP, which
    therefore never have a plugin that names ports.
    """
    mine = [each for each in match if each.mode in _GATEWAY_MODES]
    if not match or any(not each.ports for each in mine):
        return None
    if workload is None:
        return ()
    return tuple(sorted({workload.target_port(port.number) for each in mine for port in each.ports}))


def _plugin(plugin: istio.WasmPlugin, ports: tuple[int, ...] | None, modules: Modules, faults: list[Fault]) -> Wasm:
    spec = plugin.spec
    on_failure = _ON_FAILURE[spec.fail_strategy]
    origin = Origin(plugin.key, ("spec", "url"))
    found = _module(plugin, modules)
    if found is not None and found.reason:
        effect = _EFFECTS[on_failure] if not found.path else "the earlier one stays"
        faults.append(codes.UNLOADED_MODULE.at(origin, url=spec.url, effect=effect, reason=found.reason))
    return Wasm(
        name=f"{plugin.namespace}.{plugin.name}",
        url=spec.url,
        sha256=spec.sha256,
        module=None if found is None else found.path,
        root=spec.plugin_name or "",
        config=json.dumps(spec.plugin_config, sort_keys=True) if spec.plugin_config else "",
        environment=tuple(
            (each.name, each.value)
            for each in (spec.vm_config.env if spec.vm_config else ())
            if each.value_from == "INLINE"
        ),
        on_failure=on_failure,
        ports=ports,
        origin=origin,
    )


def _module(plugin: istio.WasmPlugin, modules: Modules) -> Loaded | None:
    if not plugin.spec.url.startswith(_FETCHED):
        return Loaded(reason="images of registries are not pulled here: use file://, http:// or https://")
    return None if modules is None else modules.get(_place(plugin), Loaded())


def _place(plugin: istio.WasmPlugin) -> ModulePlace:
    always = plugin.spec.image_pull_policy == "Always"
    return ModulePlace(plugin.spec.url, plugin.spec.sha256, plugin.metadata.resource_version if always else "")
