"""The reflector among namespaces: who gets a copy, what is in it, and when it goes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from lockgate.controllers.reflector import Reflector
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core
from lockgate.resources.status import NotFound

PREFIX = "reflector.v1.k8s.emberstack.com/"
NAMESPACES = ("source", "istio-system", "istio-ingress", "web", "web-2")


class Cluster:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def put(self, namespace: str, name: str = "tls", value: str = "one", **annotations: str) -> None:
        await self.store.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls" if name == "tls" else "Opaque",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {"x": "y"},
                    "annotations": {f"{PREFIX}{key.replace('_', '-')}": text for key, text in annotations.items()},
                },
                "data": {"tls.crt": encode(value), "tls.key": encode(value)},
            },
            manager="kubectl",
        )

    async def has(self, name: str = "tls") -> dict[str, str]:
        """Namespace and value of every Secret of a name."""
        return {
            each.namespace: each.decoded["tls.crt"].decode()
            for each in await self.store.list(core.Secret)
            if each.name == name
        }

    async def comes_to(self, expected: dict[str, str], name: str = "tls") -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while await self.has(name) != expected:
                    await asyncio.sleep(0.002)
        assert await self.has(name) == expected

    async def settle(self) -> None:
        """Let a change that comes after all earlier ones be served: then those have been, too."""
        await self.put("source", "probe", reflection_allowed="true", reflection_auto_enabled="true")
        await self.comes_to(dict.fromkeys((*NAMESPACES, *DEFAULT), "one"), "probe")


DEFAULT = ("default", "kube-node-lease", "kube-public", "kube-system")


def run(story: Callable[[Cluster], Awaitable[None]]) -> None:
    async def scenario() -> None:
        store = Store()
        for name in NAMESPACES:
            await store.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"is": name}}}
            )
        running = asyncio.create_task(Reflector(store).run())
        try:
            await story(Cluster(store))
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("annotations", "namespaces"),
    [
        ({}, ()),
        ({"auto": "true"}, ()),
        ({"allowed": "true"}, ()),
        ({"allowed": "true", "auto": "true", "allowed_in": "istio-system"}, ("istio-system",)),
        ({"allowed": "true", "auto": "true", "allowed_in": "istio-.*"}, ("istio-system", "istio-ingress")),
        ({"allowed": "true", "auto": "true", "allowed_in": "istio-*"}, ()),
        ({"allowed": "true", "auto": "true", "allowed_in": "web"}, ("web",)),
        ({"allowed": "true", "auto": "true", "allowed_in": "web, istio-system"}, ("web", "istio-system")),
        ({"allowed": "true", "auto": "true", "allowed_in": "*"}, ()),
        ({"allowed": "true", "auto": "true", "allowed_in": "istio-.*,web", "auto_in": "web.*"}, ("web",)),
        ({"allowed": "true", "auto": "true", "selected": "is=web-2"}, ("web-2",)),
        ({"allowed": "true", "auto": "true", "selected": "is=web-2", "allowed_in": "web"}, ("web", "web-2")),
    ],
)
def test_the_namespaces_that_get_a_copy(annotations: dict[str, str], namespaces: tuple[str, ...]) -> None:
    full = {
        "allowed": "reflection_allowed",
        "auto": "reflection_auto_enabled",
        "allowed_in": "reflection_allowed_namespaces",
        "auto_in": "reflection_auto_namespaces",
        "selected": "reflection_allowed_namespaces_selector",
    }

    async def story(cluster: Cluster) -> None:
        await cluster.put("source", **{full[name]: value for name, value in annotations.items()})
        await cluster.settle()
        await cluster.comes_to({"source": "one", **dict.fromkeys(namespaces, "one")})

    run(story)


AUTO: dict[str, Any] = {
    "reflection_allowed": "true",
    "reflection_auto_enabled": "true",
    "reflection_allowed_namespaces": "web.*",
}


def test_the_content_of_a_copy() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("source", **AUTO)
        await cluster.comes_to({"source": "one", "web": "one", "web-2": "one"})
        source = await cluster.store.get(core.Secret, "tls", "source")
        mirror = await cluster.store.get(core.Secret, "tls", "web")
        assert mirror.type == "kubernetes.io/tls"
        assert mirror.data == source.data
        assert mirror.metadata.labels == {}
        annotations = mirror.metadata.annotations
        assert annotations.pop(f"{PREFIX}reflected-at")
        assert annotations == {
            f"{PREFIX}reflects": "source/tls",
            f"{PREFIX}auto-reflects": "True",
            f"{PREFIX}reflected-version": source.metadata.resource_version,
        }

    run(story)


def test_copies_follow_their_source_until_it_goes() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("source", **AUTO)
        await cluster.comes_to({"source": "one", "web": "one", "web-2": "one"})
        await cluster.put("source", value="two", **AUTO)
        await cluster.comes_to({"source": "two", "web": "two", "web-2": "two"})
        await cluster.put("source", value="two", **{**AUTO, "reflection_allowed_namespaces": "web"})
        await cluster.comes_to({"source": "two", "web": "two"})
        await cluster.store.delete(core.Secret, "tls", "source")
        await cluster.comes_to({})

    run(story)


def test_a_new_namespace_is_served_at_once() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("source", **AUTO)
        await cluster.comes_to({"source": "one", "web": "one", "web-2": "one"})
        await cluster.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web-3"}})
        await cluster.comes_to({"source": "one", "web": "one", "web-2": "one", "web-3": "one"})

    run(story)


def test_a_secret_of_the_same_name_is_left_alone() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("web", value="mine")
        await cluster.put("source", **AUTO)
        await cluster.comes_to({"source": "one", "web": "mine", "web-2": "one"})
        await cluster.store.delete(core.Secret, "tls", "source")
        await cluster.comes_to({"web": "mine"})

    run(story)


def test_a_mirror_that_a_user_made_is_filled_and_stays() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("istio-system", "copy", "empty", reflects="source/tls")
        await cluster.settle()
        assert (await cluster.has("copy")) == {"istio-system": "empty"}
        await cluster.put("source", reflection_allowed="true")
        await cluster.comes_to({"istio-system": "one"}, "copy")
        mirror = await cluster.store.get(core.Secret, "copy", "istio-system")
        assert mirror.metadata.annotations[f"{PREFIX}auto-reflects"] == "False"
        await cluster.put("source", value="two", reflection_allowed="false")
        await cluster.put("source", "other", "x")
        await cluster.store.delete(core.Secret, "tls", "source")
        await cluster.comes_to({"istio-system": "one"}, "copy")

    run(story)


def test_an_edited_mirror_is_restored_when_its_source_changes() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.put("source", **AUTO)
        await cluster.comes_to({"source": "one", "web": "one", "web-2": "one"})
        await cluster.store.patch(core.Secret, "tls", "web", {"data": {"tls.crt": encode("edited")}})
        await cluster.settle()
        assert (await cluster.has())["web"] == "edited"
        await cluster.put("source", value="two", **AUTO)
        await cluster.comes_to({"source": "two", "web": "two", "web-2": "two"})

    run(story)


def test_config_maps_are_reflected_too() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.store.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "ca",
                    "namespace": "source",
                    "annotations": {
                        f"{PREFIX}reflection-allowed": "true",
                        f"{PREFIX}reflection-auto-enabled": "true",
                        f"{PREFIX}reflection-auto-namespaces": "web",
                    },
                },
                "data": {"ca.crt": "x"},
            }
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await cluster.store.get(core.ConfigMap, "ca", "web")).data == {"ca.crt": "x"}
                except NotFound:
                    await asyncio.sleep(0.002)
                else:
                    break

    run(story)


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
