"""Python's clients against the API: a table of what each does, and what comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kr8s
import kubernetes
import pytest
import yaml
from kr8s.objects import ConfigMap, new_class
from kubernetes_rig import Cluster, cluster

from lockgate.resources.model import JsonObject

SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
BOATS: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.test"},
    "spec": {
        "group": "example.test",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat", "singular": "boat", "listKind": "BoatList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": SCHEMA}],
    },
}
BOAT: JsonObject = {"apiVersion": "example.test/v1", "kind": "Boat", "metadata": {"name": "a"}, "spec": {"n": 1}}
CUSTOM = ("example.test", "v1", "default", "boats")
POD = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}}
DEPLOYMENT = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": POD}}
LEASE = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 5}}
REVIEW = {"spec": {"user": "ann", "resourceAttributes": {"verb": "get", "resource": "pods"}}}


official: Any = kubernetes  # most of it is not typed


class Official:
    """kubernetes-client/python."""

    def __init__(self, config: JsonObject) -> None:
        api = official.config.new_client_from_config_dict(config)
        self.core: Any = official.client.CoreV1Api(api)
        self.apps: Any = official.client.AppsV1Api(api)
        self.custom: Any = official.client.CustomObjectsApi(api)
        self.leases: Any = official.client.CoordinationV1Api(api)
        self.access: Any = official.client.AuthorizationV1Api(api)
        self.dynamic: Any = official.dynamic.DynamicClient(api)

    def applied(self) -> Any:
        maps = self.dynamic.resources.get(api_version="v1", kind="ConfigMap")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
        at = {"name": "applied", "namespace": "default"}
        return self.dynamic.server_side_apply(maps, body=body, field_manager="me", **at).data.a

    def deleted(self) -> Any:
        """The kind of the answer, which is a Status or the object. The client does not tell them apart."""
        policy = {"propagation_policy": "Foreground", "_preload_content": False}
        return json.loads(self.apps.delete_namespaced_deployment("a", "default", **policy).data)["kind"]

    def watched(self) -> list[str]:
        stream = official.watch.Watch().stream(self.core.list_namespaced_config_map, "default", timeout_seconds=1)
        return [event["type"] for event in stream]


ROWS: list[tuple[str, Callable[[Official], Any], Any]] = [
    (
        "create",
        lambda c: c.core.create_namespaced_config_map("default", {"metadata": {"name": "a"}}).metadata.name,
        "a",
    ),
    ("patch", lambda c: c.core.patch_namespaced_config_map("a", "default", {"data": {"b": "2"}}).data, {"b": "2"}),
    ("server-side apply", Official.applied, "1"),
    ("list in pages", lambda c: len(c.core.list_namespaced_config_map("default", limit=1).items), 1),
    ("watch", Official.watched, ["ADDED", "ADDED"]),
    ("create a Deployment", lambda c: c.apps.create_namespaced_deployment("default", DEPLOYMENT).spec.replicas, 1),
    (
        "scale it by a patch",
        lambda c: c.apps.patch_namespaced_deployment_scale("a", "default", {"spec": {"replicas": 3}}).spec.replicas,
        3,
    ),
    ("read its scale", lambda c: c.apps.read_namespaced_deployment_scale("a", "default").spec.replicas, 3),
    ("delete it in the foreground", Official.deleted, "Deployment"),
    ("a custom object", lambda c: c.custom.create_namespaced_custom_object(*CUSTOM, BOAT)["spec"], {"n": 1}),
    (
        "its status",
        lambda c: c.custom.patch_namespaced_custom_object_status(*CUSTOM, "a", {"status": {"ok": True}})["status"],
        {"ok": True},
    ),
    ("a lease", lambda c: c.leases.create_namespaced_lease("default", LEASE).spec.holder_identity, "me"),
    ("an access review", lambda c: c.access.create_subject_access_review(REVIEW).status.allowed, True),
    ("delete all", lambda c: c.core.delete_collection_namespaced_config_map("default").kind, "ConfigMapList"),
]


async def _prepared(kubernetes_: Cluster) -> JsonObject:
    await kubernetes_.store.create(BOATS)
    config: JsonObject = yaml.safe_load((kubernetes_.home / "config").read_text())
    return config


def test_the_official_client(tmp_path: Path) -> None:
    def steps(config: JsonObject) -> None:
        client = Official(config)
        for name, step, expected in ROWS:
            assert (name, step(client)) == (name, expected)

    async def story() -> None:
        async with cluster(tmp_path) as kubernetes_:
            await asyncio.to_thread(steps, await _prepared(kubernetes_))

    asyncio.run(asyncio.wait_for(story(), 60))


def test_kr8s(tmp_path: Path) -> None:
    def steps() -> None:
        api: Any = kr8s.api(kubeconfig=str(tmp_path / "config"))
        one: Any = ConfigMap({"metadata": {"name": "a", "namespace": "default"}, "data": {"a": "1"}}, api=api)
        one.create()
        one.patch({"data": {"b": "2"}})
        one.label({"x": "y"})
        assert [each.name for each in api.get("configmaps", namespace="default", label_selector="x=y")] == ["a"]
        event, seen = next(iter(api.watch("configmaps", namespace="default")))
        assert (event, seen.name) == ("ADDED", "a")
        boat: Any = new_class("Boat", version="example.test/v1", namespaced=True, plural="boats")
        boat({**BOAT, "metadata": {"name": "a", "namespace": "default"}}, api=api).create()
        assert [each.spec.n for each in api.get(boat, namespace="default")] == [1]
        one.delete()
        assert not list(api.get("configmaps", namespace="default"))

    async def story() -> None:
        async with cluster(tmp_path) as kubernetes_:
            await _prepared(kubernetes_)
            await asyncio.to_thread(steps)

    asyncio.run(asyncio.wait_for(story(), 60))


OPERATOR = """
import kopf

@kopf.on.create("example.test", "v1", "boats")
@kopf.on.update("example.test", "v1", "boats")
def seen(spec, patch, **_):
    patch.status["seen"] = spec["n"]

@kopf.on.delete("example.test", "v1", "boats")
def gone(**_):
    pass
"""


def test_an_operator_of_kopf(tmp_path: Path) -> None:
    """Its handlers see a creation and a change, write the status, and hold a deletion with a finalizer."""

    async def story() -> None:
        async with cluster(tmp_path) as kubernetes_:
            await _prepared(kubernetes_)
            (tmp_path / "operator_of_boats.py").write_text(OPERATOR)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", "operator_of_boats.py"),
                cwd=tmp_path,
                stderr=asyncio.subprocess.DEVNULL,
                env={"KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)},
            )
            try:
                boats = kubernetes_.store.model("example.test/v1", "Boat")
                await kubernetes_.store.create({**BOAT, "metadata": {"name": "a", "namespace": "default"}})
                for number in (1, 2):
                    await kubernetes_.store.patch(boats, "a", "default", {"spec": {"n": number}})
                    while _boat(kubernetes_).get("status", {}).get("seen") != number:
                        await asyncio.sleep(0.05)
                assert _boat(kubernetes_)["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
                await kubernetes_.store.delete(boats, "a", "default")
                while _boat(kubernetes_):
                    await asyncio.sleep(0.05)
            finally:
                process.terminate()
                await process.wait()

    asyncio.run(asyncio.wait_for(story(), 60))


def _boat(kubernetes_: Cluster) -> JsonObject:
    found = kubernetes_.store.storage.all(("example.test", "Boat"))
    return found[0].json if found else {}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
