"""IstioOperator: what istioctl installs. Typed as far as gateway Services and mesh settings require."""

from typing import Any, ClassVar

from pydantic import Field

from lockgate.resources.core import ServiceSpec
from lockgate.resources.meta import AGE
from lockgate.resources.model import Flag, JsonObject, Kind, Model, Resource, register


class OverlayPatch(Model):
    path: str = ""
    value: Any = None


class Overlay(Model):
    """Patches of one object that the chart renders."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    patches: tuple[OverlayPatch, ...] = ()


class GatewayKubernetes(Model):
    """Settings of the rendered objects; typed only for the Service and the Pods' annotations."""

    OPEN: ClassVar[bool] = True

    service: ServiceSpec | None = None
    service_annotations: dict[str, str] = Field(default_factory=dict)
    pod_annotations: dict[str, str] = Field(default_factory=dict)
    overlays: tuple[Overlay, ...] = ()


class GatewayComponent(Model):
    """One entry of `ingressGateways` or `egressGateways`. `k8s` overrides what the chart renders."""

    OPEN: ClassVar[bool] = True

    name: str = ""
    namespace: str = ""
    enabled: Flag | None = None
    label: dict[str, str] = Field(default_factory=dict)
    k8s: GatewayKubernetes = Field(default_factory=GatewayKubernetes)


class IstioComponents(Model):
    OPEN: ClassVar[bool] = True

    base: JsonObject = Field(default_factory=dict)
    pilot: JsonObject = Field(default_factory=dict)
    cni: JsonObject = Field(default_factory=dict)
    ztunnel: JsonObject = Field(default_factory=dict)
    istiod_remote: JsonObject = Field(default_factory=dict)
    ingress_gateways: tuple[GatewayComponent, ...] = ()
    egress_gateways: tuple[GatewayComponent, ...] = ()


class IstioOperatorSpec(Model):
    OPEN: ClassVar[bool] = True

    profile: str = ""
    hub: str = ""
    tag: str | int | float = ""
    revision: str = ""
    namespace: str = ""
    compatibility_version: str = ""
    components: IstioComponents = Field(default_factory=IstioComponents)
    mesh_config: JsonObject = Field(default_factory=dict)
    values: JsonObject = Field(default_factory=dict)
    unvalidated_values: JsonObject = Field(default_factory=dict)


@register
class IstioOperator(Resource):
    """`metadata.name` is optional: only istioctl reads the file, no API server."""

    KIND: ClassVar[Kind] = Kind(
        "install.istio.io",
        ("v1alpha1",),
        "IstioOperator",
        "istiooperators",
        short_names=("iop", "io"),
        columns=(AGE,),
    )

    spec: IstioOperatorSpec = Field(default_factory=IstioOperatorSpec)
    status: JsonObject = Field(default_factory=dict)
