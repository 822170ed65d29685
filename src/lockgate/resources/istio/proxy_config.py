"""ProxyConfig: settings of proxies that need a restart (istio/api `networking/v1beta1/proxy_config.proto`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector
from lockgate.resources.istio.versions import CATEGORIES
from lockgate.resources.meta import AGE
from lockgate.resources.model import Integer, JsonObject, Kind, Model, Resource, register


class ProxyImage(Model):
    image_type: str = ""


class ProxyConfigSpec(Model):
    selector: PolicySelector | None = None
    concurrency: Integer | None = None
    environment_variables: dict[str, str] = Field(default_factory=dict)
    image: ProxyImage | None = None


@register
class ProxyConfig(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io", ("v1beta1",), "ProxyConfig", "proxyconfigs", categories=CATEGORIES, columns=(AGE,)
    )

    spec: ProxyConfigSpec = Field(default_factory=ProxyConfigSpec)
    status: JsonObject = Field(default_factory=dict)
