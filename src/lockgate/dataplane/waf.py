"""WAF for Envoy: an external authorization service on a unix socket that evaluates web ACLs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from lockgate.dataplane.unix_server import serve
from lockgate.loadbalancer.request import HttpVersion, Request
from lockgate.loadbalancer.waf.evaluate import Verdict
from lockgate.loadbalancer.waf.fields import Inspected
from lockgate.loadbalancer.waf.model import Response
from lockgate.xds.loadbalancer.waf import ACTION, CUSTOM, FINGERPRINT, LOAD_BALANCER

log = logging.getLogger("lockgate.dataplane")

# Evaluates a load balancer's web ACL for a request; None if the load balancer has none (any more).
Evaluate: TypeAlias = Callable[[str, Inspected], Verdict | None]

# Headers that Envoy adds to a request before WAF sees it.
_ENVOYS: Final = ("x-envoy-", "x-forwarded-proto", ":")
_VERSIONS: Final[dict[str, HttpVersion]] = {"HTTP/2": "HTTP/2", "HTTP/1.0": "HTTP/1.0"}


class WafServer:
    """If `evaluate` fails, Envoy follows the load balancer's attribute `waf.fail_open.enabled`."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._server: Any = None

    async def start(self, path: Path) -> None:
        from envoy.service.auth.v3 import external_auth_pb2_grpc

        self._server = await serve(path, partial(external_auth_pb2_grpc.add_AuthorizationServicer_to_server, self))

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def Check(self, asked: Any, context: Any) -> Any:
        """The method of ``envoy.service.auth.v3.Authorization``."""
        metadata = dict(context.invocation_metadata())
        try:
            verdict = self._evaluate(metadata.get(LOAD_BALANCER, ""), _inspected(asked.attributes, metadata))
        except Exception as fault:  # one line per request; details at debug level
            log.error("WAF could not evaluate a request: %r", fault)
            log.debug("evaluating a request", exc_info=fault)
            raise
        return _answer(verdict or Verdict())


def _inspected(attributes: Any, metadata: dict[str, str]) -> Inspected:
    http = attributes.request.http
    pairs = [(each.key, each.raw_value.decode("latin-1") or each.value) for each in http.header_map.headers]
    request = Request(
        method=http.method,
        target=http.path,
        host=next((value for name, value in pairs if name == ":authority"), ""),
        headers=tuple(pair for pair in pairs if not pair[0].startswith(_ENVOYS)),
        port=attributes.destination.address.socket_address.port_value,
        protocol=_VERSIONS.get(http.protocol, "HTTP/1.1"),
        server_name=attributes.tls_session.sni or None,
        source=attributes.source.address.socket_address.address,
        source_port=attributes.source.address.socket_address.port_value,
    )
    is_grpc = request.is_http2 and (request.first("content-type") or "").startswith("application/grpc")
    known = ((kind, metadata.get(f"{FINGERPRINT}{kind}", "-")) for kind in ("ja3", "ja4"))
    fingerprints = tuple((kind, value) for kind, value in known if value != "-")
    return Inspected(request, None if is_grpc else http.raw_body, fingerprints)


def _answer(verdict: Verdict) -> Any:
    from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

    made = CheckResponse()
    if verdict.blocked is None:
        made.dynamic_metadata.update({ACTION: "allow"})
        _add(made.ok_response.headers, verdict.insert)
        return made
    made.status.code = 7  # gRPC's PERMISSION_DENIED
    made.dynamic_metadata.update({ACTION: "block", CUSTOM: verdict.blocked.is_custom})
    made.denied_response.status.code = verdict.blocked.status
    made.denied_response.body = verdict.blocked.content
    _add(made.denied_response.headers, _headers(verdict.blocked))
    return made


def _headers(response: Response) -> Iterable[tuple[str, str]]:
    if response.content_type:
        yield "content-type", response.content_type
    yield from response.headers


def _add(options: Any, headers: Iterable[tuple[str, str]]) -> None:
    from envoy.config.core.v3.base_pb2 import HeaderValueOption

    for name, value in headers:
        options.add(header={"key": name, "value": value}, append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
