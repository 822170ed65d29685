"""An istiod for tests, in a process of its own: real Envoy messages over gRPC with TLS and tokens, made from manifests.

    python -m tests.edge.stand_in_istiod MANIFESTS PORT CHAIN KEY

It binds listeners as istiod does, gives them filters that only Istio's build of Envoy has, and signs certificates.
It prints each proxy's node as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.service.discovery.v3 import ads_pb2_grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from udpa.type.v1.typed_struct_pb2 import TypedStruct

from lockgate.certificates.authority import Content
from lockgate.dataplane.ads import AdsServer
from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.options import Options
from lockgate.gateway.credentials import credential
from lockgate.runtime.reading.files import load
from lockgate.runtime.trust import Trust
from lockgate.xds.gateway import snapshot
from lockgate.xds.snapshot import LISTENER, Entry, Snapshot

BINDS = {8080: ("0.0.0.0", 8080), 8443: ("0.0.0.0", 8443)}  # as istiod sends them
ALPN = "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"
PEERS = "type.googleapis.com/io.istio.http.peer_metadata.Config"


def configuration(manifests: Edge, chain: bytes, key: bytes) -> Snapshot:
    gateway = next(iter(manifests.gateways.values()))
    credentials = {name: credential({"tls.crt": chain, "tls.key": key}, name) for name in gateway.credentials}
    made = snapshot(gateway, binds=BINDS, credentials=credentials)
    listeners = {
        name: Entry.of(_with_istios(entry.body)) for name, entry in made.resources[LISTENER].items() if name[0] == "0"
    }
    return replace(made, resources={**made.resources, LISTENER: listeners})


def _with_istios(body: bytes) -> bytes:
    listener = Listener.FromString(body)
    for chain in listener.filter_chains:
        for each in chain.filters:
            manager = HttpConnectionManager.FromString(each.typed_config.value)
            wrapped = AnyMessage()
            wrapped.Pack(TypedStruct(type_url=PEERS))
            manager.http_filters.insert(0, HttpFilter(name="istio.alpn", typed_config=AnyMessage(type_url=ALPN)))
            manager.http_filters.insert(0, HttpFilter(name="peers", typed_config=wrapped))
            each.typed_config.Pack(manager)
    return bytes(listener.SerializeToString())


class Istiod:
    StreamAggregatedResources = None  # gateways ask for changes only

    def __init__(self, served: Snapshot) -> None:
        self._served = served
        self._authority = Trust.make("istio").root
        self._ads = AdsServer(lambda rejection: print(json.dumps({"rejected": str(rejection)}), flush=True))

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await _authenticate(context)
        first = await anext(aiter(requests))
        print(json.dumps({"node": MessageToDict(first.node)}), flush=True)
        self._ads.publish(first.node.id, self._served)

        async def whole() -> AsyncIterator[Any]:
            yield first
            async for request in requests:
                yield request

        async for response in self._ads.stream(whole()):
            response.control_plane.identifier = json.dumps({"ID": "istiod-theirs", "Info": {"version": "9.9"}})
            yield response

    async def create_certificate(self, request: Any, context: Any) -> Any:
        await _authenticate(context)
        asked = x509.load_pem_x509_csr(request.paths[0].encode())
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        now = datetime.now(UTC)
        signed = self._authority.issue(
            key,
            Content(tuple(names)),
            not_before=now,
            not_after=now + timedelta(hours=1),
            serial=x509.random_serial_number(),
        )
        return FieldMask(paths=[signed])


async def _authenticate(context: Any) -> None:
    token = dict(context.invocation_metadata()).get("authorization", "").removeprefix("Bearer ")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if claims["aud"] != ["istio-ca"] or claims["sub"] != "system:serviceaccount:istio-system:default":
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not a gateway's token: {claims}")


async def main(folder: str, port: str, chain: str, key: str) -> None:
    pair = Path(chain).read_bytes(), Path(key).read_bytes()
    edge = from_manifests(load([folder]), Options(paths=(folder,)))
    istiod = Istiod(configuration(edge, *pair))
    server = grpc.aio.server()
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(istiod, server)
    sign = grpc.unary_unary_rpc_method_handler(
        istiod.create_certificate,
        request_deserializer=FieldMask.FromString,
        response_serializer=FieldMask.SerializeToString,
    )
    service = "istio.v1.auth.IstioCertificateService"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"CreateCertificate": sign})])
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(pair[1], pair[0])]))
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
