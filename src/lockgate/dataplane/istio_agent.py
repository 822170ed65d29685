"""Istio's agent, for gateways whose istiod is the user's own: between each gateway's Envoy and `pilot-discovery`.

Envoy has one socket for everything, this one. Its configuration stream is passed on to istiod as it is, with the token
of the Pod's service account; of what comes back, listeners and clusters are adapted to this machine (`istio_proxy`).
Envoy also asks the agent for the workload's certificate, which istiod's CA signs, and for the roots that verify others.
A stream that ends on one side is ended on the other, so that Envoy begins with everything again.

Source: istio/istio `pkg/istio-agent/xds_proxy.go`, `security/pkg/nodeagent/sds`; istio/api
`security/v1alpha1/ca.proto`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lockgate.certificates.keys import encode_key
from lockgate.dataplane.desired import Rejection
from lockgate.dataplane.unix_server import UNLIMITED, serve
from lockgate.xds.istio_proxy import Place, adapted, has_proxy_protocol, probe
from lockgate.xds.snapshot import LISTENER, ROUTE, SECRET, Source

log = logging.getLogger("lockgate.istiod")

_CONNECTED_WITHIN: Final = 2.0  # s, then the address and the roots are looked up again
_RETRY: Final = 0.5  # s
_RENEWED_AFTER: Final = 12 * 3600.0  # s: half of the time for which istiod's CA signs
_CREATE_CERTIFICATE: Final = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
_WORKLOAD, _ROOT, _FILE_ROOT = "default", "ROOTCA", "file-root:"
_READINESS: Final = "readiness"


@dataclass(frozen=True, slots=True)
class Peer:
    """The user's istiod. `tls` is False for its port without TLS, where it gives no secrets. `server` is the name in
    its certificate."""

    address: str
    tls: bool = True
    server: str = "istiod.istio-system.svc"

    def __str__(self) -> str:
        return self.address


@dataclass
class Gateway:
    """One gateway's Envoy. `place` is where it runs; `account` is the Pod's (namespace, service account)."""

    account: tuple[str, str]
    place: Place
    connected: bool = False
    configured: bool = False  # Envoy has listeners of istiod's
    control_plane: str = ""  # "istiod-7d4f (1.30.1)", if it says so
    trouble: str = ""  # why there is no stream
    sent: dict[str, str] = field(default_factory=dict)  # nonces of the last responses, by type
    accepted: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # Envoy's reasons, by type
    names: dict[str, set[str]] = field(default_factory=dict)  # of resources that Envoy has, by type
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settled(self) -> bool:
        """Whether Envoy has accepted all that istiod sent, and has listeners."""
        return self.connected and LISTENER in self.accepted and self.sent == self.accepted and not self.refused

    def move(self, binds: Mapping[int, tuple[str, int]]) -> None:
        """Listeners get other ports of this machine: Envoy asks for all of them again."""
        if self.place.binds != binds:
            self.place = replace(self.place, binds=binds)
            self.ended.set()

    def rejections(self, node: str) -> tuple[Rejection, ...]:
        sources = {LISTENER: "listeners", ROUTE: "routes"}
        return tuple(
            Rejection(node, kind, "", Source(f"{sources.get(kind, kind)} of your istiod"), message)
            for kind, message in self.refused.items()
        )


class IstioAgent:
    """`gateways` are by Envoy's node ID. `token` issues one for a (namespace, service account); `roots` returns the
    PEM of istiod's roots that a namespace has, or None; `system_ca` is the file of the CAs trusted by default. `peer`
    configures, and `authority` signs certificates, which istiod does on its port with TLS only."""

    def __init__(
        self,
        peer: Peer,
        authority: Peer,
        *,
        token: Callable[[str, str], Awaitable[str]],
        roots: Callable[[str], Awaitable[bytes | None]],
        system_ca: str,
    ) -> None:
        self.peer = peer
        self._authority = authority
        self.gateways: dict[str, Gateway] = {}
        self._token = token
        self._roots = roots
        self._system_ca = system_ca
        self._said: set[str] = set()
        self._server: Any = None

    async def start(self, path: Path) -> None:
        from envoy.service.discovery.v3 import ads_pb2_grpc
        from envoy.service.secret.v3 import sds_pb2_grpc

        def add(server: Any) -> None:
            ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(_Configuration(self), server)
            sds_pb2_grpc.add_SecretDiscoveryServiceServicer_to_server(_Secrets(self), server)

        self._server = await serve(path, add, options=UNLIMITED)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def connected(self, gateway: Gateway, peer: Peer) -> tuple[Any, tuple[tuple[str, str], ...]]:
        """A channel to istiod and the metadata of calls, as soon as it can be reached."""
        import grpc.aio

        while True:
            channel = None
            try:
                channel = await self._channel(gateway.account[0], peer)
                await asyncio.wait_for(channel.channel_ready(), _CONNECTED_WITHIN)
                token = await self._token(*gateway.account)
                gateway.trouble = ""
                return channel, (("authorization", f"Bearer {token}"),)
            except (TimeoutError, grpc.aio.AioRpcError, LookupError) as error:
                where = "" if peer == self.peer else f" at {peer}, where it signs certificates"
                reason = str(error) if isinstance(error, LookupError) else f"it does not answer{where}"
                self.trouble(gateway, reason.strip("'"))
            except asyncio.CancelledError:  # Envoy has left
                if channel is not None:
                    await channel.close()
                raise
            if channel is not None:
                await channel.close()
            await asyncio.sleep(_RETRY)

    async def _channel(self, namespace: str, peer: Peer) -> Any:
        """Raises `LookupError` while the namespace does not have istiod's roots."""
        import grpc
        import grpc.aio

        if not peer.tls:
            return grpc.aio.insecure_channel(peer.address, options=UNLIMITED)
        roots = await self._roots(namespace)
        if roots is None:
            raise LookupError(f"namespace {namespace} has no ConfigMap istio-ca-root-cert yet, which your istiod makes")
        options = (*UNLIMITED, ("grpc.ssl_target_name_override", peer.server))
        return grpc.aio.secure_channel(peer.address, grpc.ssl_channel_credentials(roots), options=options)

    def trouble(self, gateway: Gateway, reason: str) -> None:
        if gateway.trouble != reason:
            gateway.trouble = reason
            log.warning("istiod at %s: %s", self.peer, reason)

    def left_out(self, name: str) -> None:
        if name not in self._said:
            self._said.add(name)
            log.info("%s: a filter of Istio's own build of Envoy; it is left out here", name)

    async def certificate(self, gateway: Gateway) -> tuple[bytes, bytes]:
        """The workload's key and chain, which istiod's CA signs for the bearer of the token."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding
        from google.protobuf.field_mask_pb2 import FieldMask

        namespace, account = gateway.account
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.UniformResourceIdentifier(f"spiffe://cluster.local/ns/{namespace}/sa/{account}")
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True).sign(key, hashes.SHA256())
        channel, metadata = await self.connected(gateway, self._authority)
        try:
            # Both messages have strings as their field 1, as FieldMask has: the request, and the chain.
            call = channel.unary_unary(
                _CREATE_CERTIFICATE,
                request_serializer=FieldMask.SerializeToString,
                response_deserializer=FieldMask.FromString,
            )
            csr = request.public_bytes(Encoding.PEM).decode()
            answer = await call(FieldMask(paths=[csr]), metadata=metadata)
        finally:
            await channel.close()
        return encode_key(key), "".join(answer.paths).encode()

    async def secret(self, gateway: Gateway, name: str) -> Any | None:
        from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

        made = Secret(name=name)
        if name == _WORKLOAD:
            key, chain = await self.certificate(gateway)
            made.tls_certificate.private_key.inline_bytes = key
            made.tls_certificate.certificate_chain.inline_bytes = chain
            return made
        if name == _ROOT:
            made.validation_context.trusted_ca.inline_bytes = await self._roots(gateway.account[0]) or b""
            return made
        if name.startswith(_FILE_ROOT):
            given = name.removeprefix(_FILE_ROOT)
            made.validation_context.trusted_ca.filename = self._system_ca if given == "system" else given
            return made
        return None


class _Configuration:
    """The configuration stream of one Envoy, and its other end at istiod."""

    def __init__(self, agent: IstioAgent) -> None:
        self._agent = agent

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc
        import grpc.aio
        from envoy.service.discovery.v3 import ads_pb2_grpc

        first = await anext(aiter(requests), None)
        gateway = self._agent.gateways.get(first.node.id) if first is not None else None
        if gateway is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the gateway's Pod is not known yet")
            return
        gateway.ended = ended = asyncio.Event()
        outgoing: asyncio.Queue[Any] = asyncio.Queue()
        outgoing.put_nowait(_without_own(first))
        reader = asyncio.create_task(_read(requests, gateway, outgoing, ended))
        channel = None
        try:
            channel, metadata = await self._agent.connected(gateway, self._agent.peer)
            call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources(
                _until_cancelled(outgoing), metadata=metadata
            )
            closer = asyncio.create_task(_cancel(call, ended))
            _begin(gateway)
            try:
                async for response in call:
                    self._take(gateway, response)
                    yield response
            except grpc.aio.AioRpcError as error:
                self._agent.trouble(gateway, f"it ended the stream: {error.details() or error.code().name}")
            except asyncio.CancelledError:
                if not ended.is_set():
                    raise
            finally:
                closer.cancel()
        finally:
            gateway.connected = False
            reader.cancel()
            if channel is not None:
                await channel.close()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the stream to istiod has ended")

    async def StreamAggregatedResources(self, _requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only delta ADS is served")
        yield  # makes this an async generator, which gRPC requires for a stream

    def _take(self, gateway: Gateway, response: Any) -> None:
        """Notes a response, and adapts it."""
        kind, agent = response.type_url, self._agent
        gateway.control_plane = _identity(response.control_plane.identifier) or gateway.control_plane
        gateway.sent[kind] = response.nonce
        names = gateway.names.setdefault(kind, set())
        names -= set(response.removed_resources)
        names |= {each.name for each in response.resources}
        if kind == LISTENER and any(has_proxy_protocol(each.resource.value) for each in response.resources):
            gateway.place = replace(gateway.place, peers=False)
        for each in response.resources:
            each.resource.value = adapted(kind, each.resource.value, gateway.place, agent.left_out)
        if kind == LISTENER and (own := probe(gateway.place)) is not None:
            added = response.resources.add(name=_READINESS, version="1")
            added.resource.type_url, added.resource.value = LISTENER, own


class _Secrets:
    """Secrets that the agent has: istiod gives those of credentials over the configuration stream."""

    def __init__(self, agent: IstioAgent) -> None:
        self._agent = agent

    async def StreamSecrets(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc
        import grpc.aio
        from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

        arriving: asyncio.Queue[Any] = asyncio.Queue()
        reader = asyncio.create_task(_fill(requests, arriving))
        names: list[str] = []
        gateway: Gateway | None = None
        number = 0
        try:
            while True:
                request = None
                with suppress(TimeoutError):
                    request = await asyncio.wait_for(arriving.get(), _RENEWED_AFTER)
                    if request is None:
                        return
                if request is not None:
                    gateway = gateway or self._agent.gateways.get(request.node.id)
                    if number and list(request.resource_names) == names:
                        continue  # it acknowledges, or refuses what it has
                    names = list(request.resource_names)
                if gateway is None:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the gateway's Pod is not known yet")
                    return
                try:
                    secrets = [await self._agent.secret(gateway, name) for name in names]
                except grpc.aio.AioRpcError as error:
                    self._agent.trouble(gateway, f"it signs no certificate: {error.details()}")
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "istiod signs no certificate")
                    return
                number += 1
                response = DiscoveryResponse(type_url=SECRET, version_info=str(number), nonce=str(number))
                for secret in secrets:
                    if secret is not None:
                        response.resources.add().Pack(secret)
                yield response
        finally:
            reader.cancel()

    async def DeltaSecrets(self, _requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "secrets are served by StreamSecrets")
        yield  # makes this an async generator, which gRPC requires for a stream

    async def FetchSecrets(self, _request: Any, context: Any) -> None:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "secrets are served by StreamSecrets")


def _begin(gateway: Gateway) -> None:
    gateway.connected = True
    gateway.trouble = ""
    for known in (gateway.sent, gateway.accepted, gateway.refused, gateway.names):
        known.clear()


async def _read(requests: AsyncIterator[Any], gateway: Gateway, outgoing: asyncio.Queue[Any], ended: Any) -> None:
    try:
        async for request in requests:
            if request.response_nonce:
                if request.HasField("error_detail"):
                    gateway.refused[request.type_url] = request.error_detail.message
                else:
                    gateway.refused.pop(request.type_url, None)
                    gateway.accepted[request.type_url] = request.response_nonce
                    gateway.configured = gateway.configured or request.type_url == LISTENER
            outgoing.put_nowait(_without_own(request))
    finally:
        ended.set()


def _without_own(request: Any) -> Any:
    """istiod would have Envoy remove a listener that is not its own."""
    request.initial_resource_versions.pop(_READINESS, None)
    return request


async def _until_cancelled(outgoing: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while True:
        yield await outgoing.get()


async def _fill(requests: AsyncIterator[Any], queue: asyncio.Queue[Any]) -> None:
    try:
        async for request in requests:
            queue.put_nowait(request)
    finally:
        queue.put_nowait(None)


async def _cancel(call: Any, ended: asyncio.Event) -> None:
    await ended.wait()
    call.cancel()


def _identity(identifier: str) -> str:
    """The name and version of an istiod, from what it says of itself."""
    try:
        about = json.loads(identifier)
        version = about["Info"]["version"]
        return f"{about['ID']} ({version})" if version else str(about["ID"])
    except (ValueError, TypeError, KeyError):
        return identifier
