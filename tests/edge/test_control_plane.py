"""istiod as tools look for it: which objects are supplied, and what it answers of the proxies that it serves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
import yaml

from lockgate.dataplane.debugging import CONFIG_DUMP, DEBUG, SYNCZ, ConnectedProxy, DebugAds, identity
from lockgate.edge.objects import Objects
from lockgate.edge.supply.control_plane import istiods
from lockgate.embedded.http import serve
from lockgate.embedded.istiod import IstiodPages
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject, Resource
from lockgate.runtime.trust import Trust
from lockgate.xds.snapshot import CLUSTER, LISTENER, Entry, Snapshot


def named(kind: type[Resource], name: str, namespace: str = "istio-system", **content: Any) -> Resource:
    return kind.model_validate({"metadata": {"name": name, "namespace": namespace}, **content})


def operator(name: str = "one", **spec: Any) -> Resource:
    return named(istio.IstioOperator, name, spec=spec)


def made(*resources: Resource) -> dict[str, JsonObject]:
    found = [each.manifest for each in istiods(Objects(resources), ())]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in found}


def test_a_gateway_alone_has_the_default_istiod() -> None:
    found = made(named(istio.Gateway, "edge"))
    assert list(found) == [
        "Namespace istio-system",
        "ServiceAccount istiod",
        "ConfigMap istio",
        "ConfigMap istio-sidecar-injector",
        "Service istiod",
        "Deployment istiod",
        "MutatingWebhookConfiguration istio-sidecar-injector",
        "MutatingWebhookConfiguration istio-revision-tag-default",
    ]
    template = found["Deployment istiod"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert found["Service istiod"]["spec"]["selector"].items() <= labels.items()
    assert (labels["app"], labels["istio.io/rev"]) == ("istiod", "default")
    environment = {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}
    assert environment["CLUSTER_ID"] == "lockgate", "as the kubeconfig names the cluster"
    assert "sidecarInjectorWebhook" in json.loads(found["ConfigMap istio-sidecar-injector"]["data"]["values"])


def test_the_mesh_configuration_is_the_operators() -> None:
    config = {"accessLogFile": "/dev/stdout", "defaultConfig": {"holdApplicationUntilProxyStarts": True}}
    found = made(operator(meshConfig=config, revision="canary", namespace="mesh"))
    mesh = yaml.safe_load(found["ConfigMap istio-canary"]["data"]["mesh"])
    assert mesh["accessLogFile"] == "/dev/stdout"
    assert mesh["rootNamespace"] == "mesh"
    assert mesh["defaultConfig"] == {
        "discoveryAddress": "istiod-canary.mesh.svc:15012",
        "holdApplicationUntilProxyStarts": True,
    }
    assert found["Deployment istiod-canary"]["metadata"]["namespace"] == "mesh"
    assert "MutatingWebhookConfiguration istio-sidecar-injector-canary" in found


def test_each_revision_has_an_istiod() -> None:
    found = made(operator(), operator("two", revision="canary"))
    assert {"Deployment istiod", "Deployment istiod-canary"} <= found.keys()


def test_what_the_manifests_bring_stays() -> None:
    gateway, mesh = named(istio.Gateway, "edge"), named(core.ConfigMap, "istio", data={"mesh": "mine"})
    assert "ConfigMap istio" not in made(gateway, mesh)
    own = workloads.Deployment.model_validate({"metadata": {"name": "mine", "labels": {"app": "istiod"}}})
    assert made(gateway, own) == {}
    assert made(named(core.Service, "web")) == {}, "nothing of Istio's"


PROXY = ConnectedProxy(
    "edge-1",
    "istio-system",
    "lockgate",
    "1.30.1",
    {CLUSTER: ("2", "2"), LISTENER: ("3", "1")},
    Snapshot({CLUSTER: {"web": Entry(b"")}, LISTENER: {"443": Entry(b"")}}),
)


def test_the_pages_say_which_proxies_are_in_step() -> None:
    async def story() -> None:
        server = await serve(IstiodPages(lambda: [PROXY], cluster="lockgate", version="1.30.1"))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
                assert (await client.get("/ready")).status_code == 200
                assert (await client.get(f"http://127.0.0.1:{server.port}//version")).text == "1.30.1-lockgate-Clean"
                assert (await client.get("/debug/syncz")).json() == [
                    {
                        "cluster_id": "lockgate",
                        "proxy": "edge-1.istio-system",
                        "proxy_type": "router",
                        "istio_version": "1.30.1",
                        "cluster_sent": "2",
                        "cluster_acked": "2",
                        "listener_sent": "3",
                        "listener_acked": "1",
                    }
                ]
                assert (await client.get("/debug/clusterz")).json() == [{"id": "lockgate", "syncStatus": "synced"}]
                other = await client.get("/debug/registryz")
                assert other.status_code == 404
                assert "/debug/syncz" in other.text
                assert (await client.put("/scopej")).status_code == 405
        finally:
            await server.stop()

    asyncio.run(story())


class Asking:
    """istioctl's side of the debug stream."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    async def ask(self, type_url: str, *names: str, token: str = "valid") -> Any:
        import grpc.aio
        from envoy.service.discovery.v3 import discovery_pb2

        call = self._stub.StreamAggregatedResources(metadata=[("authorization", f"Bearer {token}")])
        # istioctl's first request has a nonce, too.
        await call.write(
            discovery_pb2.DiscoveryRequest(type_url=type_url, resource_names=names, response_nonce="2026-01-01")
        )
        try:
            return await asyncio.wait_for(call.read(), 20)
        except grpc.aio.AioRpcError as error:
            return error.code()


