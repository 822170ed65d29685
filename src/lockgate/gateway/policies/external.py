"""Finds the servers that are asked about requests: those of meshConfig's extension providers.

Source: istio/istio `pilot/pkg/security/authz/builder/extauthz.go`, `pilot/pkg/model/extensions.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Exact, Prefix, Suffix, TextMatch
from lockgate.gateway.policies.model import AuthServer, CheckedBody
from lockgate.gateway.registry import Host, Hosts
from lockgate.resources.istio.extension_provider import ExtAuthzGrpc, ExtAuthzHttp, ExtensionProvider

_STATUSES = frozenset(
    (
        *(100, *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), *range(421, 425), 426, 428, 429),
        *(431, *range(500, 509), 510, 511),
    )
)  # Envoy's `type/v3/http_status.proto`


class Unusable(Exception):
    """istiod cannot use the provider, so what its policies match is refused. The text says why."""


def server(name: str, mesh: Mesh, hosts: Hosts) -> AuthServer:
    """The server of the extension provider `name`. Raises `Unusable`."""
    given = mesh.config.get("extensionProviders")
    written = next((each for each in given if _name(each) == name), None) if isinstance(given, list) else None
    if written is None:
        known = ", ".join(filter(None, map(_name, given))) if isinstance(given, list) else ""
        raise Unusable(f"meshConfig.extensionProviders has only {known}" if known else "meshConfig has none")
    try:
        provider = ExtensionProvider.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unusable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if provider.envoy_ext_authz_http:
        return _http(name, provider.envoy_ext_authz_http, hosts)
    if provider.envoy_ext_authz_grpc:
        return _common(name, provider.envoy_ext_authz_grpc, hosts, grpc=True)
    raise Unusable("it is neither envoyExtAuthzHttp nor envoyExtAuthzGrpc")


def _name(provider: Any) -> str:
    found = provider.get("name") if isinstance(provider, dict) else None
    return found if isinstance(found, str) else ""


def _http(name: str, settings: ExtAuthzHttp, hosts: Hosts) -> AuthServer:
    if settings.path_prefix and not settings.path_prefix.startswith("/"):
        raise Unusable(f"pathPrefix {settings.path_prefix} has to begin with /")
    return _common(
        name,
        settings,
        hosts,
        path_prefix=settings.path_prefix,
        sent=_matches(settings.include_request_headers_in_check or settings.include_headers_in_check),
        added=tuple(sorted(settings.include_additional_headers_in_check.items())),
        to_backend=_matches(settings.headers_to_upstream_on_allow),
        to_client_on_deny=_matches(settings.headers_to_downstream_on_deny),
        to_client_on_allow=_matches(settings.headers_to_downstream_on_allow),
    )


def _common(name: str, settings: ExtAuthzGrpc, hosts: Hosts, **fields: Any) -> AuthServer:
    if not 1 <= settings.port <= 65535:
        raise Unusable(f"port {settings.port} is not between 1 and 65535")
    host = _host(settings.service, hosts)
    if host.port(settings.port) is None:
        raise Unusable(f"{host.hostname} has no port {settings.port}")
    body = settings.include_request_body_in_check
    timeout = seconds(settings.timeout)
    return AuthServer(
        provider=name,
        host=host.hostname,
        port=settings.port,
        timeout=600.0 if timeout is None else timeout,
        fail_open=settings.fail_open,
        status_on_error=_status(settings.status_on_error),
        clear_route_cache=settings.clear_route_cache,
        body=CheckedBody(body.max_request_bytes, body.allow_partial_message, body.pack_as_bytes) if body else None,
        **fields,
    )


def _host(service: str, hosts: Hosts) -> Host:
    namespace, _, name = service.rpartition("/")
    host = hosts.by_name.get(name)
    if host is None or (namespace and host.namespace != namespace):
        raise Unusable(f"there is no service {service}: it is named by its host, such as auth.shop.svc.cluster.local")
    return host


def _status(written: str) -> int | None:
    if not written:
        return None
    if not written.isdecimal() or int(written) not in _STATUSES:
        raise Unusable(f"statusOnError {written} is no status that Envoy knows")
    return int(written)


def _matches(headers: Iterable[str]) -> tuple[TextMatch, ...]:
    return tuple(map(_match, headers))


def _match(header: str) -> TextMatch:
    if header == "*":
        raise Unusable("a pattern of a header may not be * alone")
    if header.startswith("*"):
        return Suffix(header[1:], ignore_case=True)
    if header.endswith("*"):
        return Prefix(header[:-1], ignore_case=True)
    return Exact(header, ignore_case=True)
