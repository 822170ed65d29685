"""Extension providers of meshConfig that decide about requests (istio/api `mesh/v1alpha1/config.proto`)."""

from __future__ import annotations

from pydantic import Field

from lockgate.resources.model import Flag, Integer, Model


class CheckedBody(Model):
    max_request_bytes: Integer = 0
    allow_partial_message: Flag = False
    pack_as_bytes: Flag = False


class ExtAuthzGrpc(Model):
    service: str = ""
    port: Integer = 0
    timeout: str | None = None
    fail_open: Flag = False
    status_on_error: str = ""
    clear_route_cache: Flag = False
    include_request_body_in_check: CheckedBody | None = None


class ExtAuthzHttp(ExtAuthzGrpc):
    path_prefix: str = ""
    include_headers_in_check: tuple[str, ...] = ()  # older than `include_request_headers_in_check`
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: dict[str, str] = Field(default_factory=dict)
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


class ExtensionProvider(Model):
    """Other types, such as those for tracing and logs, are not read here."""

    name: str = ""
    envoy_ext_authz_http: ExtAuthzHttp | None = None
    envoy_ext_authz_grpc: ExtAuthzGrpc | None = None