def test_the_debug_types_say_what_each_proxy_was_sent() -> None:
    import grpc
    import grpc.aio
    from envoy.admin.v3 import config_dump_shared_pb2
    from envoy.service.discovery.v3 import ads_pb2_grpc
    from envoy.service.status.v3 import csds_pb2

    async def story() -> None:
        chain, key = Trust.make("test").key_pair(["istiod.istio-system.svc"])
        server = DebugAds(
            lambda: [PROXY, replace(PROXY, pod="other", snapshot=Snapshot({}))],
            identity=identity("istiod-1", "1.30.1"),
            authenticate=lambda token: token == "valid",
            http=lambda page: f"page {page}".encode(),
        )
        port = await server.start(key.encode(), chain.encode())
        credentials = grpc.ssl_channel_credentials(chain.encode())
        options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc")]
        try:
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
                asking = Asking(ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel))
                answer = await asking.ask(SYNCZ)
                assert json.loads(answer.control_plane.identifier)["ID"] == "istiod-1"
                config = csds_pb2.ClientConfig()
                assert answer.resources[0].Unpack(config)
                assert config.node.id == "edge-1.istio-system"
                states = {each.type_url: each.config_status for each in config.generic_xds_configs}
                assert states[CLUSTER] == csds_pb2.SYNCED
                assert states[LISTENER] == csds_pb2.STALE
                dump = config_dump_shared_pb2.ListenersConfigDump()
                found = (await asking.ask(CONFIG_DUMP, "edge-1.istio-system")).resources
                assert [each for each in found if each.Unpack(dump)]
                assert [each.name for each in dump.dynamic_listeners] == ["443"]
                assert list((await asking.ask(CONFIG_DUMP, "nobody")).resources) == []
                assert (await asking.ask(DEBUG, "syncz")).resources[0].value == b"page syncz"
                assert await asking.ask(CLUSTER) == grpc.StatusCode.UNIMPLEMENTED
                assert await asking.ask(SYNCZ, token="wrong") == grpc.StatusCode.UNAUTHENTICATED
        finally:
            await server.stop()

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["Service", "Deployment"])
def test_istiod_is_no_gateway(kind: str) -> None:
    """Its Pods have the label `istio`, as gateways' have."""
    from lockgate.edge.workloads import gateway_workloads

    found = made(named(istio.Gateway, "edge"))
    assert gateway_workloads([core.Service.model_validate(found["Service istiod"])], []) == ()
    assert found[f"{kind} istiod"]["metadata"]["labels"]["istio"] == "pilot"
