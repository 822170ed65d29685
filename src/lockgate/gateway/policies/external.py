"""Finds the servers that are asked about requests: those of meshConfig's extension providers.

Source: istio/istio `pilot/pkg/security/authz/builder/extauthz.go`, `pilot/pkg/model/extensions.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Exact, Prefix, Suffix, TextMatch
from lockgate.gateway.policies.model import AuthServer, CheckedBody
from lockgate.gateway.providers import Unusable, named, service
from lockgate.gateway.registry import Hosts
from lockgate.resources.istio.extension_provider import ExtAuthzGrpc, ExtAuthzHttp

_STATUSES = frozenset(
    (
        *(100, *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), *range(421, 425), 426, 428, 429),
        *(431, *range(500, 509), 510, 511),
    )
)  # Envoy's `type/v3/http_status.proto`


def server(name: str, mesh: Mesh, hosts: Hosts) -> AuthServer:
    """The server of the extension provider `name`. Raises `Unusable`: then what its policies match is refused."""
    provider = named(name, mesh)
    if provider.envoy_ext_authz_http:
        return _http(name, provider.envoy_ext_authz_http, hosts)
    if provider.envoy_ext_authz_grpc:
        return _common(name, provider.envoy_ext_authz_grpc, hosts, grpc=True)
    raise Unusable("it is neither envoyExtAuthzHttp nor envoyExtAuthzGrpc")


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
    host = service(settings.service, settings.port, hosts)
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
