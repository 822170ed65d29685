"""istiod against the embedded Kubernetes API: objects in, snapshots out."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.controllers.istiod import Istiod
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core, istio
from lockgate.resources.status import NotFound
from lockgate.xds.snapshot import CLUSTER, EMPTY, ENDPOINT, LISTENER, ROUTE, SECRET, Snapshot

OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: installed, namespace: istio-system}
spec:
  meshConfig: {defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}}
  values: {gateways: {istio-ingressgateway: {type: NodePort}}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: gateway
  namespace: istio-system
  labels: {app: istio-ingressgateway, istio: ingressgateway, lockgate.dev/proxy: istio}
  annotations: {lockgate.dev/node-id: gateway}
spec: {containers: [{name: istio-proxy, image: proxyv2}]}
"""
EDGE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge-gateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: edge-cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: storefront, namespace: default}
spec:
  hosts: [tidewater.example]
  gateways: [istio-system/edge-gateway]
  http: [{route: [{destination: {host: storefront, port: {number: 8072}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: storefront, namespace: default}
spec: {ports: [{name: http, port: 8072}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: storefront-1, namespace: default, labels: {kubernetes.io/service-name: storefront}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: 34567}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: gateway-1, namespace: istio-system, labels: {kubernetes.io/service-name: istio-ingressgateway}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: status-port, port: 25021}, {name: http2, port: 28080}, {name: https, port: 28443}]
"""
BACKEND = "outbound|8072||storefront.default.svc.cluster.local"


@dataclass
class Lab:
    store: Store
    modules: Path
    istiod: Istiod | None = None
    published: list[tuple[str, Snapshot]] = field(default_factory=list)

    def publish(self, node: str, snapshot: Snapshot) -> None:
        self.published.append((node, snapshot))

    @property
    def latest(self) -> Snapshot:
        return self.published[-1][1] if self.published else EMPTY

    async def apply(self, manifests: str) -> None:
        for manifest in yaml.safe_load_all(manifests):
            await self.store.apply(manifest, manager="test")

    async def until(self, holds: Callable[[], Any]) -> Any:
        async with asyncio.timeout(20):
            while not (found := holds()):
                await asyncio.sleep(0.005)
            return found

    async def until_there(self, name: str, namespace: str) -> core.Service:
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.store.get(core.Service, name, namespace)
                except NotFound:
                    await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*manifests: str) -> AsyncIterator[Lab]:
    folder = tempfile.TemporaryDirectory()
    lab = Lab(Store(), Path(folder.name))
    await lab.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
    for manifest in manifests:
        await lab.apply(manifest)
    lab.istiod = Istiod(lab.store, publish=lab.publish, modules_folder=lab.modules, settle=0.0)
    task = asyncio.create_task(lab.istiod.run())
    try:
        yield lab
    finally:
        folder.cleanup()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pair(name: str) -> tuple[str, str]:
    """A self-signed certificate and its key, base64 of PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return tuple(  # type: ignore[return-value]
        base64.b64encode(part).decode() for part in (certificate.public_bytes(serialization.Encoding.PEM), pem)
    )


def secret(chain: str, key: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "edge-cert", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": chain, "tls.key": key},
    }


def codes(lab: Lab) -> list[str]:
    assert lab.istiod is not None
    return [fault.code.id for fault in lab.istiod.faults]


def test_an_operator_becomes_a_service_and_takes_back_only_its_own() -> None:
    async def scenario() -> None:
        async with running(OPERATOR) as lab:
            service = await lab.until_there("istio-ingressgateway", "istio-system")
            assert service.spec.type == "NodePort"
            assert [port.name for port in service.spec.ports] == ["status-port", "http2", "https"]
            assert all(30000 <= port.node_port <= 32767 for port in service.spec.ports)

            await lab.apply(
                "{apiVersion: v1, kind: Service, metadata: {name: mine, namespace: istio-system}, "
                "spec: {ports: [{port: 80}]}}"
            )
            gone = {"spec": {"components": {"ingressGateways": [{"name": "istio-ingressgateway", "enabled": False}]}}}
            await lab.store.patch(istio.IstioOperator, "installed", "istio-system", gone)
            names = {"istio-ingressgateway"}
            async with asyncio.timeout(20):
                while "istio-ingressgateway" in names:
                    await asyncio.sleep(0.005)
                    names = {one.name for one in await lab.store.list(core.Service, "istio-system")}
            assert "mine" in names

    asyncio.run(scenario())


def test_the_guides_edge_is_served_where_the_endpoint_slice_says() -> None:
    async def scenario() -> None:
        from envoy.config.listener.v3.listener_pb2 import Listener

        async with running(OPERATOR, POD, EDGE) as lab:
            await lab.until(lambda: lab.latest.names(LISTENER) >= {"0.0.0.0_8080", "0.0.0.0_8443", "readiness"})
            assert {node for node, _ in lab.published} == {"gateway"}
            assert lab.latest.names(ROUTE) == {"http.8080", "https.443.https.edge-gateway.istio-system"}
            assert lab.latest.names(CLUSTER) == lab.latest.names(ENDPOINT) == {BACKEND}
            entry = lab.latest.resources[LISTENER]["0.0.0.0_8443"]
            assert str(entry.source) == "Gateway istio-system/edge-gateway"
            address = Listener.FromString(entry.body).address.socket_address
            assert (address.address, address.port_value) == ("127.0.0.1", 28443)
            assert lab.istiod is not None
            gateway = lab.istiod.proxies["gateway"].gateway
            assert gateway is not None
            assert gateway.http.trusted_proxies == 1

    asyncio.run(scenario())


def test_a_later_secret_is_used_unless_it_is_invalid() -> None:
    async def scenario() -> None:
        async with running(OPERATOR, POD, EDGE) as lab:
            await lab.until(lambda: codes(lab) == ["IST0101"])
            assert not lab.latest.names(SECRET)

            good, other = pair("a"), pair("b")
            await lab.store.create(secret(*good))
            await lab.until(lambda: lab.latest.names(SECRET) == {"kubernetes://edge-cert"})
            served = lab.latest.resources[SECRET]["kubernetes://edge-cert"]
            await lab.until(lambda: codes(lab) == [])

            mixed = {"data": {"tls.crt": good[0], "tls.key": other[1]}}
            await lab.store.patch(core.Secret, "edge-cert", "istio-system", mixed)
            await lab.until(lambda: codes(lab) == ["IST0161"])
            assert lab.latest.resources[SECRET]["kubernetes://edge-cert"] is served
            assert lab.istiod is not None
            assert "PRIVATE" not in str(lab.istiod.faults)

            await lab.store.patch(core.Secret, "edge-cert", "istio-system", {"data": {"tls.crt": other[0]}})
            await lab.until(lambda: codes(lab) == [])
            assert lab.latest.resources[SECRET]["kubernetes://edge-cert"] != served

    asyncio.run(scenario())


def test_unchanged_entries_are_identical_and_unchanged_snapshots_are_not_published() -> None:
    async def scenario() -> None:
        async with running(OPERATOR, POD, EDGE) as lab:
            await lab.until(lambda: lab.latest.names(LISTENER) >= {"0.0.0.0_8443"})
            await lab.store.create(secret(*pair("a")))
            await lab.until(lambda: lab.latest.names(SECRET))
            before, count = lab.latest, len(lab.published)

            # Neither an unrelated Secret nor another Pod bears on what is served; the VirtualService after them does.
            await lab.apply("{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: default}}")
            await lab.apply(
                "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default}, "
                "spec: {containers: [{name: c, image: i}]}}"
            )
            change = {"spec": {"hosts": ["other.example"]}}
            await lab.store.patch(istio.VirtualService, "storefront", "default", change)
            await lab.until(lambda: len(lab.published) > count)
            assert len(lab.published) == count + 1
            after = lab.latest
            assert after.resources[CLUSTER][BACKEND] is before.resources[CLUSTER][BACKEND]
            assert after.resources[SECRET] == before.resources[SECRET]
            assert after.resources[LISTENER] == before.resources[LISTENER]
            assert after.resources[ROUTE] != before.resources[ROUTE]

    asyncio.run(scenario())


def test_a_gateway_whose_pod_is_gone_serves_nothing() -> None:
    async def scenario() -> None:
        async with running(OPERATOR, POD, EDGE) as lab:
            await lab.until(lambda: lab.latest.names(LISTENER))
            await lab.store.delete(core.Pod, "gateway", "istio-system")
            await lab.until(lambda: lab.published[-1] == ("gateway", EMPTY))
            assert lab.istiod is not None
            assert lab.istiod.proxies == {}

    asyncio.run(scenario())


def test_pods_that_are_not_our_proxies_get_nothing() -> None:
    async def scenario() -> None:
        plain = POD.replace("lockgate.dev/proxy: istio", "lockgate.dev/proxy: none").replace(
            "name: gateway", "name: other"
        )
        async with running(OPERATOR, POD, plain.replace("node-id: gateway", "node-id: other"), EDGE) as lab:
            await lab.until(lambda: lab.latest.names(LISTENER))
            assert {node for node, _ in lab.published} == {"gateway"}

    asyncio.run(scenario())


def test_certificates_in_files_come_from_the_secret_that_the_operator_mounts() -> None:
    edge = EDGE.replace(
        "credentialName: edge-cert",
        "serverCertificate: /etc/mine/tls.crt, privateKey: /etc/mine/tls.key",
    )
    operator = OPERATOR.replace(
        "{type: NodePort}", "{secretVolumes: [{name: x, mountPath: /etc/mine, secretName: edge-cert}]}"
    )

    async def scenario() -> None:
        async with running(operator, POD, edge) as lab:
            await lab.store.create(secret(*pair("a")))
            await lab.until(lambda: lab.latest.names(SECRET) == {"file-cert:/etc/mine/tls.crt~/etc/mine/tls.key"})

    asyncio.run(scenario())
