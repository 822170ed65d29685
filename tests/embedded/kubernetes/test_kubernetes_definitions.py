"""CustomResourceDefinitions: what is refused, what they bring, what goes with them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import httpx
import pytest

from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import cert_manager as cm
from lockgate.resources import workloads
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, Invalid, NotFound


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def version(name: str = "v1", **more: Any) -> JsonObject:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    return {"name": name, "served": True, "storage": name == "v1", "schema": schema, **more}


def definition(name: str = "widgets.example.test", **spec: Any) -> JsonObject:
    whole = {
        "group": "example.test",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [version()],
        **spec,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": whole,
    }


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            definition("gadgets.example.test"),
            'metadata.name: Invalid value: "gadgets.example.test": must be spec.names',
        ),
        (definition("widgets.apps", group="apps"), "spec.group: Forbidden: apps is one of the API's own groups"),
        (definition(scope="Everywhere"), "spec.scope: "),
        (definition(names={"plural": "widgets"}), "spec.names.kind: Required value"),
        (definition(names={"plural": "Widgets", "kind": "Widget"}), "spec.names.plural: "),
        (definition(versions=[]), "spec.versions: "),
        (definition(versions=[version(storage=False)]), "must have exactly one version marked as storage version"),
        (definition(versions=[version(), version("v1", storage=False)]), "must contain unique version names"),
        (definition(versions=[version(schema={})]), "spec.versions[0].schema.openAPIV3Schema: Required value"),
        (
            definition(versions=[version(schema={"openAPIV3Schema": {"properties": {"a": 1}}})]),
            'spec.versions[0].schema.openAPIV3Schema.properties.a: Invalid value: "integer"',
        ),
    ],
)
def test_a_definition_that_cannot_be_served(manifest: JsonObject, message: str) -> None:
    async def story() -> None:
        store = Store()
        with pytest.raises(Invalid) as refused:
            await store.create(manifest)
        assert message in refused.value.message
        assert await store.list(workloads.CustomResourceDefinition) == []

    run(story())


def test_a_kind_comes_changes_and_goes_with_its_definition() -> None:
    async def story() -> None:
        store = Store()
        widget = {"apiVersion": "example.test/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {}}
        with pytest.raises(NotFound):
            await store.create(widget)
        await store.apply(definition(), manager="kubectl")
        await store.create(widget)
        beta = version("v1beta1")
        await store.apply(definition(versions=[version(), beta]), manager="kubectl")
        kind = store.model("example.test/v1beta1", "Widget")
        assert [one.api_version for one in await store.list(kind)] == ["example.test/v1"]
        conditions = (await store.get(workloads.CustomResourceDefinition, "widgets.example.test")).status["conditions"]
        assert {(one["type"], one["status"]) for one in conditions} == {
            ("NamesAccepted", "True"),
            ("Established", "True"),
        }
        await store.delete(workloads.CustomResourceDefinition, "widgets.example.test")
        assert await store.list(kind) == []
        with pytest.raises(NotFound):
            await store.create(widget)

    run(story())


def test_an_accepted_kind_gets_its_schema_with_a_later_definition() -> None:
    async def story() -> None:
        store = Store()
        store.accept("example.test/v1", "Widget")
        widget = {"apiVersion": "example.test/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 0}}
        await store.create(widget)
        spec = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}
        schema = {"type": "object", "properties": {"spec": spec}}
        await store.create(definition(versions=[version(schema={"openAPIV3Schema": schema})]))
        with pytest.raises(Invalid, match=r"spec\.size in body should be greater than or equal to 1"):
            await store.create({**widget, "metadata": {"name": "two"}})

    run(story())


def test_a_typed_kind_keeps_its_model_whatever_is_defined() -> None:
    async def story() -> None:
        store = Store()
        names = {"plural": "certificates", "kind": "Certificate"}
        anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        manifest = definition(
            "certificates.cert-manager.io", group="cert-manager.io", names=names, versions=[version(schema=anything)]
        )
        await store.create(manifest)
        head = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "one"}}
        with pytest.raises(ApiError, match=r"spec\.secretName: Required value"):
            await store.create({**head, "spec": {"issuerRef": {"name": "x"}}})
        await store.create({**head, "spec": {"secretName": "s", "dnsNames": ["a.test"], "issuerRef": {"name": "x"}}})
        assert [one.spec.secret_name for one in await store.list(cm.Certificate)] == ["s"]

    run(story())


def test_a_kind_is_scaled_and_selected_by_the_fields_that_its_definition_names() -> None:
    async def story() -> None:
        store = Store()
        scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
        spec = {"type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "integer"}}}
        preserved = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"openAPIV3Schema": {**preserved, "properties": {"spec": spec}}}
        scaled = version(
            schema=schema, subresources={"scale": scale, "status": {}}, selectableFields=[{"jsonPath": ".spec.color"}]
        )
        await store.create(definition(versions=[scaled]))
        for name, color in (("one", "red"), ("two", "blue")):
            body = {"apiVersion": "example.test/v1", "kind": "Widget", "spec": {"size": 2, "color": color}}
            await store.create({**body, "metadata": {"name": name, "namespace": "default"}})
        widgets = "/apis/example.test/v1/namespaces/default/widgets"
        transport = httpx.ASGITransport(cast(Any, KubernetesApi(store, token="t")))
        headers = {"authorization": "Bearer t"}
        async with httpx.AsyncClient(transport=transport, base_url="http://kubernetes.test", headers=headers) as http:
            listed = (await http.get(widgets, params={"fieldSelector": "spec.color=red"})).json()
            assert [each["metadata"]["name"] for each in listed["items"]] == ["one"]
            refused = await http.get(widgets, params={"fieldSelector": "spec.size=2"})
            assert refused.status_code == 400
            assert (await http.get(f"{widgets}/one/scale")).json()["spec"] == {"replicas": 2}
            media = {"content-type": "application/merge-patch+json"}
            answer = await http.patch(f"{widgets}/one/scale", content=b'{"spec": {"replicas": 5}}', headers=media)
            assert answer.json()["spec"] == {"replicas": 5}
            assert (await http.get(f"{widgets}/one")).json()["spec"]["size"] == 5

    run(story())
