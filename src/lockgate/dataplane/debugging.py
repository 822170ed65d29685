"""istiod's debug interface over ADS, as `istioctl proxy-status` asks for it: what was sent to each proxy.

Source: istio/istio `pilot/pkg/xds/statusgen.go`, `debuggen.go`, `debug.go`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, Snapshot

SYNCZ: Final = "istio.io/debug/syncz"
CONFIG_DUMP: Final = "istio.io/debug/config_dump"
DEBUG: Final = "istio.io/debug"
TYPES: Final = {"cluster": CLUSTER, "listener": LISTENER, "route": ROUTE, "endpoint": ENDPOINT}
_STATIC_DUMP: Final = "type.googleapis.com/envoy.admin.v3."


@dataclass(frozen=True, slots=True)
class ConnectedProxy:
    """A Pod's Envoy. `nonces` are those of the last response that was sent and acknowledged, by type."""

    pod: str
    namespace: str
    cluster: str
    version: str
    nonces: Mapping[str, tuple[str, str]]
    snapshot: Snapshot

    @property
    def id(self) -> str:
        return f"{self.pod}.{self.namespace}"


def synchronization(proxies: Sequence[ConnectedProxy]) -> list[dict[str, str]]:
    """The answer of ``/debug/syncz``."""
    found: list[dict[str, str]] = []
    for proxy in proxies:
        item = {"cluster_id": proxy.cluster, "proxy": proxy.id, "proxy_type": "router", "istio_version": proxy.version}
        for name, type_url in TYPES.items():
            sent, acknowledged = proxy.nonces.get(type_url, ("", ""))
            item |= {key: value for key, value in ((f"{name}_sent", sent), (f"{name}_acked", acknowledged)) if value}
        found.append(item)
    return found


class DebugAds:
    """The gRPC service on istiod's port 15012. `authenticate` returns whether a bearer token is valid; `http` answers
    the path of a debug page, without ``/debug/``."""

    def __init__(
        self,
        proxies: Callable[[], Sequence[ConnectedProxy]],
        *,
        identity: str,
        authenticate: Callable[[str], bool],
        http: Callable[[str], bytes],
    ) -> None:
        self._proxies = proxies
        self._identity = identity
        self._authenticate = authenticate
        self._http = http
        self._server: Any = None

    async def start(self, key: bytes, chain: bytes) -> int:
        """Serves over TLS on a free port of this machine, and returns it."""
        import grpc
        import grpc.aio
        from envoy.service.discovery.v3 import ads_pb2_grpc

        self._server = grpc.aio.server()
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(key, chain)])
        port = self._server.add_secure_port("127.0.0.1:0", credentials)
        await self._server.start()
        return int(port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def StreamAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc
        from envoy.service.discovery.v3 import discovery_pb2

        metadata = dict(context.invocation_metadata())
        token = str(metadata.get("authorization", "")).removeprefix("Bearer ")
        if not self._authenticate(token):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "authentication required")
        number = 0
        async for request in requests:
            if request.response_nonce and request.response_nonce == str(number):
                continue  # it acknowledges; istioctl's first request has a nonce of its own
            found = self._resources(request.type_url, list(request.resource_names))
            if found is None:
                said = f"Lockgate's istiod serves {SYNCZ}, {CONFIG_DUMP} and {DEBUG} here, not {request.type_url}"
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, said)
            number += 1
            response = discovery_pb2.DiscoveryResponse(
                version_info=str(number), nonce=str(number), type_url=request.type_url, resources=found
            )
            response.control_plane.identifier = self._identity
            yield response

    async def DeltaAggregatedResources(self, _requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "gateways here have a stream of their own")
        yield  # makes this an async generator, which gRPC requires for a stream

    def _resources(self, type_url: str, names: list[str]) -> list[Any] | None:
        """Messages of type Any; None for an unknown type."""
        from google.protobuf import any_pb2

        match type_url:
            case "istio.io/debug/syncz":
                return [_packed(_client_config(proxy)) for proxy in self._proxies()]
            case "istio.io/debug/config_dump":
                named = (proxy for proxy in self._proxies() if [proxy.id] == names)
                return next((config_dump(proxy.snapshot) for proxy in named), [])
            case "istio.io/debug":
                body = self._http(names[0]) if len(names) == 1 else b"exactly one debug request is required"
                return [any_pb2.Any(type_url=DEBUG, value=body)]
        return None


def _client_config(proxy: ConnectedProxy) -> Any:
    from envoy.service.status.v3 import csds_pb2

    config = csds_pb2.ClientConfig()
    config.node.id = proxy.id
    metadata = {"CLUSTER_ID": proxy.cluster, "NAMESPACE": proxy.namespace, "ISTIO_VERSION": proxy.version}
    config.node.metadata.update(metadata)
    for type_url in sorted({*TYPES.values(), *proxy.nonces}):
        sent, acknowledged = proxy.nonces.get(type_url, ("", ""))
        status = csds_pb2.NOT_SENT if not sent else csds_pb2.SYNCED if sent == acknowledged else csds_pb2.STALE
        config.generic_xds_configs.add(type_url=type_url, config_status=status)
    return config


def config_dump(snapshot: Snapshot) -> list[Any]:
    """What Envoy should have, in the form of its own dump. It has no secrets."""
    from envoy.admin.v3 import config_dump_shared_pb2 as dump
    from google.protobuf import any_pb2

    def bodies(type_url: str) -> list[tuple[str, Any]]:
        entries = sorted(snapshot.resources.get(type_url, {}).items())
        return [(name, any_pb2.Any(type_url=type_url, value=entry.body)) for name, entry in entries]

    clusters, listeners, routes = dump.ClustersConfigDump(), dump.ListenersConfigDump(), dump.RoutesConfigDump()
    for _, body in bodies(CLUSTER):
        clusters.dynamic_active_clusters.add().cluster.CopyFrom(body)
    for name, body in bodies(LISTENER):
        listener = listeners.dynamic_listeners.add(name=name)
        listener.active_state.listener.CopyFrom(body)
    for _, body in bodies(ROUTE):
        routes.dynamic_route_configs.add().route_config.CopyFrom(body)
    return [_packed(each) for each in (clusters, listeners, routes)]


def _packed(message: Any) -> Any:
    from google.protobuf import any_pb2

    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def identity(pod: str, version: str) -> str:
    """The identifier by which istioctl shows which istiod a proxy is connected to."""
    return json.dumps({"Component": "istiod", "ID": pod, "Info": {"version": version}})
