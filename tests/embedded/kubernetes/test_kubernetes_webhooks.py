"""Webhooks that look at other objects, through the store and through the real kubectl."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes_rig import cluster, kubectls

from lockgate.embedded.kubernetes.store import Store
from lockgate.ingress.world import Settings
from lockgate.resources import core, networking
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, NotFound

T = TypeVar("T")
DENIED = 'admission webhook "vingress.elbv2.k8s.aws" denied the request: '
GATE = "target-health.elbv2.k8s.aws/k8s-web"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


def ingress(class_name: str = "alb", **metadata: Any) -> JsonObject:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "default", **metadata},
        "spec": {
            "ingressClassName": class_name,
            "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
    }


def ingress_class(name: str = "alb") -> JsonObject:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    }


def binding(name: str = "k8s-web") -> JsonObject:
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"targetGroupARN": "arn:a", "targetType": "ip", "serviceRef": {"name": "web", "port": 80}},
    }


def pod(name: str, **labels: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }


async def shop(store: Store, **labels: str) -> None:
    await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
    await store.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
    )


async def gates(store: Store, name: str) -> list[str]:
    return [gate.condition_type for gate in (await store.get(core.Pod, name, "shop")).spec.readiness_gates]


def test_an_ingress_waits_for_its_class_outside() -> None:
    async def story() -> None:
        store = Store()
        with pytest.raises(ApiError) as refused:
            await store.create(ingress())
        assert refused.value.message == (
            DENIED + 'invalid ingress class: IngressClass.networking.k8s.io "alb" not found'
        )
        assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
        with pytest.raises(NotFound):
            await store.get(networking.Ingress, "web", "default")
        await store.create(ingress_class())
        await store.apply(ingress(), manager="files")

    run(story())


def test_a_change_is_reconciled_and_a_status_update_is_not() -> None:
    async def story() -> None:
        store = Store()
        await store.create(ingress_class())
        await store.create(ingress())
        wrong = {"metadata": {"annotations": {"alb.ingress.kubernetes.io/conditions.web": '[{"field": "source-ip"}]'}}}
        with pytest.raises(ApiError, match=r"conditions\.web annotation: missing sourceIPConfig"):
            await store.patch(networking.Ingress, "web", "default", wrong)
        await store.delete(networking.IngressClass, "alb")
        await store.patch_status(
            networking.Ingress, "web", "default", {"loadBalancer": {"ingress": [{"hostname": "lb.test"}]}}
        )
        with pytest.raises(ApiError, match="invalid ingress class"):
            await store.patch(networking.Ingress, "web", "default", {"metadata": {"labels": {"a": "b"}}})

    run(story())


def test_an_ingress_can_be_deleted_after_its_class() -> None:
    async def story() -> None:
        store = Store()
        await store.create(ingress_class())
        await store.create(ingress(finalizers=["ingress.k8s.aws/resources"]))
        await store.delete(networking.IngressClass, "alb")
        await store.delete(networking.Ingress, "web", "default")
        await store.patch(networking.Ingress, "web", "default", {"metadata": {"finalizers": []}})
        with pytest.raises(NotFound):
            await store.get(networking.Ingress, "web", "default")

    run(story())


def test_a_new_service_gets_the_controllers_class_once_its_webhook_is_there() -> None:
    def service(name: str, **spec: Any) -> JsonObject:
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}

    async def class_of(store: Store, name: str) -> str | None:
        return (await store.get(core.Service, name, "shop")).spec.load_balancer_class

    async def story() -> None:
        store = Store()
        store.writes.webhooks.settings = Settings(load_balancer_class="shop.example/nlb")
        await shop(store)
        await store.create(service("before"))
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        own = {"name": "mservice.elbv2.k8s.aws", "sideEffects": "None", "admissionReviewVersions": ["v1"]}
        client = {"clientConfig": {"url": "https://127.0.0.1:1/"}}
        await store.create({**kind, "metadata": {"name": "lbc"}, "webhooks": [own | client]})
        await store.patch(core.Service, "before", "shop", {"metadata": {"labels": {"a": "b"}}})
        for manifest in (
            service("new"),
            service("other", loadBalancerClass="other.example/lb"),
            service("inside", type="ClusterIP"),
        ):
            await store.create(manifest)
        assert [await class_of(store, name) for name in ("before", "new", "other", "inside")] == [
            None,
            "shop.example/nlb",
            "other.example/lb",
            None,
        ]
        with pytest.raises(ApiError, match="may not change once set"):
            await store.patch(core.Service, "new", "shop", {"spec": {"loadBalancerClass": None}})

    run(story())


def test_independent_faults_are_reported_first() -> None:
    async def story() -> None:
        manifest = ingress("gone")
        manifest["spec"]["rules"][0]["http"]["paths"][0]["path"] = "no/slash"
        with pytest.raises(ApiError, match=r'^Ingress\.networking\.k8s\.io "web" is invalid: spec\.rules\[0\]'):
            await Store().create(manifest)

    run(story())


def test_flags_forbid_old_annotations_on_new_ingresses() -> None:
    async def there() -> None:
        store = Store()
        await store.create(ingress_class())
        group = {"alb.ingress.kubernetes.io/group.name": "edge"}
        by_annotation = ingress(annotations={"kubernetes.io/ingress.class": "alb"} | group)
        del by_annotation["spec"]["ingressClassName"]
        await store.create(by_annotation)
        store.writes.webhooks.settings = Settings(
            disable_ingress_class_annotation=True, disable_group_name_annotation=True
        )
        await store.patch(networking.Ingress, "web", "default", {"metadata": {"labels": {"team": "edge"}}})

        async def refused(change: Coroutine[Any, Any, Any]) -> str:
            with pytest.raises(ApiError) as refused:
                await change
            return refused.value.message.removeprefix(DENIED)

        other = {"alb.ingress.kubernetes.io/group.name": "other"}
        value = await refused(store.patch(networking.Ingress, "web", "default", {"metadata": {"annotations": other}}))
        assert value == "new usage of `alb.ingress.kubernetes.io/group.name` annotation is forbidden"
        usage = await refused(
            store.create(ingress(annotations=group) | {"metadata": {"name": "two", "annotations": group}})
        )
        assert usage == "new usage of `alb.ingress.kubernetes.io/group.name` annotation is forbidden"
        by_annotation["metadata"] = {"name": "three", "annotations": {"kubernetes.io/ingress.class": "alb"}}
        assert await refused(store.create(by_annotation)) == (
            "new usage of `kubernetes.io/ingress.class` annotation is forbidden"
        )
        by_annotation["metadata"] = {"name": "three", "annotations": {"kubernetes.io/ingress.class": "nginx"}}
        await store.create(by_annotation)

    run(there())


def test_a_second_binding_of_a_target_group() -> None:
    async def story() -> None:
        store = Store()
        await shop(store)
        await store.create(binding())
        with pytest.raises(ApiError, match=r"already bound to following TargetGroupBindings \[shop/k8s-web\]\."):
            await store.create(binding("again"))
        await store.apply(binding(), manager="files")

    run(story())


def test_gates_for_new_pods_in_labelled_namespaces() -> None:
    async def story() -> None:
        store = Store()
        await shop(store, **{"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"})
        await store.create(pod("early", app="web"))
        await store.create(binding())
        await store.create(pod("new", app="web"))
        await store.apply(pod("applied", app="web"), manager="files")
        await store.create(pod("other", app="api"))
        assert [await gates(store, name) for name in ("early", "new", "applied", "other")] == [[], [GATE], [GATE], []]
        await store.apply(pod("applied", app="web"), manager="files")
        assert await gates(store, "applied") == [GATE]
        store.writes.webhooks.settings = Settings(inject_readiness_gates=False)
        await store.create(pod("later", app="web"))
        assert await gates(store, "later") == []
        with pytest.raises(ApiError, match="is invalid: spec"):
            await store.create({**pod("broken", app="web"), "spec": {"containers": [], "readinessGates": [1]}})

    run(story())


def test_no_gates_without_the_label() -> None:
    async def story() -> None:
        store = Store()
        await shop(store)
        await store.create(binding())
        await store.create(pod("new", app="web"))
        assert await gates(store, "new") == []

    run(story())


@pytest.mark.skipif(not kubectls(), reason="no kubectl")
def test_kubectl_reads_a_denial(tmp_path: Path) -> None:
    text = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/conditions.web: '[{"field": "query-string", "queryStringConfig": {"values": []}}]'
spec:
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
"""

    async def story() -> tuple[int, str, str]:
        async with cluster(tmp_path) as there:
            return await there.kubectl("create", "-f", "-", stdin=text)

    code, _, error = run(story())
    assert code == 1
    assert error.strip() == (
        f'Error from server (Forbidden): error when creating "STDIN": {DENIED}'
        "ignoring Ingress default/web since invalid alb.ingress.kubernetes.io/conditions.web annotation: "
        "invalid queryStringConfig: Values cannot be empty"
    )
