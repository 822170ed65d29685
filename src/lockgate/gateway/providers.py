"""meshConfig's extension providers, and the services that they name.

Source: istio/istio `pilot/pkg/model/extensions.go`, `telemetry_logging.go` (LookupCluster), `pkg/config/mesh/mesh.go`.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from lockgate.gateway.mesh import Mesh
from lockgate.gateway.registry import Host, Hosts
from lockgate.resources.istio.extension_provider import ExtensionProvider
from lockgate.resources.model import JsonObject

BUILT_IN: Final[tuple[JsonObject, ...]] = (
    {"name": "prometheus", "prometheus": {}},
    {"name": "envoy", "envoyFileAccessLog": {"path": "/dev/stdout"}},
)  # of every mesh, which providers of their names replace


class Unusable(Exception):
    """istiod cannot use the provider. The text says why."""


def named(name: str, mesh: Mesh, *, any_case: bool = False, built_in: bool = False) -> ExtensionProvider:
    """The provider of a name. Raises `Unusable`."""
    given = mesh.config.get("extensionProviders")
    known = {
        each["name"]: each
        for each in (given if isinstance(given, list) else ())[::-1]
        if isinstance(each, dict) and isinstance(each.get("name"), str) and each["name"]
    }
    for each in BUILT_IN if built_in else ():
        known.setdefault(each["name"], each)
    for own, written in known.items():
        if own == name or (any_case and own.lower() == name.lower()):
            return _typed(written)
    listed = ", ".join(reversed(known))
    raise Unusable(f"meshConfig.extensionProviders has only {listed}" if listed else "meshConfig has none")


def _typed(written: JsonObject) -> ExtensionProvider:
    try:
        return ExtensionProvider.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unusable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def service(name: str, port: int, hosts: Hosts) -> Host:
    """The service that a provider names by its host, with or without ``namespace/``. Raises `Unusable`."""
    if not 1 <= port <= 65535:
        raise Unusable(f"port {port} is not between 1 and 65535")
    namespace, _, hostname = name.rpartition("/")
    host = hosts.by_name.get(hostname)
    if host is None or (namespace and host.namespace != namespace):
        raise Unusable(f"there is no service {name}: it is named by its host, such as auth.shop.svc.cluster.local")
    if host.port(port) is None:
        raise Unusable(f"{host.hostname} has no port {port}")
    return host
