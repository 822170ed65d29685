"""WasmPlugin: WebAssembly modules in a proxy's filter chain (istio/api `extensions/v1alpha1/wasm.proto`)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector, TargetReference
from lockgate.resources.meta import AGE
from lockgate.resources.model import Integer, JsonObject, Kind, Model, Resource, register


class WasmPort(Model):
    number: Integer


class TrafficSelector(Model):
    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = "UNDEFINED"
    ports: tuple[WasmPort, ...] = ()


class WasmVariable(Model):
    name: str
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


class WasmVm(Model):
    env: tuple[WasmVariable, ...] = ()


class WasmPluginSpec(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "targetRef", "targetRefs"),)

    selector: PolicySelector | None = None
    target_ref: TargetReference | None = None
    target_refs: tuple[TargetReference, ...] = ()
    url: str
    sha256: str = ""
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] = "UNSPECIFIED_POLICY"
    image_pull_secret: str | None = None
    verification_key: str = ""
    plugin_config: JsonObject | None = None
    plugin_name: str | None = None
    phase: Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED_PHASE"
    priority: Integer | None = None
    fail_strategy: Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] = "FAIL_CLOSE"
    vm_config: WasmVm | None = None
    match: tuple[TrafficSelector, ...] = ()
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] = "UNSPECIFIED_PLUGIN_TYPE"


@register
class WasmPlugin(Resource):
    KIND: ClassVar[Kind] = Kind(
        "extensions.istio.io",
        ("v1alpha1",),
        "WasmPlugin",
        "wasmplugins",
        categories=("istio-io", "extensions-istio-io"),
        columns=(AGE,),
    )

    spec: WasmPluginSpec
    status: JsonObject = Field(default_factory=dict)
